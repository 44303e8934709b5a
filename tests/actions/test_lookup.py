import gin
import pytest
from fake_search import advance, new_state, two_kinds

import tf_edd.actions
from tf_edd.actions import default_actions, table_lookup
from tf_edd.architectures.table import Table, load_table
from tf_edd.errors import UserError


class Recorder:
    def epoch(self, state, metrics):
        self.metrics = dict(metrics)


def fake_table(state):
    row = {"cifar10_test": 91.5, "cifar10_valid": 89.0, "latency": 3.0}
    return Table({4: str(state.genotype)}, {4: row}, "fake")


def test_later_actions_and_the_history_see_the_accuracies_alone(tmp_path):
    state, recorder = new_state(tmp_path), Recorder()
    advance(state, [])
    advance(state, [])
    state = new_state(tmp_path)
    advance(state, [])
    lookup = table_lookup(fake_table(state))
    state = new_state(tmp_path)
    lookup.begin(state)
    advance(state, [lookup, recorder])
    expected = {"table/cifar10_test": 91.5, "table/cifar10_valid": 89.0}
    for seen in (recorder.metrics, state.history[-1]):
        assert {tag: value for tag, value in seen.items() if tag.startswith("table/")} == expected


def test_the_cell_of_a_selector_joins_its_record(tmp_path):
    state = new_state(tmp_path)
    advance(state, [])
    lookup = table_lookup(fake_table(state))
    before = dict(state.history[-1])
    lookup.end(state)
    assert state.selection is None
    state.selection = {"accuracy": 0.5}
    lookup.end(state)
    assert state.selection == {"accuracy": 0.5, "table/cifar10_test": 91.5, "table/cifar10_valid": 89.0}
    assert state.history[-1] == before


def test_the_real_table(tmp_path, nb201_table_path):
    state, table = new_state(tmp_path), load_table(nb201_table_path)
    advance(state, [table_lookup(table)])
    row = table.query(str(state.genotype))
    assert state.history[-1]["table/cifar10_test"] == row["cifar10_test"] > 10
    assert "table/index" not in state.history[-1]


def test_another_space_is_refused_before_the_search(tmp_path):
    with pytest.raises(UserError, match="nas_bench_201.*Received: space 'two_kinds'"):
        table_lookup(Table({0: "x"}, {0: {}}, "fake")).begin(new_state(tmp_path, two_kinds()))


def test_the_standard_list_looks_up_first():
    table = Table({0: "x"}, {0: {}}, "fake")
    kinds = [type(action).__name__ for action in default_actions(table)]
    assert kinds == ["_TableLookup", *[type(action).__name__ for action in default_actions()]]
    assert kinds[1:] == ["_TensorBoard", "_GenotypeLog", "_Drawings", "_CollapseWarning"]


def test_every_action_is_configurable_and_has_the_three_moments():
    gin.clear_config()
    gin.parse_config("tf_edd.actions.drawings.every = 3\ntf_edd.actions.collapse_warning.patience = 4")
    for name in ("tensorboard", "genotype_log", "drawings", "collapse_warning"):
        action = gin.get_configurable(f"tf_edd.actions.{name}")()
        assert all(callable(getattr(action, moment)) for moment in ("begin", "epoch", "end"))
    assert tf_edd.actions.drawings()._every == 3
    gin.clear_config()
