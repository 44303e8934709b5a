"""A search with everything around its edges, through all that shows and records it."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from tiny_search import checkpointed, run

from tf_edd.actions import Drawings, GenotypeLog, Sharpness, TensorBoard
from tf_edd.edges import AuxiliarySkip, EdgeDropPath, PartialChannels
from tf_edd.errors import UserError
from tf_edd.regularizers import BetaDecay, SelfDistillation
from tf_edd.relaxations import EdgeWeights, SparseNoisySoftmax
from tf_edd.runtime import files
from tf_edd.spaces import Block, CellSpec, Edge, Space
from tf_edd.steps import FirstOrder, SecondOrder

OPERATIONS = ("skip_connect", "nor_conv_1x1")
EDGES = ((0, 1), (0, 2), (1, 2))


def fork() -> Space:
    """A cell whose last node has two edges, one of which a genotype keeps."""
    edges = tuple(Edge(source, target, OPERATIONS) for source, target in EDGES)
    blocks = (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4))
    return Space("fork", (CellSpec("cell", 1, 3, edges, edges_per_node=1),), blocks)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fork")
    parts = {
        "edges": (PartialChannels(2), AuxiliarySkip(), EdgeDropPath(0.3)),
        "edge_weights": EdgeWeights(SparseNoisySoftmax(), tempered=True),
        "regularizers": (SelfDistillation(warmup_epochs=0), BetaDecay(0.1)),
    }
    actions = (GenotypeLog(), TensorBoard(), Drawings(), Sharpness(batch_size=8, directions=2))
    return folder, run(folder, space=fork(), epochs=2, actions=actions, **parts)


def test_edge_weights_are_the_sums_of_the_recorded_rows_and_in_tensorboard(searched):
    folder, _ = searched
    rows = files.read_lines(folder / "search" / "genotypes.jsonl")
    weights = np.array([np.sum(row["probs"]["cell"], axis=1) for row in rows])
    np.testing.assert_allclose(weights[:, 0], 1, atol=1e-5)
    np.testing.assert_allclose(weights[:, 1:].sum(1), 1, atol=1e-5)
    assert abs(weights[-1, 1] - 0.5) > 0.01  # they have moved
    events = EventAccumulator(str(folder / "search"), size_guidance={"tensors": 0}).Reload()
    for edge, name in enumerate(("input-1", "input-output", "1-output")):
        found = [tensor_util.make_ndarray(e.tensor_proto) for e in events.Tensors(f"search_edge_weights/cell/{name}")]
        np.testing.assert_allclose(found, weights[:, edge], atol=1e-5)
    for tag, expected in (("auxiliary_weight", [0.5, 0]), ("drop_path", [0.15, 0.3])):
        found = [float(tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(f"search/{tag}")]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_genotype_keeps_the_edge_of_the_largest_folded_weight(searched):
    folder, result = searched
    table = np.array(files.read_lines(folder / "search" / "genotypes.jsonl")[-1]["probs"]["cell"])
    strongest = 1 + int(table[2].max() > table[1].max())
    chosen = OPERATIONS[int(table[strongest].argmax())]
    assert result.genotype.nodes("cell")[1] == ((chosen, EDGES[strongest][0]),)


def test_checkpoint_and_record_hold_the_second_table(searched):
    folder, _ = searched
    logits = {name: value for name, value in checkpointed(folder / "search").items() if name.startswith("logits/")}
    assert sorted(len(value) // 4 for value in logits.values()) == [3, 6]  # float32
    record = files.read_json(folder / "search" / "record.json")["method"]
    assert record["edge_weights"]["tempered"] is True and [part["@"] for part in record["edges"]] == [
        "PartialChannels",
        "AuxiliarySkip",
        "EdgeDropPath",
    ]


@pytest.mark.parametrize("step", [FirstOrder, SecondOrder])
def test_negligible_weights_are_measured_by_those_of_a_node(tmp_path, step):
    """Two edges of two candidates: each begins with 1/4."""
    part = step(skip_unused=True, negligible_weight=0.3)
    with pytest.raises(UserError, match="negligible_weight must be below 1/4"):
        run(tmp_path / "run", space=fork(), edge_weights=EdgeWeights(), step=part)
    assert not (tmp_path / "run").exists()


def test_sharpness_and_entropy_know_both_tables(searched):
    _, result = searched
    assert all(np.isfinite(row["sharpness/eigenvalue"]) for row in result.history)
    assert all(0 < row["arch/entropy"] <= np.log(2) + 1e-6 for row in result.history)
