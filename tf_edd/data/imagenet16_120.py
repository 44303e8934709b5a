"""ImageNet16-120 for TFDS: the first 120 classes of ImageNet at 16 x 16, from the published batch files.

The data set of NAS-Bench-201 (arXiv 2001.00326): 151,700 training and 6,000 test images of the downsampled ImageNet of
Chrabaszcz et al. (arXiv 1707.08819). Checksums, numbering and the choice of classes are those of its authors' code
(D-X-Y/AutoDL-Projects, `xautodl/datasets/DownsampledImageNet.py`).
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tf_edd.errors import UserError

CLASSES = 120
_PIXELS = 3 * 16 * 16
_TRAIN_FILES = tuple(f"train_data_batch_{number}" for number in range(1, 11))
_TEST_FILES = ("val_data",)


class Imagenet16_120(tfds.core.GeneratorBasedBuilder):  # noqa: N801 (TFDS makes the name of the data set from it)
    """Images [16, 16, 3] with labels 0..119, the splits `train` and `test`."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder must hold train_data_batch_1 .. train_data_batch_10 and val_data, the 16 x 16 ImageNet in the form "
        "that the authors of NAS-Bench-201 distribute (ImageNet16; github.com/D-X-Y/NAS-Bench-201 has the links)."
    )
    CHECKSUMS: ClassVar[dict[str, str]] = {
        "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
        "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
        "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
        "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
        "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
        "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
        "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
        "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
        "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
        "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
        "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
    }

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(16, 16, 3)),
            "label": tfds.features.ClassLabel(num_classes=CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage="https://github.com/D-X-Y/NAS-Bench-201",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        for name in (*_TRAIN_FILES, *_TEST_FILES):
            _check_file(folder / name, self.CHECKSUMS[name])
        return {
            "train": self._generate_examples(folder, _TRAIN_FILES),
            "test": self._generate_examples(folder, _TEST_FILES),
        }

    def _generate_examples(self, folder, names):
        for name in names:
            images, labels = read_batch(folder / name)
            for row in np.flatnonzero(labels <= CLASSES):
                yield f"{name}_{row}", {"image": images[row], "label": int(labels[row]) - 1}


def _check_file(path, expected):
    if not path.is_file():
        raise UserError(f"Expected the file {path.name} in the folder {str(path.parent)!r}. Received: no such file")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "md5") if hasattr(hashlib, "file_digest") else hashlib.md5(file.read())
    if digest.hexdigest() != expected:
        raise UserError(
            f"The file {path.name} must have the MD5 checksum {expected}: another file, or a broken copy. "
            f"Received: {str(path)!r} with {digest.hexdigest()}"
        )


def read_batch(path) -> tuple[np.ndarray, np.ndarray]:
    """Reads one of the batch files.

    Args:
        path: A pickled dict with "data", uint8 [N, 3 * 16 * 16] (channel after channel), and "labels", N numbers
            from 1.

    Returns:
        Images uint8 [N, 16, 16, 3] and labels int64 [N], still from 1.

    Raises:
        UserError: the pickle holds anything but NumPy arrays and plain values, or has another layout.
    """
    content = _ArrayUnpickler(io.BytesIO(Path(path).read_bytes()), path).load()
    if not isinstance(content, dict) or not {"data", "labels"} <= set(content):
        raise UserError(f"Expected a dict with 'data' and 'labels' in {str(path)!r}. Received: {_outline(content)}")
    data, labels = np.asarray(content["data"]), np.asarray(content["labels"])
    if data.dtype != np.uint8 or data.shape != (len(labels), _PIXELS) or labels.dtype.kind not in "iu":
        raise UserError(
            f"Expected 'data' uint8 [N, {_PIXELS}] and N integers as 'labels' in {str(path)!r}. "
            f"Received: {data.dtype} {list(data.shape)} and {labels.dtype} {list(labels.shape)}"
        )
    if len(labels) and labels.min() < 1:
        raise UserError(f"The labels in {str(path)!r} must start at 1. Received: {labels.min()}")
    return data.reshape(-1, 3, 16, 16).transpose(0, 2, 3, 1), labels.astype(np.int64)


def _outline(content):
    return sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__


def _latin1(text, encoding):
    """How Python 3 writes bytes into pickles of the old protocols; other encodings are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes must be encoded as latin1. Received: {encoding!r}")
    return text.encode("latin1")


_RECONSTRUCT = np.empty(0).__reduce__()[0]
_FROM_BUFFER = np.empty(0).__reduce_ex__(5)[0]
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    # These functions lie in different modules in the versions of NumPy that wrote and read a file.
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("core", "_core")},
}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads plain values and NumPy arrays; a pickle that asks for any other function could run any code."""

    def __init__(self, file, path):
        super().__init__(file, encoding="latin1")
        self._path = path

    def load(self):
        try:
            return super().load()
        except UserError:
            raise
        except Exception as error:  # a damaged pickle can raise anything
            raise UserError(f"Expected a pickled dict of arrays. Received: {str(self._path)!r} ({error})") from error

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise UserError(
                f"A batch file may hold NumPy arrays and plain values only. Received: {module}.{name} in "
                f"{str(self._path)!r}"
            )
        return _ALLOWED[module, name]
