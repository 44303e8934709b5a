"""The end of a search by a selector: the cell it takes, its files, and stops in the middle of it."""

import pytest
from fake_search import new_state, probabilities
from tiny_search import Stop, StopAt, outcome, run, tiny_space

from tf_edd import spaces
from tf_edd.actions import Action, Drawings, GenotypeLog
from tf_edd.analysis import comparison
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.evaluation.inherited_accuracy import InheritedAccuracy
from tf_edd.runtime import files
from tf_edd.search.selection import selected_metrics
from tf_edd.selectors import EvolutionarySearch, FinalSize, RandomSearch, SizeLimits

ALL = [
    f"|{first}~0|+|{second}~1|"
    for first in ("skip_connect", "nor_conv_1x1")
    for second in ("skip_connect", "nor_conv_1x1")
]


class Spy(Action):
    """An action that sees the end."""

    def epoch(self, state, metrics):
        self.accuracy, self.discretized = metrics["accuracy/discretized"], state.genotype

    def end(self, state):
        self.last = state.genotype


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    folder, spy = tmp_path_factory.mktemp("selected"), Spy()
    result = run(folder, selector=RandomSearch(), actions=(spy,))
    return folder / "search", result.genotype, spy


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


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """A search whose selector finds any cell better than that of the last epoch."""
    folder, seen = tmp_path_factory.mktemp("another") / "search", {}

    def told(self, genotype):
        seen["early"] = (folder / "genotype.json").exists()
        return 0.25 if str(genotype) == files.read_lines(folder / "genotypes.jsonl")[-1]["genotype"] else 0.75

    class Drawn(Spy):
        def epoch(self, state, metrics):
            seen["drawing"] = (folder / "cells" / "epoch_001.svg").read_text()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InheritedAccuracy, "__call__", told)
        run(folder.parent, epochs=1, selector=RandomSearch(), actions=(GenotypeLog(), Drawings(), Drawn()))
    return folder, seen


def test_results_speak_of_the_selected_cell(another):
    folder, _ = another
    last, results = files.read_lines(folder / "genotypes.jsonl")[-1], files.read_json(folder / "results.json")
    assert results["genotype"] == files.read_json(folder / "genotype.json")["text"] != last["genotype"]
    assert results["selection"]["discretized"] == last["genotype"]
    metrics = results["metrics"]
    assert metrics["accuracy/discretized"] == results["selection"]["accuracy"] == 0.75 != last["accuracy/discretized"]
    assert metrics["arch/skip_count"] == results["genotype"].count("skip_connect")
    assert metrics["accuracy/valid"] == last["accuracy/valid"] and metrics["loss/weights"] == last["loss/weights"]


def test_a_report_shows_the_selected_cell(another):
    folder, _ = another
    cell = files.read_json(folder / "genotype.json")["text"]
    row = comparison.report({"a": [folder]}).splitlines()[2]
    assert f"`{cell}`" in row.replace("\\|", "|") and row.split(" | ")[3] == "75"


def test_the_drawing_of_the_last_epoch_stays(another):
    folder, seen = another
    assert (folder / "cells" / "epoch_001.svg").read_text() == seen["drawing"]
    assert (folder / "cell.svg").read_text() != seen["drawing"]


def test_a_selection_under_way_has_no_genotype_that_a_retraining_could_take(another):
    folder, seen = another
    assert not seen["early"] and (folder / "genotype.json").exists()


def test_counts_and_look_ups_of_the_cell_are_replaced(tmp_path):
    state = new_state(tmp_path)
    text = "|none~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|none~2|"
    state.genotype, state.probs = from_text(text, state.space), probabilities(state.space, 1)
    state.selection = {"accuracy": 0.5, "evaluations": 9, "table/a": 30.0}
    last = {"arch/temperature": 7.0, "accuracy/discretized": 0.3, "arch/none_count": 0.0}
    last |= {"table/a": 1.0, "table/b": 2.0}
    told = selected_metrics(last, state)
    counts = {"arch/none_count": 4.0, "arch/skip_count": 2.0, "arch/none_count_cell": 4.0}
    expected = {"arch/temperature": 7.0, "accuracy/discretized": 0.5, **counts, "table/a": 30.0}
    assert expected.items() <= told.items() and "table/b" not in told


@pytest.mark.slow
@pytest.mark.parametrize("running_statistics", [False, True])
def test_stopped_in_the_selection_it_ends_the_same(tmp_path, monkeypatch, running_statistics):
    selector = EvolutionarySearch(4, 3, mutants=1, crossovers=1, recalibration_batches=2)
    more = {"selector": selector, "running_statistics": running_statistics, "epochs": 2}
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
        run(tmp_path, epochs=1, selector=RandomSearch(3), actions=(StopAt("end", 1),))
    with pytest.raises(UserError, match="method.selector.evaluations: started with 3, received 2"):
        run(tmp_path, epochs=1, selector=RandomSearch(2))


def test_a_search_without_selector_has_no_log(tmp_path):
    run(tmp_path, epochs=1)
    assert "selection" not in files.read_json(tmp_path / "search" / "results.json")
    assert not (tmp_path / "search" / "selection.jsonl").exists()


@pytest.mark.parametrize(
    "size, limit, told",
    [
        (spaces.nas_bench_201(), 1e9, "FinalSize.space must be the space of the search, 'tiny'.*'nas_bench_201'"),
        (tiny_space(), 10, "No cell satisfies the limits: the smallest counts of 1000 random cells"),
    ],
)
@pytest.mark.parametrize("make", [EvolutionarySearch, RandomSearch])
def test_limits_are_checked_before_the_search(tmp_path, make, size, limit, told):
    selector = make(limits=SizeLimits(FinalSize(size), max_parameters=limit))
    for dry_run in (True, False):
        with pytest.raises(UserError, match=told):
            run(tmp_path, selector=selector, dry_run=dry_run)
    assert not list(tmp_path.iterdir())


def test_sizes_are_counted_for_the_images_of_the_search(tmp_path):
    """The digits: 8x8 gray images; the linear layer of the tiny space has 4 weights and a bias a class."""
    selector = RandomSearch(4, limits=SizeLimits(FinalSize(tiny_space())))
    run(tmp_path, epochs=1, selector=selector)
    records = files.read_lines(tmp_path / "search" / "selection.jsonl")
    assert "8x8x1, 10 classes" in records[0]["settings"]["size"]
    least = min(record["parameters"] for record in records[1:])  # two skip connections
    assert least == 9 * 4 + 2 * 4 + 2 * 4 + 10 * 5  # convolution and batch norm of the stem, batch norm of the head
    assert len(records[1:]) == len(ALL)
