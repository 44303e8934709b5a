"""Learning-rate schedules: pure functions of the epoch."""

import math

from conformance.rows import EPOCHS, RATES, each


@each(RATES)
def test_rates_are_finite_numbers_and_none_is_negative(row):
    rates = [row.build()(epoch) for epoch in range(2 * EPOCHS)]  # also after the end
    assert all(type(rate) is float and math.isfinite(rate) and rate >= 0 for rate in rates)
    assert min(rates[:EPOCHS]) > 0


@each(RATES)
def test_a_rate_depends_on_the_epoch_alone(row):
    rate = row.build()
    forwards = [rate(epoch) for epoch in range(EPOCHS)]
    backwards = [rate(epoch) for epoch in reversed(range(EPOCHS))]
    assert backwards[::-1] == forwards == [row.build()(epoch) for epoch in range(EPOCHS)]


@each(RATES)
def test_a_rate_rises_only_where_it_is_meant_to(row):
    rates = [row.build()(epoch) for epoch in range(2 * EPOCHS)]
    assert any(later > earlier for earlier, later in zip(rates, rates[1:], strict=False)) == row.rising
