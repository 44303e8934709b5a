"""Stoppers: functions of the history, which keep the epochs that were healthy and name one that is there."""

from conformance.rows import STOPPERS, each

from tf_edd import spaces
from tf_edd.stoppers import Verdict

SPACE = spaces.nas_bench_201()
CONVS = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
SKIPS = CONVS.replace("nor_conv_3x3", "skip_connect")


def history(*cells):
    """One epoch for each cell; the eigenvalue grows with the skip connections."""
    growth = [3.0 ** cells[: place + 1].count(SKIPS) for place in range(len(cells))]
    return [
        {"epoch": epoch, "genotype": cell, "sharpness/eigenvalue": value}
        for epoch, (cell, value) in enumerate(zip(cells, growth, strict=True), start=1)
    ]


@each(STOPPERS)
def test_stoppers_let_a_healthy_search_run_to_its_end(row):
    for count in range(1, 6):
        assert row.build()(history(*[CONVS] * count), SPACE, 5) is None


@each(STOPPERS)
def test_stoppers_name_an_epoch_that_is_there_and_repeat_themselves(row):
    rows = history(CONVS, *[SKIPS] * 3)
    verdict = row.build()(rows, SPACE, 5)
    assert isinstance(verdict, Verdict) and 1 <= verdict.epoch <= 4 and verdict.reason
    assert row.build()(rows, SPACE, 5) == verdict
