"""The rows of TensorBoard's HParams page."""

import pytest
from fake_search import RECORD

from tf_edd.actions import hparams
from tf_edd.runtime import files

FULL = {
    "seed": 3,
    "space": {"name": "nas_bench_201", "sha256": "5a27"},
    "data": {"@": "TfdsImages", "name": "cifar10"},
    "images": {"@": "ImageData", "name": "cifar10", "train": {"images": 50000, "sha256": "15ba"}},
    "splits": {"train": 25000, "train_sha256": "c123"},
    "epochs": 25,
    "batch_size": 64,
    "augmentation": [{"@": "Crop", "padding": 4}],
    "method": {
        "@": "Method",
        "relaxation": {"@": "mine.relaxations.Sharp", "slope": 2.0},
        "temperature": {"@": "EntropyDecay", "entropy_gain": 0.06, "first_epoch": None},
        "step": {"@": "FirstOrder", "arch_gradient_clip": None},
        "discretizer": {"@": "Argmax"},
        "selector": None,
        "regularizers": [{"@": "SelfDistillation", "weight": 1.0}],
        "weight_optimizer": {"@": "SGD", "nesterov": True, "learning_rate": 0.1, "weight_decay": 0.0005},
        "arch_optimizer": {"@": "Adam", "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-8},
    },
    "rematerialize": False,
}


def test_columns_are_what_was_composed_and_what_is_varied():
    assert hparams.columns(FULL) == {
        "data": "cifar10",
        "method": "Sharp + EntropyDecay + FirstOrder + Argmax + SelfDistillation",
        "relaxation": "mine.relaxations.Sharp",
        "seed": 3,
        "space": "nas_bench_201",
        "temperature": "EntropyDecay",
        "epochs": 25,
        "batch_size": 64,
        "relaxation.slope": 2.0,
        "temperature.entropy_gain": 0.06,
        "step": "FirstOrder",
        "discretizer": "Argmax",
        "regularizers.0": "SelfDistillation",
        "regularizers.0.weight": 1.0,
        "weight_optimizer": "SGD",
        "weight_optimizer.nesterov": True,
        "weight_optimizer.weight_decay": 0.0005,
        "arch_optimizer": "Adam",
        "arch_optimizer.beta_1": 0.5,
    }


def test_tensorboard_shows_all_leading_columns():
    """It shows the first five, by their names, of those that lead."""
    assert len(hparams.LEADING) <= 5 and list(hparams.LEADING) == sorted(hparams.LEADING)
    assert set(hparams.LEADING) <= hparams.columns(FULL).keys()


def test_a_record_that_lacks_parts_has_the_columns_that_it_can_have():
    assert hparams.columns(RECORD) == {
        "data": "Digits",
        "method": "Argmax",
        "seed": 7,
        "epochs": 3,
        "discretizer": "Argmax",
        "weight_optimizer": "SGD",
        "weight_optimizer.momentum": 0.9,
        "weight_optimizer.nesterov": False,
    }
    assert hparams.columns({}) == {}


def test_a_trial_has_the_name_of_its_folder_and_tells_equal_names_apart(tmp_path):
    names = [hparams.trial(tmp_path / parent / "edd" / "0") for parent in ("a", "b")]
    assert names[0] != names[1] and [name.split(" ")[0] for name in names] == ["edd/0"] * 2
    assert hparams.trial(tmp_path / "a" / "edd" / ".." / "edd" / "0") == names[0]


@pytest.mark.parametrize("phase", ["search", "retrain"])
def test_columns_of_a_phase_are_those_of_its_record(tmp_path, phase):
    assert hparams.of_phase(tmp_path, phase) == {}
    files.write_json(tmp_path / phase / "record.json", FULL)
    assert hparams.of_phase(tmp_path, phase) == hparams.columns(FULL)
    (tmp_path / phase / "record.json").write_text("{")
    assert hparams.of_phase(tmp_path, phase) == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"space": null}',
        '{"space": "x"}',
        '{"space": {"name": ["x"]}}',
        '{"method": null}',
        '{"method": "x"}',
        '{"method": {"regularizers": null}}',
        '{"method": {"relaxation": {"@": 1}}}',
        '{"images": null, "data": null}',
    ],
)
def test_a_damaged_record_has_the_columns_that_can_be_read(tmp_path, text):
    files.write_json(tmp_path / "search" / "record.json", {})
    (tmp_path / "search" / "record.json").write_text(text[:-1] + ', "seed": 3, "batch_size": [64]}')
    found = hparams.of_phase(tmp_path, "search")
    assert found.pop("seed") == 3
    # The class of a part is the only other one that such a record can still name.
    assert found in ({}, {"method": "1", "relaxation": 1})
