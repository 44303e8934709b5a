"""The files of the goldens: what they hold, and, where PyTorch is installed, that it gives the same numbers."""

import numpy as np
import pytest
from goldens import cases, problems, storage


def test_files_hold_all_cases_and_are_small():
    contents = {name: list(several) for name, several in cases.GROUPS.items()}
    contents |= {"optimizers": list(problems.OPTIMIZERS), "rates": list(problems.SCHEDULES)}
    assert {path.stem for path in storage.FOLDER.glob("*.npz")} == set(contents)
    assert sum(path.stat().st_size for path in storage.FOLDER.glob("*.npz")) < 500_000
    for name, expected in contents.items():
        records, about = storage.load(name)
        assert list(records) == expected and about["torch"]
        assert all(np.isfinite(array).all() for record in records.values() for array in record.values())


@pytest.mark.parametrize("change", [{(3, 4): 0.01}, {(0, 0): -0.01, (5, 6): 0.01}])
def test_a_summary_shows_a_small_difference_in_a_large_array(change):
    array = np.random.RandomState(0).normal(size=(20, 30))
    other = array.copy()
    for place, difference in change.items():
        other[place] += difference
    assert storage.summary(array, 599).shape == (1 + storage.DIRECTIONS,)
    storage.assert_close({"x": storage.summary(array, 599)}, {"x": storage.summary(array, 599)}, 1e-12)
    with pytest.raises(AssertionError, match="x"):
        storage.assert_close({"x": storage.summary(other, 599)}, {"x": storage.summary(array, 599)}, 1e-4)
    np.testing.assert_array_equal(storage.summary(array, 600), array)


@pytest.mark.parametrize("group", cases.GROUPS)
def test_pytorch_gives_the_same_numbers(group):
    pytest.importorskip("torch")
    from goldens import make

    golden, _ = storage.load(group)
    for name, case in cases.GROUPS[group].items():
        storage.assert_close(make.record(case), golden[name], 1e-6, name)


@pytest.mark.parametrize("name", ["optimizers", "rates"])
def test_pytorch_trains_alike(name):
    pytest.importorskip("torch")
    from goldens import training

    records = {"optimizers": training.trajectories, "rates": training.rates}[name]()
    for case, golden in storage.load(name)[0].items():
        storage.assert_close(records[case], golden, 1e-6, case)
