"""tf_edd.errors: the checks and what they show of a value."""

import pytest

from tf_edd.errors import UserError, require_count, require_one_of, require_positive, require_share


@pytest.mark.parametrize(
    "check",
    [
        lambda: require_count(size=-(10**5000)),
        lambda: require_positive(size=10**5000),
        lambda: require_share(size=10**5000),
        lambda: require_one_of((1, 2), size=10**5000),
    ],
    ids=["count", "positive", "share", "one of"],
)
def test_an_integer_of_thousands_of_digits_is_one_short_error(check):
    """Python refuses to write more than 4300 digits."""
    with pytest.raises(UserError) as error:
        check()
    assert str(error.value).endswith(". Received: size=an integer of more than 1024 bits")
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize("value", [2**1024 - 1, -1, 0.5, True, "2", None])
def test_other_values_are_shown_as_python_writes_them(value):
    with pytest.raises(UserError, match="Received: ") as error:
        require_one_of(("a", "b"), name=value)
    assert str(error.value) == f"name must be one of 'a', 'b'. Received: name={value!r}"
