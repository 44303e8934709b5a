"""Folders of images, good and bad."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_edd.data import Flip, ImageFolder, RandomResizedCrop, split
from tf_edd.data import images as programs
from tf_edd.errors import UserError


def _write(path, shape=(6, 9, 3), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    PIL.Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(path)
    return pixels


def _flat(root, classes=("cat", "dog", "owl"), count=5, shape=(6, 9, 3)):
    return {
        (name, number): _write(root / name / f"{number}.png", shape, 100 * label + number)
        for label, name in enumerate(classes)
        for number in range(count)
    }


def _stored(images):
    batches = list(images.raw_batches(4).as_numpy_iterator())
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("shape", [(6, 9, 3), (7, 5, 1)])
def test_class_folders(tmp_path, shape, in_memory):
    written = _flat(tmp_path, shape=shape)
    data = ImageFolder(str(tmp_path), in_memory=in_memory).load()
    assert data.class_names == ("cat", "dog", "owl") and data.image_shape == shape
    assert (data.train.size, data.test.size) == (12, 3)
    pixels, labels = (np.concatenate(part) for part in zip(_stored(data.train), _stored(data.test), strict=True))
    found = {(image.tobytes(), data.class_names[label]) for image, label in zip(pixels, labels, strict=True)}
    assert found == {(image.tobytes(), name) for (name, _), image in written.items()}
    train, _ = _stored(data.train)
    np.testing.assert_allclose(data.mean, (train / 255).mean((0, 1, 2)), rtol=1e-9)


def test_train_and_test_folders_agree_with_tfds(tmp_path):
    _flat(tmp_path / "train")
    _flat(tmp_path / "test", count=2)
    data = ImageFolder(tmp_path.name).load(data_dir=str(tmp_path.parent))
    builder = tfds.ImageFolder(str(tmp_path))
    assert data.class_names == tuple(builder.info.features["label"].names)
    for name, images in (("train", data.train), ("test", data.test)):
        expected = {(e["image"].tobytes(), int(e["label"])) for e in tfds.as_numpy(builder.as_dataset(name))}
        assert {(i.tobytes(), int(k)) for i, k in zip(*_stored(images), strict=True)} == expected


def test_files_and_memory_give_the_same_batches(tmp_path):
    _flat(tmp_path)
    splits = [split(ImageFolder(str(tmp_path), in_memory=kind).load().train, 6, 6, seed=1) for kind in (True, False)]
    assert splits[0].record == splits[1].record
    for first, second in zip(*(part.valid.batches(2, 0, 5, skip=1) for part in splits), strict=True):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])


def test_sizes_are_made_equal_without_distortion(tmp_path):
    for name in ("a", "b"):
        for number in range(2):
            white = np.full((20, 40, 3), 255, np.uint8)
            white[:, :10] = white[:, 30:] = 0  # the center square is white
            (tmp_path / name).mkdir(exist_ok=True)
            PIL.Image.fromarray(white).save(tmp_path / name / f"{number}.png")
    data = ImageFolder(str(tmp_path), image_size=(10, 10)).load()
    assert data.image_shape == (10, 10, 3)
    assert _stored(data.train)[0][:, :, 1:-1].min() == 255


def test_channels_can_be_chosen(tmp_path):
    _flat(tmp_path)
    assert ImageFolder(str(tmp_path), channels=1).load().image_shape == (6, 9, 1)


def test_one_gray_file_does_not_turn_the_others_gray(tmp_path):
    written = _flat(tmp_path, classes=("cat", "dog"))
    gray = _write(tmp_path / "ant" / "0.png", (6, 9, 1)), _write(tmp_path / "ant" / "1.png", (6, 9, 1), 1)
    data = ImageFolder(str(tmp_path)).load()
    assert data.image_shape == (6, 9, 3)
    assert data.notes == ("2 of 12 files are gray; all are read as RGB (see ImageFolder.channels)",)
    found = {image.tobytes() for image in np.concatenate([_stored(data.train)[0], _stored(data.test)[0]])}
    assert found == {image.tobytes() for image in [*written.values(), *(np.repeat(image, 3, -1) for image in gray)]}
    assert ImageFolder(str(tmp_path), channels=1).load().notes == ()


def test_notes_tell_of_cropped_images_and_skipped_files(tmp_path, monkeypatch):
    _flat(tmp_path)
    _write(tmp_path / "cat" / "big.png", (12, 9, 3))
    for name in ("cat/a.gif", "cat/b.gif", "dog/c.webp"):
        (tmp_path / name).write_bytes(b"GIF")
    logged = []
    monkeypatch.setattr(programs.logging, "info", logged.append)
    loader = ImageFolder(str(tmp_path), image_size=(6, 9))
    data = loader.load()
    assert data.notes == (
        "1 of 16 images are scaled and cropped around the center, to 6 x 9",
        "skipped: 2 .gif, 1 .webp (only .jpg, .jpeg, .png files are read)",
    )
    assert logged == []  # a dry run tells them itself
    data.log_notes()
    loader.load().log_notes()
    assert logged == [f"{tmp_path.name}: {note}" for note in data.notes]
    assert ImageFolder(str(tmp_path), image_size=(6, 9), crop_fraction=0.5).load().notes[0].startswith("16 of 16")


def test_notes_tell_of_turned_photos(tmp_path):
    _flat(tmp_path)
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.new("RGB", (9, 6)).save(tmp_path / "cat" / "photo.jpg", exif=exif)
    (note,) = ImageFolder(str(tmp_path)).load().notes
    assert note == "1 of 16 files have an EXIF orientation, which is not applied: turn them first"


def test_the_class_of_a_single_image_is_named(tmp_path):
    _flat(tmp_path)
    _write(tmp_path / "yak" / "0.png")
    with pytest.raises(UserError, match="train/ and test/. Received: one image of 'yak'"):
        ImageFolder(str(tmp_path)).load()


def test_notes_are_not_recorded(tmp_path):
    _flat(tmp_path)
    plain = ImageFolder(str(tmp_path)).load()
    (tmp_path / "cat" / "notes.txt").write_text("")
    noted = ImageFolder(str(tmp_path)).load()
    assert noted.notes and noted.describe() == plain.describe()


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="Received: .*nowhere"):
        ImageFolder(str(tmp_path / "nowhere")).load()


def test_empty_folder(tmp_path):
    with pytest.raises(UserError, match="at least two class folders"):
        ImageFolder(str(tmp_path)).load()


def test_one_class(tmp_path):
    _flat(tmp_path, classes=("cat",))
    with pytest.raises(UserError, match=r"at least two class folders.*Received: \['cat'\]"):
        ImageFolder(str(tmp_path)).load()


def test_class_without_images(tmp_path):
    _flat(tmp_path)
    (tmp_path / "ant").mkdir()
    with pytest.raises(UserError, match="Expected images.*ant"):
        ImageFolder(str(tmp_path)).load()


def test_unknown_class_in_the_test_folder(tmp_path):
    _flat(tmp_path / "train")
    _flat(tmp_path / "test", classes=("cat", "dog", "owl", "yak"))
    with pytest.raises(UserError, match="yak"):
        ImageFolder(str(tmp_path)).load()


def test_different_sizes_need_image_size(tmp_path):
    _flat(tmp_path)
    _write(tmp_path / "cat" / "big.png", (8, 9, 3))
    with pytest.raises(UserError, match="image_size = .*big.png"):
        ImageFolder(str(tmp_path)).load()


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
@pytest.mark.parametrize("image_size", [None, (4, 4)])
def test_corrupt_image_is_named(tmp_path, damage, in_memory, image_size):
    _flat(tmp_path)
    bad = tmp_path / "dog" / "3.png"
    content = {"truncated": bad.read_bytes()[:100], "text": b"no image at all", "empty": b""}[damage]
    bad.write_bytes(content)
    with pytest.raises(
        UserError, match=r"readable PNG or JPEG files.*Received: 1 of 15 files: '.*dog.3.png' \([^{]*\)$"
    ):
        ImageFolder(str(tmp_path), in_memory=in_memory, image_size=image_size).load()


@pytest.mark.parametrize(
    "bad",
    [
        {"image_size": (4,)},
        {"image_size": 32},
        {"image_size": (0, 4)},
        {"crop_fraction": 0.0},
        {"channels": 2},
        {"test_fraction": 1.0},
        {"in_memory": "perhaps"},
        {"memory_limit": "4 GB"},
        {"test_fraction": "a fifth"},
        {"crop_fraction": "all"},
        {"seed": -1},
    ],
)
def test_bad_arguments(tmp_path, bad):
    with pytest.raises(UserError, match="Received"):
        ImageFolder(str(tmp_path), **bad)


def test_jpeg_with_large_margin(tmp_path):
    for name in ("a", "b"):
        for number in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            PIL.Image.fromarray(np.full((30, 30, 3), 128, np.uint8)).save(tmp_path / name / f"{number}.JPG")
    data = ImageFolder(str(tmp_path), image_size=(16, 12), crop_fraction=0.5).load()
    images, _ = _stored(data.train)
    assert images.shape == (2, 16, 12, 3) and np.abs(images.astype(int) - 128).max() <= 2
    assert next(iter(data.train.batches(2, 0, 0)))[0].dtype == tf.float32


def _wide_and_high(root):
    """Images of several sizes; no window of ten pixels occurs twice."""
    shapes = [(30, 44, 3), (41, 23, 3), (20, 20, 3)]
    return {
        (name, number): _write(root / name / f"{number}.png", shapes[number % 3], 100 * label + number)
        for label, name in enumerate(("a", "b"))
        for number in range(9)
    }


def _windows(image):
    rows, columns = image.shape[0] - 9, image.shape[1] - 9
    return {image[y : y + 10, x : x + 10].tobytes() for y in range(rows) for x in range(columns)}


def test_random_resized_crop_sees_the_whole_file(tmp_path):
    files = _wide_and_high(tmp_path)
    data = ImageFolder(str(tmp_path), image_size=(10, 10), in_memory=False).load()
    # A quarter of the area of the 20 x 20 files is a window of 10 x 10, which is not resized.
    augment = [Flip(), RandomResizedCrop(scale=(0.25, 0.25), ratio=(1.0, 1.0))]
    windows = set.union(*(_windows(image) for image in files.values() if image.shape == (20, 20, 3)))
    windows |= {np.frombuffer(w, np.uint8).reshape(10, 10, 3)[:, ::-1].tobytes() for w in windows}
    seen = set()
    for epoch in range(4):
        for images, _ in data.train.batches(7, 0, epoch, augment=augment).as_numpy_iterator():
            pixels = np.round((images * np.array(data.std) + np.array(data.mean)) * 255).astype(np.uint8)
            seen |= {image.tobytes() for image in pixels} & windows
    assert len(seen) > 10  # five such files or so in four epochs: their windows differ


@pytest.mark.parametrize("skip", [1, 4])
def test_random_resized_crop_of_files_continues_after_skip(tmp_path, skip):
    _wide_and_high(tmp_path)
    data = ImageFolder(str(tmp_path), image_size=(10, 12), in_memory=False).load()
    augment = [RandomResizedCrop(), Flip()]

    def epoch(number, skip=0, seed=5):
        return [images for images, _ in data.train.batches(3, seed, number, skip, augment).as_numpy_iterator()]

    whole = epoch(2)
    assert whole[0].shape == (3, 10, 12, 3) and len(whole) == 4
    np.testing.assert_array_equal(whole[skip:], epoch(2, skip))
    plain = next(data.train.batches(3, 5, 2).as_numpy_iterator())[0]
    assert not np.array_equal(whole[0], plain)
    assert len({np.sort(np.concatenate(epoch(*key)), axis=None).tobytes() for key in ((2,), (3,), (2, 0, 6))}) == 3


def test_evaluation_is_not_cropped_at_random(tmp_path):
    _wide_and_high(tmp_path)
    data = ImageFolder(str(tmp_path), image_size=(10, 12), in_memory=False).load()
    first, second = (next(data.test.batches(3, seed, 0, shuffle=False).as_numpy_iterator())[0] for seed in (0, 1))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("in_memory", [True, False])
def test_stratified_splits(tmp_path, in_memory):
    _flat(tmp_path, count=10)
    data = ImageFolder(str(tmp_path), in_memory=in_memory, stratified=True).load()
    splits = split(data.train, 0.5, 0.25, seed=1)
    counts = [np.bincount(_stored(part)[1]).tolist() for part in splits[:2]]
    assert counts == [[4, 4, 4], [2, 2, 2]]
    other = split(ImageFolder(str(tmp_path), in_memory=not in_memory, stratified=True).load().train, 0.5, 0.25, seed=1)
    assert other.record == splits.record
