"""Data sets of TFDS: a small one written here, and the real CIFAR-10."""

import re
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tf_edd.data import Crop, Flip, RandomResizedCrop, TfdsImages, split, subset
from tf_edd.data.normalization import KNOWN_MOMENTS, measure
from tf_edd.errors import UserError


class _Tiny(tfds.core.GeneratorBasedBuilder):
    """Gray images whose pixels are their number and whose label is the number modulo 3."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (6, 4, 1)
    EXTRA = {}
    code_path = None  # before 4.9.10 TFDS cannot look for checksums beside a module that is in no regular package

    def _info(self):
        image = tfds.features.Image(shape=self.SHAPE)
        features = {"picture": image, "kind": tfds.features.ClassLabel(names=["a", "b", "c"]), **self.EXTRA}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(range(60)), "test": self._generate_examples(range(60, 72))}

    def _generate_examples(self, numbers):
        for number in numbers:
            size = [side or 4 + number % 3 for side in self.SHAPE]
            yield number, {"picture": np.full(size, number, np.uint8), "kind": number % 3}


class TinyGrey(_Tiny):
    """Images of one size."""


class TinyVariable(_Tiny):
    """Images of several sizes."""

    SHAPE = (None, None, 1)


class TinyUnlabeled(_Tiny):
    """Two labels, none of them marked as the one to predict."""

    EXTRA = {"second": tfds.features.ClassLabel(num_classes=3)}

    def _generate_examples(self, numbers):
        for key, example in super()._generate_examples(numbers):
            yield key, {**example, "second": 0}


@pytest.fixture(scope="module")
def tiny_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("tfds"))
    for builder in (TinyGrey, TinyVariable, TinyUnlabeled):
        builder(data_dir=directory).download_and_prepare()
    return directory


def _stored(images):
    batches = list(images.raw_batches(7).as_numpy_iterator())
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def _numbers(data, dataset):
    """The pixel values of each batch, undone from the normalization."""
    return [
        np.round((batch[:, 0, 0, 0] * data.std[0] + data.mean[0]) * 255).astype(int).tolist() for batch, _ in dataset
    ]


@pytest.mark.parametrize("in_memory", ["auto", False])
def test_shapes_classes_and_labels_are_read(tiny_dir, in_memory):
    data = TfdsImages("tiny_grey", in_memory=in_memory).load(data_dir=tiny_dir)
    assert data.image_shape == (6, 4, 1) and data.class_names == ("a", "b", "c")
    assert (data.name, data.train.size, data.test.size) == ("tiny_grey", 60, 12)
    for images, expected in ((data.train, range(60)), (data.test, range(60, 72))):
        pixels, labels = _stored(images)
        assert pixels.shape[1:] == (6, 4, 1) and pixels.dtype == np.uint8
        assert sorted(pixels[:, 0, 0, 0]) == list(expected)
        np.testing.assert_array_equal(labels, pixels[:, 0, 0, 0] % 3)
    np.testing.assert_allclose(data.mean[0], np.arange(60).mean() / 255)
    np.testing.assert_allclose(data.std[0], np.arange(60).std() / 255)


def test_batches_from_disk(tiny_dir):
    data = TfdsImages("tiny_grey", in_memory=False).load(data_dir=tiny_dir)

    def epoch(seed, number, skip=0):
        return _numbers(data, data.train.batches(8, seed, number, skip, augment=[Flip()]))

    first = epoch(0, 0)
    assert first == epoch(0, 0) and len(first) == 7
    assert len(set(sum(first, []))) == 56
    assert epoch(0, 0, skip=3) == first[3:]
    assert epoch(0, 1) != first and epoch(1, 0) != first


def test_augmentation_from_disk_continues_after_skip(tiny_dir):
    data = TfdsImages("tiny_grey", in_memory=False).load(data_dir=tiny_dir)
    whole = list(data.train.batches(8, 0, 0, augment=[Crop(2)]).as_numpy_iterator())
    rest = list(data.train.batches(8, 0, 0, skip=5, augment=[Crop(2)]).as_numpy_iterator())
    assert len(rest) == 2
    for (images, _), (other, _) in zip(whole[5:], rest, strict=True):
        np.testing.assert_array_equal(images, other)


def test_a_stream_from_disk_runs_through_pass_after_pass(tiny_dir):
    data = TfdsImages("tiny_grey", in_memory=False).load(data_dir=tiny_dir)
    whole = _numbers(data, data.train.stream(8, seed=0, first=0, steps=15))  # 120 images, two passes
    assert [sorted(sum(whole, [])[start : start + 60]) for start in (0, 60)] == [list(range(60))] * 2
    assert sum(whole, [])[:60] != sum(whole, [])[60:]
    assert _numbers(data, data.train.stream(8, seed=0, first=6, steps=4)) == whole[6:10]
    assert _numbers(data, data.train.stream(8, seed=0, first=13, steps=2)) == whole[13:]


@pytest.mark.parametrize("train_split", ["train", "train[10:]"])
def test_splits_from_disk_are_apart(tiny_dir, train_split):
    data = TfdsImages("tiny_grey", in_memory=False, train_split=train_split).load(data_dir=tiny_dir)
    splits = split(data.train, 0.5, 20, seed=0)
    parts = [set(_stored(part)[0][:, 0, 0, 0].tolist()) for part in splits[:2]]
    assert [len(part) for part in parts] == [data.train.size // 2, 20] and not parts[0] & parts[1]
    assert parts[0] | parts[1] <= set(_stored(data.train)[0][:, 0, 0, 0].tolist())
    assert splits.record["train_sha256"] != splits.record["valid_sha256"]


def test_two_splits_from_disk_cannot_be_divided(tiny_dir):
    data = TfdsImages("tiny_grey", in_memory=False, train_split="train+test").load(data_dir=tiny_dir)
    with pytest.raises(UserError, match=r"Received: 'train\+test'"):
        split(data.train, 10, 10, seed=0)


def test_test_split_held_out(tiny_dir):
    data = TfdsImages("tiny_grey", test_split=None, test_fraction=0.25).load(data_dir=tiny_dir)
    train, test = (set(_stored(images)[0][:, 0, 0, 0].tolist()) for images in (data.train, data.test))
    assert (len(train), len(test)) == (45, 15) and not train & test


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_of_several_sizes(tiny_dir, in_memory):
    with pytest.raises(UserError, match=r"differ in size: set TfdsImages.image_size.*Received: image_size=None"):
        TfdsImages("tiny_variable").load(data_dir=tiny_dir)
    data = TfdsImages("tiny_variable", image_size=(5, 8), in_memory=in_memory).load(data_dir=tiny_dir)
    pixels, labels = _stored(data.train)
    assert pixels.shape == (60, 5, 8, 1)
    np.testing.assert_array_equal(labels, pixels[:, 2, 2, 0] % 3)


@pytest.mark.parametrize("skip", [2, 5])
def test_random_resized_crop_from_disk_continues_after_skip(tiny_dir, skip):
    data = TfdsImages("tiny_variable", image_size=(5, 8), in_memory=False).load(data_dir=tiny_dir)
    augment = [RandomResizedCrop(), Crop(1)]
    whole = [images for images, _ in data.train.batches(8, 0, 1, augment=augment).as_numpy_iterator()]
    rest = [images for images, _ in data.train.batches(8, 0, 1, skip, augment).as_numpy_iterator()]
    assert len(whole) == 7 and whole[0].shape == (8, 5, 8, 1)
    np.testing.assert_array_equal(whole[skip:], rest)


def test_stratified_splits_of_data_on_disk(tiny_dir):
    """Read once and held encoded; the same rows as those of the data set in memory."""
    disk, memory = (
        TfdsImages("tiny_variable", image_size=(5, 8), in_memory=kind, stratified=True).load(data_dir=tiny_dir)
        for kind in (False, True)
    )
    splits, expected = split(disk.train, 0.2, 0.1, seed=3), split(memory.train, 0.2, 0.1, seed=3)
    assert splits.record == expected.record
    for part, other, share in zip(splits[:2], expected[:2], (4, 2), strict=True):
        assert np.bincount(_stored(part)[1]).tolist() == [share] * 3
        for batch, twin in zip(part.batches(3, 0, 1, 1), other.batches(3, 0, 1, 1), strict=True):
            np.testing.assert_array_equal(batch[0], twin[0])
            np.testing.assert_array_equal(batch[1], twin[1])
    part, _ = subset(splits.train, 0.5, seed=0)
    assert np.bincount(_stored(part)[1]).tolist() == [2] * 3
    augmented = [i for i, _ in splits.train.batches(3, 0, 0, augment=[RandomResizedCrop()]).as_numpy_iterator()]
    assert len(augmented) == 4 and augmented[0].shape == (3, 5, 8, 1)


def test_stratified_parts_that_are_too_large(tiny_dir):
    data = TfdsImages("tiny_grey", in_memory=False, stratified=True, memory_limit=100).load(data_dir=tiny_dir)
    with pytest.raises(UserError, match="held in memory.*Received: memory_limit=100"):
        split(data.train, 0.5, 0.5, seed=0)


def test_memory_limit(tiny_dir):
    small = TfdsImages("tiny_grey", memory_limit=72 * 24).load(data_dir=tiny_dir)
    large = TfdsImages("tiny_grey", memory_limit=72 * 24 - 1).load(data_dir=tiny_dir)
    # The order within an epoch tells the two ways apart.
    orders = [_numbers(data, data.train.batches(60, 0, 0))[0] for data in (small, large)]
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence([0, 0, 0]))).permutation(60)
    stored = _stored(small.train)[0][:, 0, 0, 0]
    assert orders[0] == stored[expected].tolist() != orders[1]


def test_given_moments(tiny_dir):
    data = TfdsImages("tiny_grey", mean=[0.5], std=[0.25]).load(data_dir=tiny_dir)
    assert (data.mean, data.std) == ((0.5,), (0.25,))
    with pytest.raises(UserError, match="both mean and std"):
        TfdsImages("tiny_grey", mean=[0.5])
    with pytest.raises(UserError, match="each of 1 channel"):
        TfdsImages("tiny_grey", mean=[0.5] * 3, std=[0.25] * 3).load(data_dir=tiny_dir)


def test_unknown_name_names_the_nearest():
    with pytest.raises(UserError, match="cifar10.*Received: 'cifar11'"):
        TfdsImages("cifar11").load()


def test_unknown_configuration():
    with pytest.raises(UserError, match="Received: 'cifar10/foggy'"):
        TfdsImages("cifar10/foggy").load()


def test_data_not_prepared(tmp_path):
    with pytest.raises(UserError, match=f"tfds build cifar10 --data_dir={tmp_path}.*TfdsImages.download = True"):
        TfdsImages("cifar10").load(data_dir=str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bad", [{"train_split": "trian"}, {"test_split": "validation"}, {"train_split": "train[60:]"}])
def test_unknown_or_empty_split(tiny_dir, bad):
    with pytest.raises(UserError, match=rf"train \(60 examples\), test.*Received: '{next(iter(bad.values()))[:4]}"):
        TfdsImages("tiny_grey", **bad).load(data_dir=tiny_dir)


@pytest.mark.parametrize("bad", [{"train_split": "train[:50%]"}, {"test_fraction": 0.0}])
def test_hold_out_needs_a_whole_split(bad):
    with pytest.raises(UserError, match=f"Received: {next(iter(bad))}="):
        TfdsImages("tiny_grey", test_split=None, **bad)


@pytest.mark.parametrize("bad", [{"in_memory": "perhaps"}, {"memory_limit": 0}, {"image_size": (4,)}, {"std": (1.0,)}])
def test_bad_arguments(bad):
    with pytest.raises(UserError, match="Received: "):
        TfdsImages("tiny_grey", **bad)


def test_ambiguous_labels(tiny_dir):
    with pytest.raises(UserError, match="one Image and one ClassLabel. Received: 'tiny_unlabeled'"):
        TfdsImages("tiny_unlabeled").load(data_dir=tiny_dir)


@pytest.mark.slow
def test_cifar10(cifar10_dir):
    start = time.perf_counter()
    data = TfdsImages("cifar10").load(data_dir=cifar10_dir)
    assert time.perf_counter() - start < 60
    assert data.image_shape == (32, 32, 3) and data.class_names[:2] == ("airplane", "automobile")
    (_, labels), (_, test_labels) = _stored(data.train), _stored(data.test)
    assert np.bincount(labels).tolist() == [5000] * 10 and np.bincount(test_labels).tolist() == [1000] * 10
    assert (data.mean, data.std) == (KNOWN_MOMENTS["cifar10"].mean, KNOWN_MOMENTS["cifar10"].std)
    # Loose for std: a copy of the data set that stores JPEGs is smoother than the original. The fast inverse cosine
    # transform, TensorFlow's default, would shift the mean by 0.005.
    measured = measure(data.train.raw_batches(1000))
    np.testing.assert_allclose(measured.mean, data.mean, atol=3e-4)
    np.testing.assert_allclose(measured.std, data.std, atol=3e-3)
    images, _ = next(data.train.batches(64, 0, 0, augment=[Crop(), Flip()]).as_numpy_iterator())
    assert images.shape == (64, 32, 32, 3) and np.isfinite(images).all()


@pytest.mark.parametrize("name", ["cifar10:9.9.9", "cifar10:1.*.*", "cifar10:", "cifar10:x", "someone:cifar10"])
def test_a_version_or_a_namespace_that_is_not_there(name, tmp_path):
    with pytest.raises(UserError, match=f"Received: '{re.escape(name)}'"):
        TfdsImages(name).load(str(tmp_path))
