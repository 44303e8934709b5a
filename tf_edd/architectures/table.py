"""Benchmark tables: measured accuracies of every NAS-Bench-201 cell, by genotype, string or index.

Two sources with one interface: a small CSV file, and the files of the public `nats_bench` package (NATS-Bench topology
space, Dong et al., TPAMI 2021, https://arxiv.org/abs/2009.00437). Accuracies are in percent, means over the seeds of
the benchmark after 200 epochs, or after 12 in the columns that end in `_12_epochs`.
"""

import csv
import functools
import gzip
import os
import pickle
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.part import part

SPACE = "nas_bench_201"
ACCURACIES = (
    "cifar10_valid",
    "cifar10_test",
    "cifar100_valid",
    "cifar100_test",
    "imagenet16_120_valid",
    "imagenet16_120_test",
    "nats_cifar10_test",
    "nats_cifar100_test",
    "nats_imagenet16_120_test",
    "cifar10_valid_12_epochs",
    "cifar10_test_12_epochs",
)
COLUMNS = ("index", "arch", *ACCURACIES)

# How the columns are called in nats_bench: data set, epochs, accuracy. "cifar10-valid" trains on half of CIFAR-10 and
# validates on the other half, "cifar10" trains on all of it. The files hold one test accuracy per data set, which is
# therefore in both columns.
_NATS_COLUMNS = {
    "cifar10_valid": ("cifar10-valid", "200", "valid-accuracy"),
    "cifar10_test": ("cifar10", "200", "test-accuracy"),
    "cifar100_valid": ("cifar100", "200", "valid-accuracy"),
    "cifar100_test": ("cifar100", "200", "test-accuracy"),
    "imagenet16_120_valid": ("ImageNet16-120", "200", "valid-accuracy"),
    "imagenet16_120_test": ("ImageNet16-120", "200", "test-accuracy"),
    "nats_cifar10_test": ("cifar10", "200", "test-accuracy"),
    "nats_cifar100_test": ("cifar100", "200", "test-accuracy"),
    "nats_imagenet16_120_test": ("ImageNet16-120", "200", "test-accuracy"),
    "cifar10_valid_12_epochs": ("cifar10-valid", "12", "valid-accuracy"),
    "cifar10_test_12_epochs": ("cifar10", "12", "test-accuracy"),
}


class Table:
    """Rows of numbers keyed by index and by cell.

    Args:
        archs: Index -> cell string.
        rows: Index -> {column: number}; anything that is looked up by index, so that rows may be read on demand.
        origin: Where the table comes from, for errors.
    """

    def __init__(self, archs: Mapping[int, str], rows: Mapping[int, dict[str, float]], origin: str):
        self._archs = archs
        self._rows = rows
        self._origin = origin
        self._indices = {arch: index for index, arch in archs.items()}

    def __len__(self) -> int:
        return len(self._archs)

    def load(self) -> "Table":
        """Itself: a table and the part that loads one can be given alike."""
        return self

    def arch(self, index: int) -> str:
        """The cell string at `index`.

        Raises:
            UserError: no such index.
        """
        if index not in self._archs:
            raise UserError(
                f"{self._origin}: expected an index from {min(self._archs)} to {max(self._archs)}. Received: {index}"
            )
        return self._archs[index]

    def index(self, key: Genotype | str | int) -> int:
        """The index of a genotype, a cell string, or an index (an integer or its digits).

        Raises:
            UserError: not in the table.
        """
        if isinstance(key, Genotype) and key.space != SPACE:
            raise UserError(f"{self._origin}: expected a genotype of space {SPACE!r}. Received: space {key.space!r}")
        text = str(key).strip()
        if text.lstrip("-").isdecimal():
            self.arch(int(text))
            return int(text)
        if text not in self._indices:
            example = next(iter(self._indices))
            raise UserError(f"{self._origin}: expected an index or a cell such as {example}. Received: {text!r}")
        return self._indices[text]

    def query(self, key: Genotype | str | int) -> dict[str, float]:
        """The index and every number of one cell.

        Args:
            key: A genotype, a cell string, or an index (an integer or its digits).

        Returns:
            {"index": ..., column: number, ...}; accuracies in percent.

        Raises:
            UserError: not in the table.
        """
        index = self.index(key)
        return {"index": index, **self._rows[index]}


def load_table(path: str | Path) -> Table:
    """The table of a CSV file, gzipped or not.

    The file must have the columns `COLUMNS`, in any order; further columns of numbers are kept.

    Raises:
        UserError: no such file, truncated, not a CSV file, other columns, a value that is not a number, an accuracy
            that is no percentage, or a negative index.
    """
    path = Path(path).expanduser()
    rows: dict[int, dict[str, float]] = {}
    archs: dict[int, str] = {}
    lines = iter(_split_lines(path))
    header = next(lines, [])
    _check_columns(header, path)
    numeric = [(name, place) for place, name in enumerate(header) if name not in ("index", "arch")]
    index_place, arch_place = header.index("index"), header.index("arch")
    number = 1
    for number, row in enumerate(lines, start=2):
        try:
            index = int(row[index_place])
            archs[index] = row[arch_place]
            rows[index] = {name: float(row[place]) for name, place in numeric}
            _check_row(index, rows[index])
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{path}, line {number}: expected {', '.join(header)}. Received: {row} ({error})"
            ) from error
    if not rows or not len(set(archs.values())) == len(archs) == number - 1:
        raise UserError(
            f"{path}: expected another index and another cell in every line. Received: {number - 1} lines of "
            f"{len(archs)} indices and {len(set(archs.values()))} cells"
        )
    return Table(archs, rows, str(path))


