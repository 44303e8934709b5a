import pytest
from fake_search import advance, begin, new_state, two_kinds

from tf_edd.actions import TableLookup
from tf_edd.actions.action import Action
from tf_edd.architectures.table import NasBench201Table, Table, load_table
from tf_edd.errors import UserError


class Recorder(Action):
    def epoch(self, state, metrics):
        self.metrics = dict(metrics)


def fake_table(state):
    row = {"cifar10_test": 91.5, "cifar10_valid": 89.0, "latency": 3.0}
    return Table({4: str(state.genotype)}, {4: row}, "fake")


def test_all_actions_and_the_history_see_the_accuracies_alone(tmp_path):
    state, before, after = new_state(tmp_path), Recorder(), Recorder()
    advance(state, [])
    advance(state, [])
    state = new_state(tmp_path)
    advance(state, [])
    lookup = TableLookup(fake_table(state))
    state = new_state(tmp_path)
    advance(state, begin(state, before, lookup, after))
    expected = {"table/cifar10_test": 91.5, "table/cifar10_valid": 89.0}
    for seen in (before.metrics, after.metrics, state.history[-1]):
        assert {tag: value for tag, value in seen.items() if tag.startswith("table/")} == expected


def test_the_cell_of_a_selector_joins_its_record(tmp_path):
    state = new_state(tmp_path)
    advance(state, [])
    lookup = TableLookup(fake_table(state)).begin(state)
    before = dict(state.history[-1])
    lookup.end(state)
    assert state.selection is None
    state.selection = {"accuracy": 0.5}
    lookup.end(state)
    assert state.selection == {"accuracy": 0.5, "table/cifar10_test": 91.5, "table/cifar10_valid": 89.0}
    assert state.history[-1] == before


def test_the_real_table(tmp_path, nb201_table_path):
    state, table = new_state(tmp_path), load_table(nb201_table_path)
    advance(state, begin(state, TableLookup(NasBench201Table(nb201_table_path))))
    row = table.query(str(state.genotype))
    assert state.history[-1]["table/cifar10_test"] == row["cifar10_test"] > 10
    assert "table/index" not in state.history[-1]


def test_another_space_is_refused_before_the_search(tmp_path):
    with pytest.raises(UserError, match="nas_bench_201.*Received: space 'two_kinds'"):
        TableLookup(Table({0: "x"}, {0: {}}, "fake")).check(new_state(tmp_path, two_kinds()))
