"""How layers of this package take part in a case of the goldens: weights in PyTorch's order, and the comparison."""

import functools

import keras
import numpy as np
import tensorflow as tf
from goldens import cases, storage

from tf_edd.networks.auxiliary import AuxiliaryHead
from tf_edd.networks.blocks import Head, Reduction
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.final_network import FinalCell
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.stems import ConvReLU6, EighthStem, QuarterStem
from tf_edd.operations import PRIMITIVES
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN
from tf_edd.operations.mobile import MBConv
from tf_edd.operations.preparations import PREPARATIONS
from tf_edd.operations.separable import DilConv, SepConv
from tf_edd.operations.simple import FactorizedReduce, Identity, Pool, Zero

load = functools.cache(storage.load)


def alternate(kernels, norms):
    return [part for pair in zip(kernels, norms, strict=True) for part in pair]


# Layer -> its parts in the order in which data pass them; the batch norms after poolings have no weights.
PARTS = {
    BatchNorm: lambda layer: [layer.gamma, layer.beta] if layer.affine else [],
    ConvBN: lambda layer: [layer.kernel, *([layer.norm] if layer.normalize else [])],
    SepConv: lambda layer: [*layer.kernels[0], layer.norms[0], *layer.kernels[1], layer.norms[1]],
    DilConv: lambda layer: [*layer.kernels, layer.norm],
    MBConv: lambda layer: alternate(layer.kernels, layer.norms),
    FactorizedReduce: lambda layer: [*layer.kernels, layer.norm],
    Identity: lambda _: [],
    Pool: lambda _: [],
    Zero: lambda _: [],
    Preprocess: lambda layer: layer.layers,
    QuarterStem: lambda layer: [layer.first, layer.second],
    EighthStem: lambda layer: [layer.convolution],
    ConvReLU6: lambda layer: [layer.kernel, layer.batch_norm],
    Reduction: lambda layer: [layer.first, layer.second, layer.shortcut],
    SearchCell: lambda layer: [*preprocessing(layer), *(op for edge in layer.mixed_ops for op in edge.candidates)],
    FinalCell: lambda layer: [*preprocessing(layer), *(op for node in layer.operations for op in node)],
    AuxiliaryHead: lambda layer: [
        *(layer.kernels[0], layer.first_norm, layer.kernels[1]),
        *([layer.second_norm] if layer.last_norm else []),
        layer.classifier,
    ],
    Head: lambda layer: [*([layer.batch_norm] if layer.activate else []), layer.kernel, layer.bias],
}


def preprocessing(cell):
    return [cell.preprocess] if cell.preprocess else []


def ordered(parts) -> list[keras.Variable]:
    """The trainable variables of some layers, in the order in which data pass them."""
    variables = []
    for part in parts:
        variables += [part] if isinstance(part, keras.Variable) else ordered(PARTS[type(part)](part))
    return variables


def to_torch(value) -> np.ndarray:
    """A kernel [k, k, in, out], a matrix [in, out] or a vector in PyTorch's order; depthwise kernels have out = 1."""
    value = np.asarray(value)
    if value.ndim != 4:
        return value.T
    return value.transpose(2, 3, 0, 1) if value.shape[3] == 1 else value.transpose(3, 2, 0, 1)


def from_torch(value: np.ndarray, depthwise: bool) -> np.ndarray:
    """The inverse of `to_torch`."""
    if value.ndim != 4:
        return value.T
    return value.transpose(2, 3, 0, 1) if depthwise else value.transpose(2, 3, 1, 0)


def assign_drawn(case: cases.Case, layers) -> list[keras.Variable]:
    """Gives all weights the numbers that PyTorch's parameters have in the goldens; returns the variables."""
    variables, draw = ordered(layers), cases.parameters(case)
    assert len({id(v) for v in variables}) == sum(len(layer.trainable_variables) for layer in layers)
    for variable in variables:
        value = draw(to_torch(np.empty(variable.shape)).shape)
        variable.assign(from_torch(value, depthwise=variable.shape[-1] == 1))
    return variables


def loss_of(case: cases.Case, outputs) -> tf.Tensor:
    """Cross entropy, that of an auxiliary head with its weight; or the product with random numbers."""
    if not case.classes:
        directions = cases.upstream(case, [output.shape for output in outputs])
        return tf.add_n([tf.reduce_sum(y * direction) for y, direction in zip(outputs, directions, strict=True)])
    losses = [
        tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(cases.labels(case), logits)) for logits in outputs
    ]
    return losses[0] + cases.AUXILIARY_WEIGHT * sum(losses[1:])


def check(case: cases.Case, group: str, function, layers) -> None:
    """Compares outputs in training, loss, all gradients, and outputs in evaluation with those of PyTorch.

    Args:
        case: One of `cases.GROUPS[group]`.
        group: The file.
        function: Called as `function(inputs, *tables, training=...)`; inputs and outputs are lists.
        layers: Those of `function`, in the order in which data pass them.
    """
    variables = assign_drawn(case, layers)
    inputs, tables = ([tf.constant(each) for each in draw(case)] for draw in (cases.maps, cases.tables))
    with tf.GradientTape() as tape:
        tape.watch([*inputs, *tables])
        outputs = function(inputs, *tables, training=True)
        loss = loss_of(case, outputs)
    slopes = tape.gradient(
        loss,
        {"inputs": inputs, "tables": tables, "parameters": [variable.value for variable in variables]},
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    slopes["parameters"] = [to_torch(slope) for slope in slopes["parameters"]]
    arrays = {f"outputs/{i}": output for i, output in enumerate(outputs)}
    arrays["loss"] = loss
    for name, several in slopes.items():
        arrays |= {f"by_{name}/{i}": slope for i, slope in enumerate(several)}
    if case.evaluates:
        evaluated = function(inputs, *tables, training=False)
        arrays |= {f"evaluated/{i}": output for i, output in enumerate(evaluated)}
    record = {key: storage.summary(array, case.kept) for key, array in arrays.items()}
    storage.assert_close(record, load(group)[0][case.name], case.tolerance, case.name)


def build_operation(name, width, channels, stride, pool_norm, **norm):
    """The candidate of a case; the fixed bottleneck of a mobile network has no row in the table of candidates."""
    if name == "mbconv_k3_e1":
        return MBConv(channels, 3, stride, 1, **norm)
    return PRIMITIVES[name].build(channels, stride, **norm, **({"pool_norm": True} if pool_norm else {}))


def check_operation(case: cases.Case, group: str) -> None:
    """As `check`, for a candidate operation, which reads a prepared input and multiplies by the mixing weight."""
    operation = build_operation(**case.arguments)
    operation.build(case.inputs[0])

    def call(inputs, weight, training):
        output = operation.call(PREPARATIONS[operation.preparation](inputs[0]), weight, training=training)
        assert operation.compute_output_shape(case.inputs[0]) == output.shape
        return [output]

    check(case, group, call, [operation])
