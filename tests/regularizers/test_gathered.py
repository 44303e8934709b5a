"""Regularizers by name, from Python and from gin files that extend one another."""

import gin
import pytest

from tf_edd.errors import UserError
from tf_edd.regularizers import SelfDistillation, regularizers


@pytest.fixture(autouse=True)
def empty_gin():
    yield
    gin.clear_config()


def test_they_are_sorted_by_name_and_none_removes_one():
    one, two = SelfDistillation(1), SelfDistillation(2)
    assert regularizers() == ()
    assert regularizers(b=one, a=two) == regularizers(a=two, b=one) == (two, one)
    assert regularizers(a=None, b=one) == (one,)


def test_gin_files_add_and_remove():
    gin.parse_config(
        """
        regularizers.distillation = @SelfDistillation()
        SelfDistillation.teachers = 3
        regularizers.second = @second/SelfDistillation()
        second/SelfDistillation.vote = "majority"
        """
    )
    made = gin.get_configurable(regularizers)
    assert made() == (SelfDistillation(3), SelfDistillation(3, vote="majority"))
    gin.parse_config("regularizers.distillation = None")
    assert made() == (SelfDistillation(3, vote="majority"),)


@pytest.mark.parametrize("wrong", [SelfDistillation, "SelfDistillation", 0.1])
def test_refuses_what_is_no_regularizer(wrong):
    with pytest.raises(UserError, match="first must be a regularizer.*Received: "):
        regularizers(first=wrong)