def _check_row(index: int, row: Mapping[str, float]) -> None:
    if index < 0:
        raise ValueError(f"index {index} is negative")
    for name in ACCURACIES:
        if not 0 <= row.get(name, 0.0) <= 100:  # NaN is refused too
            raise ValueError(f"{name} is no percentage: {row[name]}")


def _split_lines(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(_read_lines(path)))
    except csv.Error as error:  # a field of more than 128 kB, a null byte
        raise UserError(f"{path}: expected a CSV with the columns {', '.join(COLUMNS)}. Received: {error}") from error


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(
            f"Expected a table, a CSV with the columns {', '.join(COLUMNS)}. Received: {path} (no such file)"
        )
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8").splitlines()
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: expected a complete CSV (or .csv.gz) with the columns {', '.join(COLUMNS)}. Received: {error}"
        ) from error


def _check_columns(header: list[str], path: Path) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        received = ", ".join(header)
        raise UserError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}. "
            f"Received: {received[:200]!r}"
        )


class _NatsRows:
    """Rows read from a `nats_bench` API object on demand."""

    def __init__(self, api: Any, origin: str):
        self._api = api
        self._origin = origin

    def __getitem__(self, index: int) -> dict[str, float]:
        return {name: self._accuracy(index, *source) for name, source in _NATS_COLUMNS.items()}

    def _accuracy(self, index: int, dataset: str, epochs: str, name: str) -> float:
        try:
            # is_random=False gives the mean over the seeds; the package's default draws one of them.
            info = self._api.get_more_info(index, dataset, hp=epochs, is_random=False)
            return float(info[name])
        # The package has no errors of its own: a missing file is an AssertionError, a missing epoch count a KeyError.
        except (AssertionError, KeyError, ValueError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise UserError(
                f"{self._origin}: expected {name} of architecture {index} on {dataset} after {epochs} epochs. "
                f"Received: {error!r}"
            ) from error


def load_nats_bench(path: str | Path, api: Any = None) -> Table:
    """The table of the files of NATS-Bench's topology space, read by the public `nats_bench` package.

    Has the columns of `load_table`. The files are pickles, which can run code: open only those you trust.

    Args:
        path: The folder `NATS-tss-v1_0-3ffb9-simple` (rows are read on demand, the quick way), or the file
            `NATS-tss-v1_0-3ffb9.pickle.pbz2` (read as a whole: minutes and some gigabytes).
        api: A `nats_bench` API object to use instead of opening `path`.

    Raises:
        UserError: the package or the files are missing or damaged.
    """
    path = Path(path).expanduser()
    api = api if api is not None else _create_api(path)
    return Table(dict(enumerate(_archs(api))), _NatsRows(api, str(path)), str(path))


def _archs(api: Any) -> Iterable[str]:
    return (api.arch(index) for index in range(len(api)))


def _create_api(path: Path) -> Any:
    try:
        import nats_bench
    except ImportError as error:
        raise UserError(
            f"Reading {path} expects the package nats_bench (pip install nats_bench). Received: {error}"
        ) from error
    try:
        return nats_bench.create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)
    except (ValueError, KeyError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"Expected the folder or the .pickle.pbz2 file of NATS-Bench's topology space. Received: {path} ({error})"
        ) from error


def open_table(path: str | Path) -> Table:
    """The table at `path`: NATS-Bench for a folder or a `.pbz2` file, a CSV otherwise.

    Raises:
        UserError: see `load_table` and `load_nats_bench`.
    """
    path = Path(path).expanduser()
    if path.is_dir() or path.suffix == ".pbz2":
        return load_nats_bench(path)
    return load_table(path)


@part(module="tf_edd.architectures")
class NasBench201Table:
    """The NAS-Bench-201 table in a file or folder.

    Attributes:
        path: A CSV file, gzipped or not, or the files of `nats_bench`: a folder or a `.pbz2` file.
    """

    path: str

    def load(self) -> Table:
        """Opens the table.

        Raises:
            UserError: see `open_table`.
        """
        path = Path(self.path).expanduser()
        try:
            stamp = os.stat(path).st_mtime_ns, os.stat(path).st_size
        except (OSError, ValueError):
            return open_table(path)  # which says what is wrong
        return _opened(path, stamp)


@functools.lru_cache(maxsize=1)
def _opened(path: Path, stamp: tuple[int, int]) -> Table:
    """A table is checked before a search begins and used in it: minutes apart for the files of `nats_bench`."""
    return open_table(path)
