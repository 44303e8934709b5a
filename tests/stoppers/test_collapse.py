"""The verdict on searches whose cells collapse; the cells are written out."""

import pytest
from tiny_search import EPOCHS, Stop, StopAt, method, outcome, run

from tf_edd.actions import GenotypeLog
from tf_edd.architectures.collapse import overtaken
from tf_edd.architectures.genotype import from_text
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.spaces import darts, nas_bench_201
from tf_edd.stoppers import CollapsedSearch, HealthyCell, Verdict

SPACE = nas_bench_201()
HEALTHY = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|skip_connect~1|nor_conv_1x1~2|"  # 3 of 6
SKIPS = "|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|nor_conv_1x1~2|"  # 4 of 6
EMPTY = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"
OTHER = HEALTHY.replace("nor_conv_1x1", "avg_pool_3x3")


def history(*cells):
    return [{"epoch": epoch, "genotype": cell} for epoch, cell in enumerate(cells, start=1)]


def test_a_healthy_search_goes_on_and_ends_with_its_last_cell():
    for count in range(1, 4):
        assert HealthyCell()(history(*[SKIPS, OTHER, HEALTHY][:count]), SPACE, 10) is None
    assert HealthyCell()(history(SKIPS, HEALTHY), SPACE, 2) is None


def test_the_last_healthy_cell_is_the_result_of_a_search_that_ends_collapsed():
    verdict = HealthyCell()(history(HEALTHY, OTHER, SKIPS, EMPTY), SPACE, 4)
    assert verdict == Verdict(2, "the cells of epochs 3 to 4 have collapsed (none takes 4 of 6 edges)")


def test_a_search_that_stays_collapsed_ends_early():
    stopper = HealthyCell(patience=2)
    assert stopper(history(HEALTHY, SKIPS), SPACE, 10) is None
    assert stopper(history(HEALTHY, SKIPS, SKIPS), SPACE, 10).epoch == 1
    assert HealthyCell(patience=None)(history(HEALTHY, SKIPS, SKIPS), SPACE, 10) is None


def test_a_search_that_begins_collapsed_is_given_its_time():
    assert HealthyCell(patience=2)(history(SKIPS, SKIPS, SKIPS), SPACE, 4) is None


def test_a_search_without_any_healthy_cell_fails_with_advice_and_a_status_of_its_own():
    told = r"each epoch in which logits have learned, of 2, .* more than 50% .*none takes 4 of 6 edges"
    told += r".*Method.warmup_epochs.*Received: \|"
    with pytest.raises(CollapsedSearch, match=told) as raised:
        HealthyCell()(history(SKIPS, EMPTY), SPACE, 2)
    assert raised.value.status == 3 and UserError.status == 2


def test_the_share_is_an_argument():
    assert HealthyCell(max_share=0.7)(history(HEALTHY, SKIPS), SPACE, 2) is None
    assert HealthyCell(max_share=0.4)(history(EMPTY.replace("none", "nor_conv_1x1"), HEALTHY), SPACE, 2).epoch == 1


def measured(*pairs, cell=HEALTHY):
    """One epoch for each accuracy of the cell and of the supernet."""
    rows = history(*[cell] * len(pairs))
    return [row | {"accuracy/discretized": d, "accuracy/valid": s} for row, (d, s) in zip(rows, pairs, strict=True)]


def test_a_cell_much_worse_than_its_supernet_is_unhealthy_if_the_ratio_is_given():
    apart = measured((0.1, 0.4), (0.4, 0.5), (0.39, 0.5), (0.25, 0.5))
    assert HealthyCell()(apart, SPACE, 4) is None
    verdict = HealthyCell(least_ratio=0.8)(apart, SPACE, 4)
    told = "in epochs 3 to 4 the supernet was another network than its cell (in the last, accuracies of 0.5 and 0.25)"
    assert verdict == Verdict(2, told)
    assert HealthyCell(least_ratio=0.8, patience=2)(apart, SPACE, 9) == verdict
    assert HealthyCell(least_ratio=0.8, patience=3)(apart, SPACE, 9) is None
    assert HealthyCell(least_ratio=0.78)(apart, SPACE, 4).epoch == 3


