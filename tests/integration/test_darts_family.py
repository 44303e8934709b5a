"""The DARTS space, and noise (S4), from the search to the exported model, at the smallest size, on the digits."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tiny_search import noisy_space, run, with_candidates

from tf_edd import data
from tf_edd.actions import CollapseWarning, Drawings, GenotypeLog, TensorBoard
from tf_edd.analysis.cell_layout import edge_name
from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import Genotype, load
from tf_edd.discretizers import Threshold
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD
from tf_edd.regularizers import ZeroOneLoss
from tf_edd.relaxations import Sigmoid, Softmax
from tf_edd.runtime import files
from tf_edd.schedules import ConstantRate, ConstantTemperature
from tf_edd.spaces import darts
from tf_edd.training.evaluate import evaluate
from tf_edd.training.export import export
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.retrain import retrain

KINDS = ("normal", "reduce")


def searched(folder, space, *actions):
    genotype = run(
        folder,
        space=space,
        epochs=1,
        relaxation=Softmax(),
        temperature=ConstantTemperature(),
        actions=(*actions, GenotypeLog(), CollapseWarning()),
    ).genotype
    assert genotype.check(space) == load(str(folder / "search"), space) == load(str(genotype), space)
    (row,) = files.read_lines(folder / "search" / "genotypes.jsonl")
    assert {cell_type: np.shape(table) for cell_type, table in row["probs"].items()} == space.logit_shapes
    candidates = space.cell("normal").num_primitives
    assert np.log(candidates) * 0.98 < row["arch/entropy"] < np.log(candidates)
    return genotype


def retrained(folder, genotype, space):
    """Two epochs: paths are dropped from the second on."""
    recipe = TrainingRecipe(SGD(), ConstantRate(0.05), drop_path_rate=0.4, weight_gradient_clip=5.0)
    results = retrain(folder, genotype, space=space, data=data.Digits(), recipe=recipe, epochs=2, batch_size=128)
    assert results["parameters"] == count(space, genotype, (8, 8, 1), 10).parameters
    return results


def two_answers(folder):
    """Exports with the check of the reloaded logits, and asks the export twice for the same images."""
    export(folder, data=data.Digits(), check_images=120)  # both signatures, and a part of a batch
    card = files.read_json(folder / "export" / "model_card.json")
    assert card["reloaded"]["max_logit_difference"] < 1e-4 and not card["reloaded"]["imported_tf_edd"]
    served = tf.saved_model.load(str(folder / "export" / "saved_model"))
    return [served.serve_uint8(tf.zeros((2, 8, 8, 1), tf.uint8))["logits"].numpy() for _ in range(2)]


def check_pictures(folder):
    for cell_type in KINDS:
        for name in (f"cell_{cell_type}.png", f"heat_map_{cell_type}.png"):
            with Image.open(folder / name) as picture:
                assert min(picture.size) > 100 and np.ptp(np.asarray(picture.convert("L"))) > 100, name


def check_events(folder, space):
    runs = (EventAccumulator(str(part)).Reload().Tags()["tensors"] for part in (folder, folder / "discretized"))
    supernet, discretized = runs
    for cell_type in KINDS:
        pictures = {f"search_cell/{name}/{cell_type}" for name in ("drawing", "heat_map", "probabilities")}
        assert pictures <= set(supernet)
        cell = space.cell(cell_type)
        edges = {f"search_edges/{cell_type}/{edge_name(edge, cell, '-')}" for edge in cell.edges}
        assert edges == {tag for tag in supernet if tag.startswith(f"search_edges/{cell_type}/")}
    assert {"loss/weights", "loss/arch", "search/entropy", "genotype", "accuracy/search"} <= set(supernet)
    assert discretized == ["accuracy/search"]


@pytest.mark.slow
def test_darts(tmp_path):
    space = darts(4, 3, 1)
    genotype = searched(tmp_path, space, TensorBoard(), Drawings())
    check_pictures(tmp_path / "search")
    check_events(tmp_path / "search", space)
    results = retrained(tmp_path, genotype, darts(6, 4, 1))  # a normal cell behind a reduction
    assert 0.15 < results["last"]["accuracy/test"] <= 1
    assert evaluate(tmp_path, data=data.Digits())["accuracy"] == pytest.approx(results["last"]["accuracy/test"])
    np.testing.assert_array_equal(*two_answers(tmp_path))


@pytest.mark.slow
def test_noise(tmp_path):
    space = noisy_space()
    searched(tmp_path, space)
    cell = ((("noise", 0), ("sep_conv_3x3", 1)),)  # whatever four steps have found
    genotype = Genotype(space.name, tuple((cell_type, cell) for cell_type in KINDS))
    retrained(tmp_path, genotype, space)
    assert 0 <= evaluate(tmp_path, data=data.Digits())["accuracy"] <= 1
    first, second = two_answers(tmp_path)
    assert np.abs(first - second).max() > 1e-3  # the exported model draws anew at every call, too


def fair_space():
    return with_candidates(darts(4, 3, 2, with_none=False, optional_edges=True), ("skip_connect", "sep_conv_3x3"))


def fair_search(folder, threshold):
    space, parts = fair_space(), {"relaxation": Sigmoid(), "regularizers": (ZeroOneLoss(),)}
    parts |= {"temperature": ConstantTemperature(), "discretizer": Threshold(threshold), "logit_init_scale": 0.0}
    actions = TensorBoard(), Drawings(), GenotypeLog(), CollapseWarning()
    return run(folder, space=space, epochs=2, **parts, actions=actions)


@pytest.mark.slow
def test_cells_that_leave_edges_out_go_from_the_search_to_the_exported_model(tmp_path):
    """At a threshold of 1/2, where all weights begin, the first steps decide which edges stay."""
    result, space = fair_search(tmp_path, 0.5), fair_space()
    genotype = result.genotype
    assert 0 < genotype.count("none") < genotype.num_edges and result.history[-1]["arch/none_count"] > 0
    assert genotype.check(space) == load(str(tmp_path / "search"), space) == load(str(genotype), space)
    assert sorted(path.name for path in (tmp_path / "search").glob("cell*.svg")) == [
        "cell_normal.svg",
        "cell_reduce.svg",
    ]
    retrained(tmp_path, genotype, space)
    first, second = two_answers(tmp_path)
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_search_without_a_certain_edge_ends_with_a_cell_that_a_retraining_refuses(tmp_path):
    result = fair_search(tmp_path, 0.99)
    assert set(result.genotype.operations()) == {"none"}
    with pytest.raises(UserError, match="normal"):
        retrained(tmp_path / "retrained", result.genotype, fair_space())
