"""The base classes of regularizers, and the checks of phases and warmups."""

import dataclasses

import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.regularizers import PHASES, Regularizer, SelfDistillation, StepContext, check_active, check_phases


@dataclasses.dataclass(frozen=True)
class Constant(Regularizer):
    """The smallest regularizer."""

    value: float = 2.0

    def __call__(self, context):
        return tf.constant(self.value) * context.progress


def context(**changes):
    fields = dict.fromkeys(field.name for field in dataclasses.fields(StepContext) if field.default is not None)
    return StepContext(**{**fields, "unused": None, "progress": 0.0, **changes})


def test_a_regularizer_without_a_state_needs_a_call_alone():
    part = Constant()
    term = part.build(None, None, None, None)
    assert term is part and part.phases == PHASES and part.active(0)
    assert list(term.variables) == [] and term.tensors() is None and term.begin_step(0, 0) is None
    assert float(term(context(progress=0.5))) == 1.0


def test_a_context_begins_without_progress_and_state():
    plain = StepContext("weights", None, None, None, None, None, None, None, None)
    assert plain.progress == 0.0 and plain.state is None and plain.unused is None


def test_a_regularizer_that_overrides_nothing_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Regularizer has neither a __call__ nor a build"):
        Regularizer()(context())


def test_a_warmup_as_long_as_the_search_is_refused():
    with pytest.raises(UserError, match="SelfDistillation acts in none of the 3 epochs"):
        check_active([Constant(), SelfDistillation(warmup_epochs=3)], epochs=3)
    check_active([Constant(), SelfDistillation(warmup_epochs=2)], epochs=3)


@pytest.mark.parametrize("phases", ["weights", (), ("weights", "both"), 3, None])
def test_unknown_phases_are_refused(phases):
    with pytest.raises(UserError, match="phases must be a list.*Received: phases="):
        check_phases(phases)


@pytest.mark.parametrize("phases", [PHASES, ["arch"], ("weights",)])
def test_known_phases_pass(phases):
    check_phases(phases)
