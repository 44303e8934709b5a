"""tf_edd.runtime.run_numbers: epochs, batch size and seed."""

import numpy as np
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime.run_numbers import run_numbers


@pytest.mark.parametrize("kind", [int, np.int64, np.uint32])
def test_any_integer_becomes_pythons(kind):
    numbers = run_numbers(kind(3), kind(64), kind(2**31))
    assert numbers == (3, 64, 2**31) and {type(number) for number in numbers} == {int}


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_seeds_that_numpy_takes(seed):
    assert run_numbers(1, 1, seed)[2] == seed


@pytest.mark.parametrize("seed", [-1, 2**32, 0.0, "0", None, True])
def test_other_seeds_are_refused(seed):
    with pytest.raises(UserError, match=f"seed must be an integer of at least 0 and at most 4294967295. .*{seed!r}"):
        run_numbers(1, 1, seed)


@pytest.mark.parametrize("epochs, batch_size, name", [(0, 1, "epochs"), (2.0, 1, "epochs"), (1, 0, "batch_size")])
def test_impossible_sizes_are_refused(epochs, batch_size, name):
    with pytest.raises(UserError, match=f"{name} must be an integer of at least 1"):
        run_numbers(epochs, batch_size, 0)