def test_without_any_epoch_of_that_ratio_the_shares_alone_count():
    stopper = HealthyCell(least_ratio=0.8, patience=1)
    apart = measured((0.1, 0.4), (0.1, 0.4), (0.3, 0.4), cell=OTHER)
    apart[2]["genotype"] = SKIPS
    assert stopper(apart[:2], SPACE, 2) is None
    assert stopper(apart, SPACE, 9) is None
    told = "the cells of epochs 3 to 3 have collapsed (skip_connect takes 4 of 6 edges)"
    assert stopper(apart, SPACE, 3) == Verdict(2, told)
    with pytest.raises(CollapsedSearch):
        stopper(measured((0.1, 0.4), cell=SKIPS), SPACE, 1)


def test_epochs_of_the_weights_alone_do_not_count():
    rows = history(HEALTHY, HEALTHY, SKIPS, SKIPS)
    learned = [row | ({"loss/arch": 1.0} if row["epoch"] > 2 else {}) for row in rows]
    assert HealthyCell()(rows, SPACE, 4).epoch == 2
    with pytest.raises(CollapsedSearch):
        HealthyCell()(learned, SPACE, 4)
    assert HealthyCell(patience=1)(learned, SPACE, 9) is None
    learned[2] = learned[2] | {"genotype": OTHER}
    assert HealthyCell(patience=1)(learned, SPACE, 9).epoch == 3


def test_the_ratio_is_not_looked_at_where_an_epoch_has_not_measured_both():
    assert HealthyCell(least_ratio=0.8)(history(HEALTHY, OTHER), SPACE, 2) is None


@pytest.mark.parametrize(
    "bad",
    [{"max_share": 0.0}, {"max_share": 1.5}, {"patience": 0}, {"least_ratio": 0.0}, {"least_ratio": 1.1}],
)
def test_values_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        HealthyCell(**bad)


def test_cell_types_are_judged_alone_too():
    """Half of the edges of both types together, and all of one."""
    space = darts()
    pairs = "(('{0}', 0), ('{0}', 1), ('{0}', 0), ('{0}', 1), ('{0}', 0), ('{0}', 1), ('{0}', 0), ('{0}', 1))"
    lists = [pairs.format(name).replace("((", "[(").replace("))", ")]") for name in ("skip_connect", "sep_conv_3x3")]
    text = f"Genotype(normal={lists[0]}, normal_concat=range(2, 6), reduce={lists[1]}, reduce_concat=range(2, 6))"
    (share,) = overtaken(from_text(text, space), space, 0.5)
    assert share == ("skip_connect", "normal", 8, 8) and str(share) == "8 of 8 edges of cell 'normal'"


class FirstEpoch:
    """Ends a search after its second epoch with the cell of the first."""

    def __call__(self, history, space, epochs):
        return Verdict(1, "so it was told") if len(history) >= 2 else None

    def describe(self):
        return {"@": "FirstEpoch"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    return folder, run(folder, stopper=FirstEpoch())


def test_a_verdict_ends_the_search_and_names_the_cell(stopped):
    folder, result = stopped
    assert EPOCHS == 3 and len(result.history) == 2
    assert str(result.genotype) == result.history[0]["genotype"]
    written = files.read_json(folder / "search/results.json")
    assert written["verdict"] == {"epoch": 1, "reason": "so it was told"}
    assert written["metrics"]["loss/valid"] == result.history[0]["loss/valid"]
    assert files.read_json(folder / "search/genotype.json")["cells"] == result.genotype.to_json()["cells"]


def test_a_resumed_search_comes_to_the_same_verdict(stopped, tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, stopper=FirstEpoch(), actions=(GenotypeLog(), StopAt("epoch", 2)))
    run(tmp_path, stopper=FirstEpoch())
    first, second = (outcome(folder) for folder in (stopped[0], tmp_path))
    assert first["genotype"] == second["genotype"] and len(first["history"]) == len(second["history"])


def test_the_parts_of_a_method_hold_it():
    assert method(stopper=HealthyCell()).stopper == HealthyCell()
