"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("TF_EDD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def cifar10_dir() -> str:
    """A TFDS directory that holds CIFAR-10."""
    directory = SHARED / "tfds"
    if not (directory / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10 prepared by TFDS (set TF_EDD_SHARED to the folder that holds tfds/cifar10)")
    return str(directory)


@pytest.fixture(scope="session")
def nb201_table_path() -> str:
    """The CSV of all NAS-Bench-201 cells with their accuracies."""
    path = SHARED / "data" / "nas_bench_201.csv.gz"
    if not path.is_file():
        pytest.skip("needs the NAS-Bench-201 table (set TF_EDD_SHARED to the folder that holds data/nas_bench_201.csv.gz)")
    return str(path)
