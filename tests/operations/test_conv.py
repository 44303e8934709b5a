"""Convolutions against SciPy: symmetric padding at any stride, gradients, the mixing weight."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from tf_edd.operations.conv import ConvBN, convolve, strided_shape


def reference(x, kernel, stride):
    """Cross-correlation of the image padded with size // 2 zeros on every side, every stride-th position."""
    pad = kernel.shape[0] // 2
    padded = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    maps = [
        [
            sum(scipy.signal.correlate2d(image[..., i], kernel[..., i, o], "valid") for i in range(kernel.shape[2]))
            for o in range(kernel.shape[3])
        ]
        for image in padded
    ]
    return np.moveaxis(np.array(maps), 1, -1)[:, ::stride, ::stride]


def arrays(height, width, size, channels=(2, 3)):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, height, width, channels[0]))
    return x.astype(np.float32), rng.normal(size=(size, size, *channels)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(8, 8), (7, 6)])
def test_pads_symmetrically(shape, size, stride):
    x, kernel = arrays(*shape, size)
    y = convolve(x, tf.constant(kernel), stride)
    np.testing.assert_allclose(y, reference(x, kernel, stride), rtol=1e-4, atol=1e-4)
    assert strided_shape(x.shape, stride, 3) == y.shape


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_by_their_definition(stride):
    x, kernel = arrays(5, 6, 3)
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = convolve(x, kernel, stride)
        loss = tf.reduce_sum(y * tf.reshape(tf.range(tf.size(y), dtype=tf.float32), y.shape)) / 100
    by_x, by_kernel = tape.gradient(loss, [x, kernel])
    weight = np.arange(np.prod(y.shape)).reshape(y.shape) / 100
    step = np.random.default_rng(1)
    # The convolution is linear in each argument: a difference quotient of any step is exact.
    for gradient, argument, function in (
        (by_x, x, lambda value: reference(value, kernel.numpy(), stride)),
        (by_kernel, kernel, lambda value: reference(x.numpy(), value, stride)),
    ):
        direction = step.normal(size=argument.shape)
        slope = np.sum(weight * (function(argument.numpy() + direction) - function(argument.numpy())))
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-4)


def test_conv_bn_normalizes_the_convolution():
    x, _ = arrays(6, 6, 3)
    layer = ConvBN(3, 3)
    y = layer(x, training=True).numpy()
    z = reference(x, layer.kernel.numpy(), 1)
    expected = (z - z.mean((0, 1, 2))) / np.sqrt(z.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_scale_multiplies_values_and_receives_its_gradient(affine, normalize):
    x, _ = arrays(6, 6, 3)
    layer = ConvBN(3, 3, affine=affine, normalize=normalize)
    layer.build(x.shape)
    if affine and normalize:
        layer.norm.beta.assign([1.0, -2.0, 0.5])
    plain = layer(x, training=True)
    scale = tf.constant(0.3)
    weight = tf.random.stateless_normal(plain.shape, [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(scale)
        y = layer(x, scale=scale, training=True)
        loss = tf.reduce_sum(y * weight)
    np.testing.assert_allclose(y, 0.3 * plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, scale), np.sum(plain * weight), rtol=1e-4)


def test_kernels_start_within_the_reference_bound():
    layer = ConvBN(64, 3)
    layer.build((None, 4, 4, 16))
    bound = 1 / np.sqrt(9 * 16)
    kernel = layer.kernel.numpy()
    assert 0.98 * bound < np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.03)
