import json

import numpy as np
import pytest
from absl import logging as absl_logging
from fake_search import advance, begin, new_state, one_hot, resumed

from tf_edd.actions import CollapseWarning, GenotypeLog
from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.errors import UserError
from tf_edd.spaces import darts, proxyless

NONE, SKIP, CONV = 0, 1, 3
HEALTHY = one_hot([CONV] * 6)
SKIPS = one_hot([SKIP] * 4 + [CONV] * 2)


@pytest.fixture
def warnings(monkeypatch):
    """The messages of all warnings, wherever the test runner sends absl's log."""
    messages = []
    monkeypatch.setattr(absl_logging, "warning", lambda message, *values: messages.append(message))
    return messages


def test_warns_when_skip_connections_take_over_and_not_again_while_they_stay(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, CollapseWarning())
    for probs in (HEALTHY, SKIPS, SKIPS, SKIPS):
        advance(state, running, probs)
    (message,) = warnings
    assert "Epoch 3: skip_connect takes 4 of 6 edges" in message and str(state.genotype) in message


def test_a_single_epoch_is_no_collapse_and_a_continued_search_knows_the_one_before(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, CollapseWarning())
    for probs in (SKIPS, HEALTHY, SKIPS):
        advance(state, running, probs)
    assert not warnings
    state = resumed(json.loads(json.dumps(state.state_dict())), state)
    advance(state, begin(state, CollapseWarning()), SKIPS)
    assert len(warnings) == 1 and "stopper = @HealthyCell()" in warnings[0]


@pytest.mark.parametrize(("ratio", "count"), [(0.91, 1), (0.89, 0)])
def test_the_end_says_whether_the_cell_is_the_network_that_was_trained(tmp_path, warnings, ratio, count):
    """The cell alone has 0.9 of the supernet's accuracy."""
    state = new_state(tmp_path)
    running = begin(state, CollapseWarning(least_ratio=ratio))
    advance(state, running, HEALTHY)
    running[0].end(state)
    assert len(warnings) == count
    if count:
        assert "Not sparse: the cell alone reaches an accuracy of 0.09" in warnings[0] and "supernet 0.1" in warnings[0]


def test_silent_about_cells_that_sampled_paths_have_met(tmp_path, warnings):
    state = new_state(tmp_path)
    state.learns_logits = False
    running = begin(state, CollapseWarning(lasting=1, patience=1))
    for _ in range(3):
        advance(state, running, SKIPS)
    assert not warnings


def test_warns_again_after_a_recovery(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, CollapseWarning(lasting=1))
    for probs in (SKIPS, HEALTHY, SKIPS):
        advance(state, running, probs)
    assert [message[:8] for message in warnings] == ["Epoch 1:", "Epoch 3:"]


def test_each_search_is_warned_for_itself(tmp_path, warnings):
    part = CollapseWarning(lasting=1)
    for _ in range(2):
        state = new_state(tmp_path)
        advance(state, begin(state, part), SKIPS)
    assert len(warnings) == 2


def test_none_counts_for_itself_and_half_is_no_collapse(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, CollapseWarning(lasting=1))
    advance(state, running, one_hot([NONE] * 3 + [SKIP] * 3))
    assert warnings == []
    advance(state, running, one_hot([NONE] * 4 + [SKIP] * 2))
    assert len(warnings) == 1 and "none takes 4 of 6" in warnings[0]


def test_noise_is_a_collapse_too(tmp_path, warnings):
    state = new_state(tmp_path)
    nodes = ((("noise", 0), ("noise", 1)), (("noise", 1), ("sep_conv_3x3", 0)))
    state.genotype = Genotype("s4", (("normal", nodes),))
    CollapseWarning(lasting=1).begin(state).epoch(state, {})
    (message,) = warnings
    assert "noise takes 3 of 4 edges" in message


def cell_types(normal, reduce):
    """A genotype of the DARTS space: eight operations of each kind, all edges from the two inputs."""
    cells = {"normal": normal, "reduce": reduce}
    nodes = {cell_type: [((ops[n], 0), (ops[n + 1], 1)) for n in range(0, 8, 2)] for cell_type, ops in cells.items()}
    return Genotype("darts", tuple((cell_type, tuple(pairs)) for cell_type, pairs in nodes.items())).check(darts())


