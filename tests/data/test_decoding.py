"""Decoding and scaling against Pillow."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_edd.data.decoding import decode, resize_and_crop


def _picture(mode):
    smooth = np.add.outer(np.arange(32) * 5, np.arange(24) * 3)
    noise = np.random.default_rng(0).integers(0, 40, (32, 24, 3))
    return PIL.Image.fromarray((smooth[..., None] // 2 + noise).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_decoded_pixels_are_pillows(kind, mode, channels):
    file = io.BytesIO()
    _picture(mode).save(file, kind)
    with PIL.Image.open(file) as image:
        expected = np.asarray(image).reshape(32, 24, channels)
    np.testing.assert_array_equal(decode(tf.constant(file.getvalue()), channels), expected)


@pytest.mark.parametrize(("shape", "fraction"), [((16, 12, 3), 1.0), ((12, 12, 3), 1.0), ((8, 10, 3), 0.8)])
def test_resize_and_crop_is_that_of_pillow(shape, fraction):
    picture = _picture("RGB")
    scale = max(shape[0] / 32, shape[1] / 24) / fraction
    width, height = round(24 * scale), round(32 * scale)
    left, top = (width - shape[1]) // 2, (height - shape[0]) // 2
    resized = picture.resize((width, height), PIL.Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((left, top, left + shape[1], top + shape[0])), int)
    result = resize_and_crop(tf.constant(np.asarray(picture)), shape, fraction).numpy()
    assert result.dtype == np.uint8 and np.abs(result - expected).max() <= 2


def test_resize_and_crop_leaves_images_of_the_right_size_alone():
    pixels = tf.constant(np.asarray(_picture("RGB")))
    assert resize_and_crop(pixels, (32, 24, 3)) is pixels


@pytest.mark.parametrize("size", [(512, 640), (375, 250), (256, 256)])
def test_the_test_transform_of_imagenet(size):
    """The shorter side becomes 256, then the center of 224 x 224 is cut out."""
    rows, columns = np.indices(size)
    image = np.stack([rows * 255 // size[0], columns * 255 // size[1], 0 * rows], axis=-1).astype(np.uint8)
    result = resize_and_crop(tf.constant(image), (224, 224, 3), 224 / 256).numpy()
    scaled = np.array(size) * 256 / min(size)
    first = (scaled - 224) / 2 / scaled * 255
    np.testing.assert_allclose(result[0, 0, :2], first, atol=2)
    np.testing.assert_allclose(result[-1, -1, :2], 255 - first, atol=3)


@pytest.mark.parametrize("fraction", [1.0, 0.875, 0.5])
@pytest.mark.parametrize("size", [(500, 375), (100, 1500), (1500, 100), (33, 257), (7, 5), (1, 1), (640, 20)])
def test_images_of_ordinary_proportions_are_scaled_as_a_whole(size, fraction):
    """Bit for bit what `tf.image.resize` makes of the whole image, before the center is cut out."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    scale = np.float32(max(np.float32(48) / np.float32(size[0]), np.float32(40) / np.float32(size[1]))) / np.float32(
        fraction
    )
    high, wide = np.maximum(np.round(np.float32(size) * scale).astype(int), (48, 40))
    scaled = np.clip(tf.image.resize(image, (high, wide), antialias=True), 0, 255).round().astype(np.uint8)
    top, left = (high - 48) // 2, (wide - 40) // 2
    result = resize_and_crop(tf.constant(image), (48, 40, 3), fraction)
    np.testing.assert_array_equal(result, scaled[top : top + 48, left : left + 40])


@pytest.mark.parametrize("length", [4000, 4001])
@pytest.mark.parametrize("upright", [True, False])
def test_a_thin_image_is_cut_before_it_is_scaled(length, upright, monkeypatch):
    """Its pixels are p(i) = 37 i mod 251, so the middle of the image shows which pixels were enlarged."""
    line = (np.arange(length) * 37 % 251).astype(np.uint8)
    image = np.repeat(line[:, None, None], 3, axis=2)
    asked, resize = [], tf.image.resize
    monkeypatch.setattr(tf.image, "resize", lambda image, size, **k: asked.append(size) or resize(image, size, **k))
    result = resize_and_crop(tf.constant(image if upright else image.transpose(1, 0, 2)), (64, 64, 3)).numpy()
    assert np.prod(asked) < 70 * 64 * 64  # of the whole image it would be 4000 * 64 * 64
    result = result if upright else result.transpose(1, 0, 2)
    # One pixel is seen, from (length - 1) / 2 to (length + 1) / 2; pixel i has its center at i + 1/2.
    places = length / 2 + (np.arange(64) + 0.5) / 64 - 0.5
    expected = np.interp(places, np.arange(length) + 0.5, line.astype(float))
    assert np.ptp(expected) > 15 and np.abs(result - expected[:, None, None]).max() <= 0.51
