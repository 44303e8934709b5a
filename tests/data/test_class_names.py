"""Names of classes: one line of text each, and no two alike."""

import dataclasses

import pytest

from tf_edd.data import Digits, from_arrays
from tf_edd.data.class_names import check_class_names, is_text
from tf_edd.errors import UserError


@pytest.mark.parametrize("name", ["cat", "Großer Hund", "猫", "a|b $x$ <i>", "👩‍🌾", "نمی‌دانم"])
def test_any_line_of_text_is_a_name(name):
    assert is_text(name) and check_class_names([name, "other"]) == (name, "other")


@pytest.mark.parametrize("name", ["a\nb", "a\r", "tab\t", "\x1b[31m", "a\u2028b", "\udcff", "", 3])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match="one line of UTF-8. Received: ") as raised:
        check_class_names(["cat", name])
    str(raised.value).encode()  # the message itself can be printed


def test_names_differ():
    with pytest.raises(UserError, match="Received twice or more: 'b', 'c'$"):
        check_class_names(["a", "b", "c", "b", "c", "c"])


def test_every_data_set_checks_its_names():
    data = Digits().load()
    with pytest.raises(UserError, match="one line"):
        dataclasses.replace(data, class_names=("a\nb", *data.class_names[1:]))
    (pixels, labels), *_ = data.train.raw_batches(20).as_numpy_iterator()
    with pytest.raises(UserError, match="twice or more: 'a'"):
        from_arrays(pixels, labels % 2, pixels, labels % 2, class_names=["a", "a"])
