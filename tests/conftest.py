"""Fixtures shared by all tests."""

import os
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes share the cores: with one thread each they do not wait
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

SHARED = Path(os.environ.get("TF_EDD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(autouse=True, scope="session")
def configured():
    """As the programs do: on a CPU without the graph optimizer, whose time would be that of many tests."""
    if "tensorflow" in sys.modules:  # tests without TensorFlow do not wait for it
        from tf_edd.runtime.strategy import configure

        configure(precision=None)


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
        pytest.skip(
            "needs the NAS-Bench-201 table (set TF_EDD_SHARED to the folder that holds data/nas_bench_201.csv.gz)"
        )
    return str(path)


@pytest.fixture(scope="session")
def retrained_dir(tmp_path_factory) -> Path:
    """A model_dir with a tiny network retrained for two epochs on the digits, configured by gin; do not change it."""
    import gin  # here, so that tests which need no TensorFlow do not load it

    from tf_edd.runtime import config
    from tf_edd.search import parts  # noqa: F401 (for gin)
    from tf_edd.training.retrain import retrain

    folder = tmp_path_factory.mktemp("retrained")
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    bindings = [
        "retrain.epochs = 2",
        "retrain/CosineRate.epochs = 2",
        "retrain.batch_size = 64",
        "retrain.valid = 0.1",
        "retrain/nas_bench_201.init_channels = 4",
        "retrain/nas_bench_201.cells_per_stage = 1",
    ]
    config.parse(["recipes/nb201_retrain_200_epochs.gin", "datasets/digits.gin"], bindings, roots=["retrain"])
    gin.get_configurable(retrain)(folder, cell)
    gin.clear_config()
    return folder


def pytest_collection_modifyitems(items):
    """The files with the longest tests first: what is begun last should be short, or one core waits for the other."""
    long = {"integration", "launch", "training", "steps", "conformance", "search", "test_docs.py"}
    items.sort(key=lambda item: not long & set(item.path.parts))
