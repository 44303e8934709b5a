"""Parts with the same share of each class."""

from types import SimpleNamespace

import numpy as np
import pytest

from tf_edd.data.batches import make_splits
from tf_edd.data.images import Images
from tf_edd.data.normalization import Moments
from tf_edd.data.sources import ArraySource
from tf_edd.data.splits import split, subset
from tf_edd.data.stratified import hold_out, stratified_order
from tf_edd.errors import UserError


def _images(labels, stratified=True):
    return Images(ArraySource(np.zeros((len(labels), 2, 2, 1), np.uint8), labels, stratified=stratified), MOMENTS)


def _labels(images):
    return np.concatenate([labels for _, labels in images.raw_batches(100).as_numpy_iterator()])


MOMENTS = Moments((0.0,), (1.0,))


@pytest.mark.parametrize("sizes", [[40] * 10, [7, 130, 60, 303]])
def test_runs_hold_the_shares_of_the_whole(sizes):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = stratified_order(labels, np.random.default_rng(1))
    assert sorted(order) == list(range(len(labels)))
    for start, stop in ((0, len(labels) // 10), (13, 200), (len(labels) // 2, len(labels) // 2 + 37)):
        counts = np.bincount(labels[order[start:stop]], minlength=len(sizes))
        expected = np.array(sizes) * (stop - start) / len(labels)
        assert np.abs(counts - expected).max() < 2


def test_splits_are_stratified_and_apart():
    splits = split(_images(np.tile(np.arange(10), 40)), 0.1, 0.025, seed=0)
    assert np.bincount(_labels(splits.train)).tolist() == [4] * 10
    assert np.bincount(_labels(splits.valid)).tolist() == [1] * 10
    again, other = (split(_images(np.tile(np.arange(10), 40)), 0.1, 0.025, seed).record for seed in (0, 1))
    assert again == splits.record and other["train_sha256"] != again["train_sha256"]
    part, record = subset(_images(np.tile(np.arange(10), 40)), 0.5, seed=0)
    assert np.bincount(_labels(part)).tolist() == [20] * 10 and record["train"] == 200


def test_parts_of_parts_stay_stratified():
    splits = split(_images(np.tile(np.arange(10), 40)), 0.5, 0.5, seed=0)
    inner = split(splits.train, 0.1, 0.1, seed=0)
    assert np.bincount(_labels(inner.train)).tolist() == [2] * 10


def test_plain_parts_are_not():
    splits = split(_images(np.tile(np.arange(10), 40), stratified=False), 0.1, 0.025, seed=0)
    assert np.bincount(_labels(splits.train), minlength=10).tolist() != [4] * 10


def test_classes_with_a_single_image_are_named():
    with pytest.raises(UserError, match="folders train/ and test/. Received: one image of 'cat', 'owl'$"):
        hold_out(np.array([0, 1, 1, 2]), 0.5, 0, ("cat", "dog", "owl"))


@pytest.mark.parametrize("stratified", [True, False])
def test_a_single_level_search_has_its_images_in_a_random_order(stratified):
    """Class folders are stored class by class; batch statistics of one class are none that a network has seen."""
    images = _images(np.repeat(np.arange(4), 25), stratified)
    data = SimpleNamespace(train=images)
    train, valid, record = make_splits(data, (1.0, None), 3)
    for part in (train, valid):
        labels = _labels(part)
        assert np.bincount(labels).tolist() == [25] * 4
        assert all(len(set(labels[start : start + 25])) == 4 for start in range(0, 100, 25))
    again, _, same = make_splits(data, (1.0, None), 3)
    assert record == same and record["train_sha256"] != make_splits(data, (1.0, None), 4)[2]["train_sha256"]
    np.testing.assert_array_equal(_labels(train), _labels(again))
