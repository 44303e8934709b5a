"""What comparisons with PyTorch share: weights in the order of a PyTorch module, layouts, the tolerance."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.networks.auxiliary import AuxiliaryHead
from tf_edd.networks.blocks import Head
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.final_network import FinalCell
from tf_edd.networks.preprocess import Preprocess
from tf_edd.networks.stems import EighthStem, QuarterStem
from tf_edd.operations.batch_norm import BatchNorm
from tf_edd.operations.conv import ConvBN
from tf_edd.operations.separable import DilConv, SepConv
from tf_edd.operations.simple import FactorizedReduce, Identity, Pool, Zero

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # for maps as small as these, threads that wait for each other cost most of the time

# Layer -> its parts in the order in which data pass them; the batch norms after poolings have no weights.
PARTS = {
    BatchNorm: lambda layer: [layer.gamma, layer.beta] if layer.affine else [],
    ConvBN: lambda layer: [layer.kernel, layer.norm],
    SepConv: lambda layer: [*layer.kernels[0], layer.norms[0], *layer.kernels[1], layer.norms[1]],
    DilConv: lambda layer: [*layer.kernels, layer.norm],
    FactorizedReduce: lambda layer: [*layer.kernels, layer.norm],
    Identity: lambda _: [],
    Pool: lambda _: [],
    Zero: lambda _: [],
    Preprocess: lambda layer: layer.layers,
    QuarterStem: lambda layer: [layer.first, layer.second],
    EighthStem: lambda layer: [layer.convolution],
    SearchCell: lambda layer: [layer.preprocess, *(op for edge in layer.mixed_ops for op in edge.candidates)],
    FinalCell: lambda layer: [layer.preprocess, *(op for node in layer.operations for op in node)],
    AuxiliaryHead: lambda layer: [
        *(layer.kernels[0], layer.first_norm, layer.kernels[1]),
        *([layer.second_norm] if layer.last_norm else []),
        layer.classifier,
    ],
    Head: lambda layer: [layer.kernel, layer.bias],
}


def ordered(parts) -> list[keras.Variable]:
    """The trainable variables of some layers, in the order in which data pass them."""
    variables = []
    for part in parts:
        variables += [part] if isinstance(part, keras.Variable) else ordered(PARTS[type(part)](part))
    return variables


def to_torch(value):
    """A kernel [k, k, in, out], a matrix [in, out] or a vector in PyTorch's order; depthwise kernels have out = 1."""
    value = np.asarray(value)
    if value.ndim != 4:
        return value.T
    return value.transpose(2, 3, 0, 1) if value.shape[3] == 1 else value.transpose(3, 2, 0, 1)


def maps(x):
    """[B, H, W, C] as PyTorch's [B, C, H, W], float64, to be differentiated by."""
    return torch.tensor(np.asarray(x, np.float64).transpose(0, 3, 1, 2), requires_grad=True)


def values(tensor):
    """A PyTorch tensor as an array, maps as [B, H, W, C]."""
    array = tensor.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def copy_randomised(layers, module, spread=0.3):
    """Perturbs all variables and copies them to the module, in float64; returns the variables."""
    variables, rng = ordered(layers), np.random.default_rng(2)
    assert len({id(v) for v in variables}) == sum(len(layer.trainable_variables) for layer in layers)
    module.double()
    for ours, theirs in zip(variables, module.parameters(), strict=True):
        ours.assign(ours + spread * rng.normal(size=ours.shape))
        assert to_torch(ours.numpy()).shape == tuple(theirs.shape)
        theirs.data = torch.tensor(to_torch(ours.numpy()), dtype=torch.float64)
    return variables


def close(ours, theirs):
    """Equal to 1e-4, of each number and of the largest."""
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * max(1, np.abs(theirs).max()))


def check_gradients(tape, loss, sources, variables, module, theirs):
    """Compares gradients by `sources` (with PyTorch's in `theirs`) and by all weights."""
    slopes = tape.gradient(loss, [*sources, *(variable.value for variable in variables)])
    for slope, other in zip(slopes, theirs, strict=False):
        close(slope, values(other.grad))
    for slope, parameter in zip(slopes[len(sources) :], module.parameters(), strict=True):
        close(to_torch(slope), parameter.grad)


def check_equal(function, module, layers, inputs, *tables, evaluates=False):
    """Compares outputs in training, gradients by inputs and weights, and outputs in evaluation.

    Args:
        function: called as `function(inputs, *tables, training=...)`; inputs and outputs are lists of arrays.
        module: PyTorch's, called as `module(*inputs, *tables)`.
        layers: those of `function`, in the order of the module's parameters.
        inputs: maps [B, H, W, C].
        tables: other tensors to be differentiated by.
        evaluates: whether evaluation uses the moving averages of the training step.
    """
    variables = copy_randomised(layers, module)
    ours = [tf.constant(each) for each in (*inputs, *tables)]
    theirs = [*map(maps, inputs), *(torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in tables)]
    count = len(inputs)
    with tf.GradientTape() as tape:
        tape.watch(ours)
        outputs = function(ours[:count], *ours[count:], training=True)
        rng = np.random.default_rng(3)
        upstream = [rng.normal(size=output.shape).astype(np.float32) for output in outputs]
        loss = tf.add_n([tf.reduce_sum(y * u) for y, u in zip(outputs, upstream, strict=True)])
    expected = module.train()(*theirs)
    for output, other in zip(outputs, expected, strict=True):
        close(output, values(other))
    weights = [maps(u) if u.ndim == 4 else torch.tensor(u) for u in upstream]
    sum((y * u).sum() for y, u in zip(expected, weights, strict=True)).backward()
    check_gradients(tape, loss, ours, variables, module, theirs)
    if evaluates:
        outputs = function(ours[:count], *ours[count:], training=False)
        for output, other in zip(outputs, module.eval()(*theirs), strict=True):
            close(output, values(other))
