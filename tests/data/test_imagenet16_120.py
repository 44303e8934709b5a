"""ImageNet16-120 from batch files of the published layout that are written here."""

import hashlib
import pickle

import numpy as np
import pytest

from tf_edd.data import TfdsImages
from tf_edd.data.imagenet16_120 import Imagenet16_120, read_batch
from tf_edd.data.normalization import KNOWN_MOMENTS
from tf_edd.errors import UserError

NAMES = [*(f"train_data_batch_{number}" for number in range(1, 11)), "val_data"]
# In each file: the first and the last class that count, one that does not, and one in between.
LABELS = [1, 120, 121, 57, 1000]


def _pixels(number):
    return np.random.default_rng(number).integers(0, 256, (len(LABELS), 3, 16, 16), np.uint8)


def _content(number):
    return {"data": _pixels(number).reshape(len(LABELS), -1), "labels": list(LABELS), "mean": np.zeros(768)}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder of batch files, whose checksums take the place of the published ones."""
    folder = tmp_path / "manual"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(pickle.dumps(_content(number), protocol=2 if number % 2 else 4))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in NAMES}
    monkeypatch.setattr(Imagenet16_120, "CHECKSUMS", sums)
    return folder


def _load(tmp_path, files):
    return TfdsImages("imagenet16_120", download=True, manual_dir=str(files)).load(data_dir=str(tmp_path / "tfds"))


def test_the_first_120_classes(tmp_path, files):
    data = _load(tmp_path, files)
    assert data.image_shape == (16, 16, 3) and data.num_classes == 120
    assert (data.train.size, data.test.size) == (30, 3)
    known = KNOWN_MOMENTS["imagenet16_120"]
    assert (data.mean, data.std) == (known.mean, known.std)
    for images, numbers in ((data.train, range(10)), (data.test, [10])):
        found = set()
        for pixels, labels in images.raw_batches(7).as_numpy_iterator():
            found |= {(image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True)}
        expected = {
            (np.ascontiguousarray(np.moveaxis(image, 0, -1)).tobytes(), label - 1)
            for number in numbers
            for image, label in zip(_pixels(number), LABELS, strict=True)
            if label <= 120
        }
        assert found == expected


def test_prepared_once(tmp_path, files):
    _load(tmp_path, files)
    (files / "val_data").unlink()
    assert _load(tmp_path, files).test.size == 3


def test_the_published_checksums():
    assert sorted(Imagenet16_120.CHECKSUMS) == sorted(NAMES)
    assert {len(text) for text in Imagenet16_120.CHECKSUMS.values()} == {32}
    assert len(set(Imagenet16_120.CHECKSUMS.values())) == 11


def test_another_file_is_refused(tmp_path, files):
    (files / "train_data_batch_3").write_bytes(pickle.dumps(_content(99)))
    with pytest.raises(UserError, match="train_data_batch_3 must have the MD5 checksum .*Received: "):
        _load(tmp_path, files)
    assert not list((tmp_path / "tfds").glob("imagenet16_120/1.0.0"))


def test_a_missing_file(tmp_path, files):
    (files / "train_data_batch_10").unlink()
    with pytest.raises(UserError, match="Expected the file train_data_batch_10 in the folder"):
        _load(tmp_path, files)


def test_no_manual_folder(tmp_path):
    with pytest.raises(UserError, match="manual_dir is their folder(?s:.*)train_data_batch_1"):
        _load(tmp_path, tmp_path / "nowhere")


def test_not_prepared(tmp_path):
    with pytest.raises(UserError, match="tfds build imagenet16_120 --data_dir=.* --imports=tf_edd.data"):
        TfdsImages("imagenet16_120").load(data_dir=str(tmp_path))


class _Attack:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_all_protocols_are_read(tmp_path, protocol):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(_content(1), protocol=protocol))
    images, labels = read_batch(path)
    np.testing.assert_array_equal(images, _pixels(1).transpose(0, 2, 3, 1))
    assert labels.tolist() == LABELS


def _by_python_2() -> bytes:
    """The bytes that Python 2 writes for {"data": uint8 [1, 768] of 'A', "labels": [3]}, protocol 2."""
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    state = b"(K\x01K\x01M\x00\x03\x86" + dtype + b"\x89T\x00\x03\x00\x00" + b"A" * 768 + b"tb"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x06labels]K\x03au."


def test_files_of_python_2_are_read(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(_by_python_2())
    images, labels = read_batch(path)
    assert images.shape == (1, 16, 16, 3) and (images == ord("A")).all() and labels.tolist() == [3]


def test_functions_in_a_pickle_are_not_run(tmp_path, capsys):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({**_content(1), "extra": _Attack()}))
    with pytest.raises(UserError, match="NumPy arrays and plain values only. Received: builtins.print"):
        read_batch(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "dict with 'data' and 'labels'.*Received: list"),
        ({"data": np.zeros((2, 768), np.uint8)}, r"Received: \['data'\]"),
        ({"data": np.zeros((2, 768)), "labels": [1, 2]}, r"uint8 \[N, 768\].*Received: float64"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 2]}, r"Received: uint8 \[2, 3072\]"),
        ({"data": np.zeros((2, 768), np.uint8), "labels": [1]}, r"Received: uint8 \[2, 768\] and int64 \[1\]"),
        ({"data": np.zeros((2, 768), np.uint8), "labels": [0, 1]}, "must start at 1. Received: 0"),
    ],
)
def test_other_layouts(tmp_path, content, message):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=message):
        read_batch(path)


def test_a_damaged_file(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(_content(1))[:-100])
    with pytest.raises(UserError, match="pickled dict of arrays. Received: "):
        read_batch(path)