POOLS, CONVS, EIGHT_SKIPS = (["max_pool_3x3"] * 8, ["sep_conv_3x3"] * 8, ["skip_connect"] * 8)


def test_a_cell_kind_that_collapses_alone_is_named_once(tmp_path, warnings):
    """Eight of 16 edges are no more than half of all, but all of the normal cell's."""
    state = new_state(tmp_path, darts())
    action = CollapseWarning(lasting=1).begin(state)
    for state.epoch, genotype in enumerate((cell_types(CONVS, POOLS), *[cell_types(EIGHT_SKIPS, POOLS)] * 2), start=1):
        state.genotype = genotype
        action.epoch(state, {})
    (message,) = warnings
    assert "Epoch 2: skip_connect takes 8 of 8 edges of cell 'normal', the cell may" in message
    state.genotype = cell_types(EIGHT_SKIPS, EIGHT_SKIPS)
    action.epoch(state, {})
    assert len(warnings) == 2
    assert "skip_connect takes 16 of 16 edges, 8 of 8 edges of cell 'reduce', the cell may" in warnings[1]


def test_half_of_each_kind_is_no_collapse(tmp_path, warnings):
    state = new_state(tmp_path, darts())
    half = ["skip_connect"] * 4 + ["sep_conv_3x3"] * 4
    state.genotype = cell_types(half, half)
    CollapseWarning(lasting=1).begin(state).epoch(state, {})
    assert warnings == []


def test_a_mobile_network_whose_blocks_are_left_out_is_a_collapse(tmp_path, warnings):
    """Fifteen of the 21 blocks can be left out: 10 are no more than half, 11 are."""
    space = proxyless()
    residual = [cell.cell_type for cell in space.cells if cell.residual]
    state = new_state(tmp_path, space)
    action = CollapseWarning(lasting=1).begin(state)
    for count in (10, 11):
        left_out = residual[:count]
        operations = ["none" if cell.cell_type in left_out else "mbconv_k3_e3" for cell in space.cells]
        state.genotype = from_text(",".join(operations), space)
        action.epoch(state, {})
        assert len(warnings) == (count == 11)
    assert "none takes 11 of 21 edges, the cell may" in warnings[0]  # no block for itself


ORDERS = ([GenotypeLog(), CollapseWarning(patience=2)], [CollapseWarning(patience=2), GenotypeLog()])


def test_warns_after_so_many_epochs_without_a_change(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, *ORDERS[0])
    for expected in (0, 0, 1, 1):
        advance(state, running, HEALTHY)
        assert len(warnings) == expected
    assert "Epoch 3" in warnings[0] and "not changed for 2 epochs" in warnings[0]


@pytest.mark.parametrize("actions", ORDERS)
def test_probabilities_that_move_are_a_change_whatever_the_order(tmp_path, warnings, actions):
    state = new_state(tmp_path)
    running = begin(state, *actions)
    for epoch in range(4):
        advance(state, running, {"cell": 0.9 * HEALTHY["cell"] + np.float32(0.02 * epoch)})
    assert warnings == []
    for _ in range(2):
        advance(state, running, {"cell": 0.9 * HEALTHY["cell"] + np.float32(0.0600001)})
    assert len(warnings) == 1


def test_a_continued_search_counts_on(tmp_path, warnings):
    state = new_state(tmp_path)
    running = begin(state, *ORDERS[0])
    advance(state, running, HEALTHY)
    advance(state, running, HEALTHY)
    state = resumed(json.loads(json.dumps(state.state_dict())), state)
    advance(state, begin(state, *ORDERS[0]), HEALTHY)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "values", [{"max_share": 0.0}, {"max_share": 1.5}, {"patience": 0}, {"lasting": 0}, {"least_ratio": 2.0}]
)
def test_values_out_of_range(values):
    with pytest.raises(UserError, match=f"Received: {next(iter(values))}="):
        CollapseWarning(**values)
