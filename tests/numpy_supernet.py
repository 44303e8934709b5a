"""The supernet of NAS-Bench-201 once more, in float64 NumPy, from nothing but its description.

Batch statistics everywhere; cells without learned scale and offset; `weights` in the order of the Keras variables.
"""

import numpy as np

EPSILON = 1e-5
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]  # (from, to), the rows of the probabilities


def convolve(x, kernel, stride=1):
    pad = kernel.shape[0] // 2
    height, width = x.shape[1:3]
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    positions = np.ndindex(*kernel.shape[:2])
    return sum(x[:, i : i + height : stride, j : j + width : stride] @ kernel[i, j] for i, j in positions)


def normalize(x, gamma=1.0, beta=0.0):
    return gamma * (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + EPSILON) + beta


def pool_3x3(x):
    """Averages over the pixels that exist."""

    def sums(values):
        padded = np.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)])
        height, width = values.shape[1:3]
        return sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3))

    return sums(x) / sums(np.ones_like(x))


def pool_2x2(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def relu(x):
    return np.maximum(x, 0)


def shuffle(x, groups):
    """The channel shuffle of PC-DARTS as released, on [B, C, H, W]: view, transpose, view."""
    x = np.moveaxis(x, -1, 1)
    batch, channels, height, width = x.shape
    x = x.reshape(batch, groups, channels // groups, height, width).transpose(0, 2, 1, 3, 4)
    return np.moveaxis(x.reshape(batch, channels, height, width), 1, -1)


def cell(x, probs, kernels, groups=1, auxiliary=0.0, masks=(1,) * 6):
    """With `groups` the first of so many parts of the channels passes the candidates, edge by edge, as PC-DARTS does.

    `auxiliary` weighs a skip connection beside each edge, `masks` multiply the outputs of the edges.
    """
    nodes = [x, 0, 0, 0]
    for (source, target), row, mask in zip(EDGES, probs, masks, strict=True):
        _, skip, conv_1x1, conv_3x3, pool = row
        whole = nodes[source]
        h, rest = np.split(whole, [whole.shape[-1] // groups], axis=-1)
        small, large = next(kernels), next(kernels)
        mixture = skip * h + pool * pool_3x3(h)
        mixture = mixture + conv_1x1 * normalize(convolve(relu(h), small))
        mixture = mixture + conv_3x3 * normalize(convolve(relu(h), large))
        mixture = shuffle(np.concatenate([mixture, sum(row) * rest], axis=-1), groups)
        nodes[target] = nodes[target] + mask * (mixture + auxiliary * whole)
    return nodes[3]


def reduction(x, kernels):
    first, gamma, beta = next(kernels), next(kernels), next(kernels)
    y = normalize(convolve(relu(x), first, stride=2), gamma, beta)
    second, gamma, beta = next(kernels), next(kernels), next(kernels)
    y = normalize(convolve(relu(y), second), gamma, beta)
    return y + convolve(pool_2x2(x), next(kernels))


def single_path_cell(x, weights, kernels):
    """As GDAS' released code has it: the candidate of the largest weight, and the other weights as numbers."""
    nodes = [x, 0, 0, 0]
    for (source, target), row in zip(EDGES, weights, strict=True):
        h, chosen = nodes[source], np.argmax(row)
        small, large = next(kernels), next(kernels)
        outputs = [
            lambda h: 0 * h,
            lambda h: h,
            lambda h, kernel=small: normalize(convolve(relu(h), kernel)),
            lambda h, kernel=large: normalize(convolve(relu(h), kernel)),
            pool_3x3,
        ]
        nodes[target] = nodes[target] + row[chosen] * outputs[chosen](h) + sum(np.delete(row, chosen))
    return nodes[3]


def forward(images, probs, weights, cells_per_stage=1, cell=cell, **around):
    """Logits [B, classes] of images [B, H, W, C] for probabilities [6, 5]."""
    kernels = iter([np.asarray(weight, np.float64) for weight in weights])
    x = normalize(convolve(np.asarray(images, np.float64), next(kernels)), next(kernels), next(kernels))
    for stage in range(3):
        if stage:
            x = reduction(x, kernels)
        for _ in range(cells_per_stage):
            x = cell(x, np.asarray(probs, np.float64), kernels, **around)
    # Keras lists a layer's own weights before those of its sub-layers: the classifier comes before its batch norm.
    kernel, bias, gamma, beta = kernels
    x = relu(normalize(x, gamma, beta))
    return x.mean((1, 2)) @ kernel + bias
