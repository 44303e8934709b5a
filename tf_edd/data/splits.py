"""Parts of the training images: the splits of a search."""

from typing import NamedTuple

from tf_edd.data.images import Images
from tf_edd.errors import UserError


class Splits(NamedTuple):
    """The two parts of a split; `record` is a JSON-able dict of what was asked for and what was chosen."""

    train: Images
    valid: Images
    record: dict


def split(images: Images, train: int | float, valid: int | float, seed: int) -> Splits:
    """Two disjoint random parts of the training images: one for the weights, one for the architecture.

    Args:
        images: Usually `ImageData.train`.
        train: Images of the first part: a count (int) or a fraction of all images (float, rounded down).
        valid: The same for the second part.
        seed: Seed of the choice. Data that is read from TFDS in each epoch is cut into consecutive slices instead.

    Returns:
        The splits; `record` holds their sizes, the seed and the SHA-256 of the indices of each.

    Raises:
        UserError: more images than there are, or a part without images.
    """
    counts = [_count(name, amount, images.size) for name, amount in (("train", train), ("valid", valid))]
    if sum(counts) > images.size:
        raise UserError(
            f"The two parts together must not exceed the {images.size} images. Received: train={train} "
            f"({counts[0]} images), valid={valid} ({counts[1]} images)"
        )
    parts, digests = images.partition(counts, seed)
    record = {"images": images.size, "train": counts[0], "valid": counts[1], "seed": seed}
    return Splits(*parts, record | {"train_sha256": digests[0], "valid_sha256": digests[1]})


def subset(images: Images, amount: int | float, seed: int, shuffled: bool = False) -> tuple[Images, dict]:
    """A random part of the images, or all of them in their order for 1.0, and a record like that of `split`.

    With `shuffled` all of them come in a random order too: class folders are stored class by class, and batches of one
    class have statistics that no network was trained with.

    Raises:
        UserError: more images than there are, or none.
    """
    count = _count("train", amount, images.size)
    if count > images.size:
        raise UserError(f"train must not exceed the {images.size} images. Received: train={amount}")
    record = {"images": images.size, "train": count, "seed": seed}
    if count == images.size and not shuffled:
        return images, record
    (part,), (digest,) = images.partition([count], seed)
    return part, record | {"train_sha256": digest}


def _count(name, amount, size) -> int:
    number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
    if not number or (isinstance(amount, float) and not 0 < amount <= 1) or amount <= 0:
        raise UserError(
            f"{name} must be a count (int, at least 1) or a fraction (float in (0, 1]). Received: {name}={amount!r}"
        )
    # 0.29 * 100 is 28.999999999999996; the small number makes it 29 images.
    count = int(amount * size + 1e-6) if isinstance(amount, float) else amount
    if count == 0:
        raise UserError(f"{name} leaves no image of {size}. Received: {name}={amount!r}")
    return count
