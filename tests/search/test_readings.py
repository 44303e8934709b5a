"""Stoppers that read what actions measure: which searches they can end, and what the record says of them."""

import pytest
import tensorflow as tf

from tf_edd.actions import GenotypeLog, Sharpness
from tf_edd.errors import UserError
from tf_edd.search import readings as module
from tf_edd.search.readings import readings
from tf_edd.stoppers import EigenvalueStop, HealthyCell

STRATEGY = tf.distribute.get_strategy()


def test_other_searches_have_nothing_more_in_their_record():
    for stopper in (None, HealthyCell()):
        assert readings(stopper, (GenotypeLog(), Sharpness()), STRATEGY) == {}


def test_the_record_has_the_action_that_measures_and_no_other():
    found = readings(EigenvalueStop(), (GenotypeLog(), Sharpness(every_epochs=2)), STRATEGY)["measured_by"]
    assert [(row["@"], row["every_epochs"]) for row in found] == [("Sharpness", 2)]


def test_a_metric_that_nothing_measures_is_refused():
    with pytest.raises(UserError, match="EigenvalueStop reads sharpness/eigenvalue.*Received: none$"):
        readings(EigenvalueStop(), (), STRATEGY)


def test_several_workers_are_refused(monkeypatch):
    """Their chief alone measures, and the others would search on."""
    monkeypatch.setattr(module, "has_workers", lambda strategy: True)
    assert readings(HealthyCell(), (Sharpness(),), STRATEGY) == {}
    with pytest.raises(UserError, match="only the chief of several workers measures"):
        readings(EigenvalueStop(), (Sharpness(),), STRATEGY)
