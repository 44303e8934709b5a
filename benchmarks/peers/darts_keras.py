"""The DARTS supernet as a competent Keras user writes it: the standard layers, p * op(x) sums."""

import keras

from benchmarks import setting as s
from benchmarks.peers import darts_layout as layouts
from benchmarks.peers.plain_keras import batch_norm, search_step, use_cores


class Composite(keras.layers.Layer):
    """A layer of layers. They build themselves when they are called first; Keras need not run each symbolically."""

    def __init__(self):
        super().__init__()
        self.built = True


class Chain(Composite):
    """Layers one after the other. Keras' Sequential would make a functional model of each: a minute for them all."""

    def __init__(self, layers: list[keras.layers.Layer]):
        super().__init__()
        self.layers = layers

    def call(self, x):
        """x -> what the last layer makes of it; `training` reaches the layers by Keras' context."""
        for layer in self.layers:
            x = layer(x)
        return x


def separable(channels: int, kernel: int, stride: int, affine: bool, dilation: int = 1) -> list:
    """ReLU, depthwise and pointwise convolution, batch norm."""
    convolution = keras.layers.SeparableConv2D(
        channels, kernel, stride, padding="same", dilation_rate=dilation, use_bias=False
    )
    return [keras.layers.ReLU(), convolution, batch_norm(affine)]


def pointwise(channels: int, affine: bool) -> Chain:
    """ReLU, convolution 1x1, batch norm."""
    return Chain([keras.layers.ReLU(), keras.layers.Conv2D(channels, 1, use_bias=False), batch_norm(affine)])


class FactorizedReduce(Composite):
    """Halves the resolution: two 1x1 convolutions of stride 2, the second on the input moved by one pixel."""

    def __init__(self, channels: int, affine: bool):
        super().__init__()
        self.relu = keras.layers.ReLU()
        self.first = keras.layers.Conv2D(channels // 2, 1, 2, use_bias=False)
        self.second = keras.layers.Conv2D(channels // 2, 1, 2, use_bias=False)
        self.norm = batch_norm(affine)

    def call(self, x, training=False):
        """x [B, H, W, C] -> [B, H/2, W/2, channels]."""
        x = self.relu(x)
        halves = keras.ops.concatenate([self.first(x), self.second(x[:, 1:, 1:])], axis=-1)
        return self.norm(halves, training=training)


class Subsample(keras.layers.Layer):
    """Every second pixel. A dilation of 2 at stride 2 is a plain convolution of these, which Keras does not offer."""

    def call(self, x):
        """x [B, H, W, C] -> [B, H/2, W/2, C]."""
        return x[:, ::2, ::2]


def operation(name: str, channels: int, stride: int, affine: bool) -> keras.layers.Layer:
    """A candidate by name, `none` apart; pools carry no norm here."""
    kind, kernel = name[:3], int(name[-1]) if name[-1].isdigit() else 0
    if kind == "sep":
        return Chain([*separable(channels, kernel, stride, affine), *separable(channels, kernel, 1, affine)])
    if kind == "dil" and stride == 2:
        return Chain([Subsample(), *separable(channels, kernel, 1, affine)])
    if kind == "dil":
        return Chain(separable(channels, kernel, 1, affine, dilation=2))
    if kind == "max":
        return keras.layers.MaxPooling2D(3, stride, padding="same")
    if kind == "avg":
        return keras.layers.AveragePooling2D(3, stride, padding="same")
    return keras.layers.Identity() if stride == 1 else FactorizedReduce(channels, affine)


def preprocess(plan: layouts.CellPlan, affine: bool) -> list[keras.layers.Layer]:
    """Brings both inputs of a cell to its channels, and the first to the size of the second."""
    first = FactorizedReduce if plan.after_reduction else pointwise
    return [first(plan.channels, affine), pointwise(plan.channels, affine)]


def stem(channels: int) -> Chain:
    """Convolution 3x3 and batch norm."""
    width = layouts.STEM_MULTIPLIER * channels
    return Chain([keras.layers.Conv2D(width, 3, padding="same", use_bias=False), batch_norm(affine=True)])


class MixedOp(Composite):
    """The probability-weighted sum of the eight candidates; `none` adds nothing."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.candidates = []
        for name in layouts.PRIMITIVES[1:]:
            candidate = operation(name, channels, stride, affine=False)
            pooled = "pool" in name
            self.candidates.append(Chain([candidate, batch_norm(affine=False)]) if pooled else candidate)

    def call(self, x, probs, training=False):
        """x [B, H, W, C] and probs [8] -> [B, H/stride, W/stride, C]."""
        terms = [probs[i + 1] * candidate(x, training=training) for i, candidate in enumerate(self.candidates)]
        return sum(terms[1:], terms[0])


class Cell(Composite):
    """Two inputs, four nodes with an edge from every earlier node, the nodes side by side as output."""

    def __init__(self, plan: layouts.CellPlan):
        super().__init__()
        self.inputs = preprocess(plan, affine=False)
        self.edges = [
            MixedOp(plan.channels, layouts.stride(plan.kind, source))
            for node in range(layouts.NODES)
            for source in range(2 + node)
        ]

    def call(self, first, second, probs, training=False):
        """Two maps and probs [14, 8] -> the nodes [B, H, W, 4C]."""
        nodes = [layer(x, training=training) for layer, x in zip(self.inputs, (first, second), strict=True)]
        edge = 0
        for _ in range(layouts.NODES):
            terms = [self.edges[edge + i](node, probs[edge + i], training=training) for i, node in enumerate(nodes)]
            edge += len(nodes)
            nodes.append(sum(terms[1:], terms[0]))
        return keras.ops.concatenate(nodes[2:], axis=-1)


class Supernet(keras.Model):
    """Stem, cells, classifier."""

    def __init__(self, setting: s.Setting):
        super().__init__()
        plans = layouts.cells(setting.channels, setting.cells)
        self.kinds = [plan.kind for plan in plans]
        self.stem = stem(setting.channels)
        self.cells = [Cell(plan) for plan in plans]
        self.classifier = Chain([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(setting.classes)])
        self.built = True

    def call(self, x, normal, reduce, training=False):
        """x [B, H, W, 3] and probs [14, 8] of both cell kinds -> logits [B, classes]."""
        first = second = self.stem(x, training=training)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            probs = normal if kind == "normal" else reduce
            first, second = second, cell(first, second, probs, training=training)
        return self.classifier(second)


def build(setting: s.Setting):
    """The search step of the DARTS supernet."""
    use_cores(setting)
    return search_step(Supernet(setting), setting)
