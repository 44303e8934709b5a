"""The end of a search by a selector: the cell it takes, its files, and stops in the middle of it."""

import pytest
from tiny_search import EPOCHS, Stop, StopAt, outcome, run, tiny_space

from tf_edd.errors import UserError
from tf_edd.evolution import evolutionary_search, random_search
from tf_edd.inherited import InheritedAccuracy
from tf_edd.runtime import files
from tf_edd.runtime.strategy import disable_meta_optimizer

ALL = [
    f"|{first}~0|+|{second}~1|"
    for first in ("skip_connect", "nor_conv_1x1")
    for second in ("skip_connect", "nor_conv_1x1")
]


@pytest.fixture(autouse=True, scope="module")
def no_graph_optimizer():
    """Its time is that of a test."""
    disable_meta_optimizer()
    yield
    disable_meta_optimizer(False)


class Spy:
    """An action that sees the end."""

    def begin(self, state):
        pass

    def epoch(self, state, metrics):
        self.accuracy, self.discretized = metrics["accuracy/discretized"], state.genotype

    def end(self, state):
        self.last = state.genotype


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    folder, spy = tmp_path_factory.mktemp("selected"), Spy()
    genotype = run(folder, selector=random_search(), actions=(spy,))
    return folder / "search", genotype, spy


def test_the_best_of_all_cells_is_written(selected):
    folder, genotype, spy = selected
    records = files.read_lines(folder / "selection.jsonl")[1:]
    values = {record["candidate"]: record["fitness"] for record in records}
    assert sorted(values) == sorted(ALL) and values[str(genotype)] == max(values.values())
    assert files.read_json(folder / "genotype.json") == genotype.to_json() and spy.last == genotype
    assert values[str(spy.discretized)] == spy.accuracy  # measured by the search itself after the last epoch


def test_results_tell_of_the_selection(selected):
    folder, genotype, spy = selected
    results = files.read_json(folder / "results.json")
    assert results["genotype"] == str(genotype)
    told = results["selection"]
    assert told["selector"] == "RandomSearch" and told["evaluations"] == 4 and told["log"] == "selection.jsonl"
    assert told["discretized"] == str(spy.discretized) and told["accuracy"] >= spy.accuracy


@pytest.mark.slow
@pytest.mark.parametrize("running_statistics", [False, True])
def test_stopped_in_the_selection_it_ends_the_same(tmp_path, monkeypatch, running_statistics):
    more = {"selector": evolutionary_search(4, 3, mutants=1, crossovers=1), "running_statistics": running_statistics}
    more |= {"epochs": 2, "recalibration_batches": 2}
    run(tmp_path / "whole", **more)
    original, asked = InheritedAccuracy.__call__, []

    def stopping(self, genotype):
        if len(asked) == 2:
            raise Stop
        asked.append(genotype)
        return original(self, genotype)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(InheritedAccuracy, "__call__", stopping)
        run(tmp_path / "stopped", **more)
    assert not (tmp_path / "stopped" / "search" / "genotype.json").exists()
    run(tmp_path / "stopped", **more)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")
    logs = [(tmp_path / name / "search" / "selection.jsonl").read_bytes() for name in ("whole", "stopped")]
    assert logs[0] == logs[1]


def test_another_selector_does_not_continue(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, epochs=1, selector=random_search(3), actions=(StopAt("end", 1),))
    with pytest.raises(UserError, match=r"-evaluations: 3\n\+evaluations: 2"):
        run(tmp_path, epochs=1, selector=random_search(2))


def test_a_search_without_selector_has_no_log(tmp_path):
    run(tmp_path, epochs=1)
    assert "selection" not in files.read_json(tmp_path / "search" / "results.json") and EPOCHS > 1
    assert not (tmp_path / "search" / "selection.jsonl").exists()


def test_recalibration_is_checked_before_the_search(tmp_path):
    with pytest.raises(UserError, match="recalibration_batches must be"):
        run(tmp_path, recalibration_batches=0)
    assert not list(tmp_path.iterdir()) and tiny_space().num_architectures == len(ALL)
