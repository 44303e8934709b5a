"""The sets of images of `own_images.py`, written as class folders of PNG files: train/CLASS and test/CLASS."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A set of images.

    Attributes:
        source: `photos`, `cifar10` or `digits`.
        classes: How many, the first by name; None for all.
        train: Training images of each class; None for all.
        test: Test images of each class; None for all.
        image_size: (height, width) in the folders and in the network.
        gray: Whether color is dropped.
        flip: Whether a mirrored image is still one of its class.
    """

    source: str
    classes: int | None = None
    train: int | None = None
    test: int | None = None
    image_size: tuple[int, int] = (32, 32)
    gray: bool = False
    flip: bool = True


SETS = {
    "photos": ImageSet("photos", image_size=(64, 64)),
    "photos_50": ImageSet("photos", train=50, image_size=(64, 64)),
    "photos_gray": ImageSet("photos", train=200, image_size=(32, 48), gray=True),
    "cifar_5x100": ImageSet("cifar10", classes=5, train=100, test=400),
    "cifar_10x500": ImageSet("cifar10", train=500, test=400),
    "cifar_2x200": ImageSet("cifar10", classes=2, train=200, test=1000),
    "digits": ImageSet("digits", image_size=(8, 8), gray=True, flip=False),
}


def write_set(name: str, folder: Path, photos: str | None, data_dir: str | None) -> Path:
    """The folder of a set; written if it is not there. Which images belong to it is drawn with seed 0.

    Args:
        name: Key of `SETS`.
        folder: Where the folders of all sets lie.
        photos: Folder of the photographs.
        data_dir: TFDS folder with CIFAR-10.
    """
    chosen, target = SETS[name], folder / name
    if target.is_dir():
        return target
    unfinished = folder / f"{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    read = {"photos": lambda: _photos(photos), "cifar10": lambda: _cifar10(data_dir), "digits": _digits}[chosen.source]
    for split, classes in read().items():
        for label in sorted(classes)[: chosen.classes]:
            images, count = classes[label], {"train": chosen.train, "test": chosen.test}[split]
            order = np.random.default_rng(0).permutation(len(images))[:count]
            place = unfinished / split / label
            place.mkdir(parents=True)
            for number in order:
                _fitted(images[number](), chosen).save(place / f"{number:05d}.png")
    unfinished.rename(target)
    return target


def _fitted(image: Image.Image, chosen: ImageSet) -> Image.Image:
    """The image in the size of the set: scaled until it covers it, and cropped around the center."""
    height, width = chosen.image_size
    image = image.convert("L" if chosen.gray else "RGB")
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    size = [max(round(side * scale), least) for side, least in zip(image.size, (width, height), strict=True)]
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _photos(folder: str | None) -> dict:
    """Split -> class -> functions that open an image."""
    if folder is None:
        raise SystemExit("--photos is needed: a folder with train/CLASS and test/CLASS")
    found: dict = {"train": {}, "test": {}}
    for path in sorted(Path(folder).glob("*/*/*")):
        found[path.parts[-3]].setdefault(path.parts[-2], []).append(lambda path=path: Image.open(path))
    return found


def _cifar10(data_dir: str | None) -> dict:
    import tensorflow_datasets as tfds

    if data_dir is None:
        raise SystemExit("--data_dir is needed: a TFDS folder with CIFAR-10")
    builder = tfds.builder("cifar10", data_dir=data_dir)
    names, found = builder.info.features["label"].names, {"train": {}, "test": {}}
    for split, classes in found.items():
        for row in tfds.as_numpy(builder.as_dataset(split=split)):
            opened = classes.setdefault(names[row["label"]], [])
            opened.append(lambda pixels=row["image"]: Image.fromarray(pixels))
    return found


def _digits() -> dict:
    """Scikit-learn's digits, every fifth for the test."""
    from sklearn.datasets import load_digits

    digits, found = load_digits(), {"train": {}, "test": {}}
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        pixels = np.round(pixels * 255 / 16).astype(np.uint8)
        opened = found["test" if number % 5 == 0 else "train"].setdefault(str(label), [])
        opened.append(lambda pixels=pixels: Image.fromarray(pixels))
    return found
