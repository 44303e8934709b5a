"""Headers of image files, and the one error for all that cannot be read."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from tf_edd.data.image_files import read_headers, unreadable
from tf_edd.errors import UserError


def picture(path, mode="RGB", size=(5, 4)):
    PIL.Image.fromarray(np.full((*size[::-1], 3), 90, np.uint8)).convert(mode).save(path)
    return str(path)


def header_of_a_png(width, height):
    """The first bytes of a PNG that claims to be of this size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 10) + b"IDAT"


def png_with_text(size):
    """A PNG with a compressed text of so many bytes."""
    info = PIL.PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * size, zip=True)
    return encoded("PNG", pnginfo=info)


def encoded(image_format, **options):
    file = io.BytesIO()
    PIL.Image.new("RGB", (5, 4), (200, 90, 10)).save(file, image_format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "gray"), [("RGB", False), ("RGBA", False), ("P", False), ("L", True), ("LA", True), ("1", True)]
)
def test_size_and_color(tmp_path, mode, gray):
    headers = read_headers([picture(tmp_path / "a.png", mode), picture(tmp_path / "b.png", "RGB", (7, 2))])
    assert headers.sizes.tolist() == [[4, 5], [2, 7]] and headers.gray.tolist() == [gray, False]
    assert headers.turned.tolist() == [False, False]


def test_sixteen_bit_is_gray(tmp_path):
    PIL.Image.fromarray(np.zeros((4, 5), np.uint16)).save(tmp_path / "a.png")
    assert read_headers([str(tmp_path / "a.png")]).gray.tolist() == [True]


def exif(orientation):
    tags = PIL.Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_turned_image_is_told(tmp_path, suffix):
    contents = {
        "plain": b"",
        "upright": exif(1),
        "turned": exif(6),
        "damaged": b"Exif\0\0no TIFF header",
        "odd": exif(9),
    }
    paths = [str(tmp_path / f"{name}.{suffix}") for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        PIL.Image.new("RGB", (5, 4)).save(path, **({"exif": content} if content else {}))
    assert read_headers(paths).turned.tolist() == [False, False, True, False, False]


def test_a_photo_of_a_hundred_megapixels_is_no_warning(tmp_path):
    """90 million pixels are where Pillow begins to warn; 179 million it refuses."""
    (tmp_path / "a.png").write_bytes(header_of_a_png(10_000, 10_000))
    assert read_headers([str(tmp_path / "a.png")]).sizes.tolist() == [[10_000, 10_000]]
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"b.png' \(no image that Pillow knows\)"):
        read_headers([str(tmp_path / "a.png"), str(tmp_path / "b.png")])


def test_all_unreadable_files_are_named_at_once(tmp_path):
    good = [picture(tmp_path / f"good{number}.jpg") for number in range(3)]
    contents = {
        "cut.png": (tmp_path / picture(tmp_path / "whole.png")).read_bytes()[:60],
        "empty.png": b"",
        "huge.png": header_of_a_png(30_000, 30_000),
        "text.jpg": b"no image at all",
        "chunk.png": png_with_text(3_000_000),
        "web.png": encoded("WEBP"),
        "animation.png": encoded("GIF"),
        "animation.jpg": encoded("GIF"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    bad = [str(tmp_path / name) for name in contents]
    with pytest.raises(UserError, match="remove or replace those that are not. Received: 8 of 11 files: ") as raised:
        read_headers([*good, *bad])
    message = str(raised.value)
    assert all(path in message for path in bad) and not any(path in message for path in good)
    assert "huge.png' (too large: Image size (900000000 pixels)" in message
    assert "text.jpg' (no image that Pillow knows)" in message
    assert "chunk.png' (decompressed data too large" in message.lower()  # Pillow 10.0 capitalizes each word
    assert "web.png' (a WEBP file with another suffix)" in message
    assert "animation.png' (a GIF file with" in message and "animation.jpg' (a GIF file with" in message
    assert "{{" not in message and "[Op:" not in message and "\n" not in message


def test_a_missing_file_has_the_reason_of_the_system(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.png' \(No such file or directory\)"):
        read_headers([str(tmp_path / "nowhere.png")])


def test_ten_files_are_named(tmp_path):
    paths = [str(tmp_path / f"{number:02}.png") for number in range(13)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"x")
    message = str(unreadable(paths))
    assert "13 of 13" in message and "09.png" in message and "10.png" not in message and message.endswith("and 3 more")


def test_without_a_culprit_the_first_error_is_told(tmp_path):
    message = "{{function_node __wrapped__X_device_/job:localhost/a}} Out of range [Op:X] name: \nmore"
    error = unreadable([picture(tmp_path / "a.png")], 3, message)
    assert str(error) == "Expected readable PNG or JPEG files. Received: Out of range"
