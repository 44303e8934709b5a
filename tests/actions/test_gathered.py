"""The list of actions that gin files extend."""

import gin
import pytest

from tf_edd.actions import (
    DEFAULT_ACTIONS,
    CollapseWarning,
    Drawings,
    GenotypeLog,
    Sharpness,
    TensorBoard,
    actions,
)
from tf_edd.actions.action import Action
from tf_edd.errors import UserError
from tf_edd.runtime.record import describe


@gin.configurable(module="test_gathered")
def listed(actions=()):
    return actions


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def test_the_default():
    assert actions() == DEFAULT_ACTIONS == (CollapseWarning(), Drawings(), GenotypeLog(), TensorBoard())
    assert all(isinstance(action, Action) for action in DEFAULT_ACTIONS)


def test_a_gin_file_adds_removes_and_sets():
    lines = ["listed.actions = @actions()", "actions.sharpness = @Sharpness()", "actions.drawings = None"]
    gin.parse_config([*lines, "CollapseWarning.patience = 4", "Sharpness.radius = 0.2"])
    assert listed() == (CollapseWarning(patience=4), GenotypeLog(), Sharpness(radius=0.2), TensorBoard())


def test_from_python():
    assert actions(drawings=Drawings(every=3), collapse_warning=None, genotype_log=None, tensorboard=None) == (
        Drawings(every=3),
    )


def test_what_is_no_action_is_refused():
    with pytest.raises(UserError, match="actions.sharpness must be an action.* Received: sharpness=0.1"):
        actions(sharpness=0.1)


def test_the_record_holds_every_value():
    record = describe(actions(sharpness=Sharpness(radius=0.2)))
    assert [part["@"] for part in record] == ["CollapseWarning", "Drawings", "GenotypeLog", "Sharpness", "TensorBoard"]
    assert record[3]["radius"] == 0.2 and record[3]["batch_size"] is None
