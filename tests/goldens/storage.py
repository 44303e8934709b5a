"""The files of the goldens: many small arrays in one vector of numbers, with an index."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
DIRECTIONS = 4

# Name of a case -> name of an array -> the array.
Records = Mapping[str, Mapping[str, np.ndarray]]


def summary(array, kept: int) -> np.ndarray:
    """The array, or of one with more than `kept` numbers its norm and its products with fixed random directions.

    An array that differs by d has products that differ by about |d|, whatever the direction of d.
    """
    array = np.asarray(array, np.float64)
    if array.size <= kept:
        return array
    directions = np.random.RandomState(array.size % 2**32).normal(size=(DIRECTIONS, array.size))
    return np.array([np.linalg.norm(array), *(directions @ array.ravel())])


def save(name: str, records: Records, about: Mapping, dtype=np.float32) -> Path:
    """Writes `records` as `name.npz`, with `about` for readers."""
    shapes = {case: {key: np.shape(array) for key, array in arrays.items()} for case, arrays in records.items()}
    values = [np.ravel(array) for arrays in records.values() for array in arrays.values()]
    index = json.dumps({**about, "shapes": shapes}, separators=(",", ":"))
    path = FOLDER / f"{name}.npz"
    np.savez_compressed(
        path, index=np.frombuffer(index.encode(), np.uint8), values=np.concatenate(values).astype(dtype)
    )
    return path


def load(name: str) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """The records of `name.npz` and what is said about them."""
    with np.load(FOLDER / f"{name}.npz") as file:
        about, values = json.loads(file["index"].tobytes()), file["values"]
    records, start = {}, 0
    for case, shapes in about.pop("shapes").items():
        records[case] = {}
        for key, shape in shapes.items():
            size = math.prod(shape)
            records[case][key] = values[start : start + size].reshape(shape)
            start += size
    assert start == len(values)
    return records, about


def assert_close(
    record: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray], tolerance: float, case: str = ""
) -> None:
    """The same arrays, equal up to `tolerance` times the largest number of each, or times 1e-2 if that is more.

    A gradient far below 1e-2 is what remains of larger terms that cancel, and has their rounding.
    """
    assert list(record) == list(golden)
    for key, expected in golden.items():
        largest = np.abs(expected).max(initial=1e-2)
        np.testing.assert_allclose(record[key], expected, rtol=0, atol=tolerance * largest, err_msg=f"{case} {key}")
