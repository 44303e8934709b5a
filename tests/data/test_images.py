"""Batches: shapes, order, determinism, skip; the splits of a search."""

import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tf_edd.data import ImageFolder, sources
from tf_edd.data.augmentation import Crop, Cutout, Flip
from tf_edd.data.images import ImageData, Images
from tf_edd.data.normalization import Moments, normalize
from tf_edd.data.sources import ArraySource, EncodedSource, FileSource
from tf_edd.data.splits import split
from tf_edd.data.tfds_source import TfdsSource
from tf_edd.errors import UserError
from tf_edd.runtime.record import describe, differences

AUGMENT = [Crop(1), Flip(), Cutout(2)]


def _images(size=23, shape=(5, 4, 3)):
    pixels = np.random.default_rng(1).integers(0, 256, (size, *shape), dtype=np.uint8)
    moments = Moments((0.4,) * shape[-1], (0.2,) * shape[-1])
    # Each label is the number of its image.
    return Images(ArraySource(pixels, np.arange(size)), moments), pixels


def _labels(dataset):
    return [labels.tolist() for _, labels in dataset.as_numpy_iterator()]


def _assert_equal(first, second):
    first, second = list(first.as_numpy_iterator()), list(second.as_numpy_iterator())
    assert len(first) == len(second) > 0
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("shape", [(5, 4, 3), (8, 8, 1)])
def test_shapes_and_types(shape):
    images, _ = _images(shape=shape)
    dataset = images.batches(4, seed=0, epoch=0, augment=AUGMENT)
    assert dataset.element_spec == (
        tf.TensorSpec((4, *shape), tf.float32),
        tf.TensorSpec((4,), tf.int32),
    )
    assert [len(labels) for labels in _labels(dataset)] == [4] * 5
    assert images.image_shape == shape and images.size == 23


def test_an_epoch_holds_each_image_once_with_its_label():
    images, pixels = _images()
    expected = normalize(pixels, (0.4,) * 3, (0.2,) * 3).numpy()
    seen = []
    for batch, labels in images.batches(4, seed=0, epoch=0, drop_remainder=False).as_numpy_iterator():
        np.testing.assert_array_equal(batch, expected[labels])
        seen += labels.tolist()
    assert sorted(seen) == list(range(23)) and seen != sorted(seen)


def test_stored_order_without_shuffle():
    images, _ = _images()
    assert sum(_labels(images.batches(5, 0, 0, shuffle=False, drop_remainder=False)), []) == list(range(23))


def test_equal_arguments_give_equal_batches_and_others_do_not():
    images, _ = _images()
    other, _ = _images()
    _assert_equal(images.batches(4, 7, 3, augment=AUGMENT), other.batches(4, 7, 3, augment=AUGMENT))
    orders = {str(_labels(images.batches(4, seed, epoch))) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_order_is_numpys():
    """The order survives versions of TensorFlow: it comes from NumPy's PCG64, whose stream is guaranteed."""
    images, _ = _images()
    expected = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, 3, 0]))).permutation(23)
    assert sum(_labels(images.batches(4, 7, 3, drop_remainder=False)), []) == expected.tolist()


@pytest.mark.parametrize("skip", [1, 3, 5])
def test_skip_continues_bit_identically(skip):
    images, _ = _images()
    whole = images.batches(4, 7, 3, augment=AUGMENT, drop_remainder=False)
    _assert_equal(whole.skip(skip), images.batches(4, 7, 3, skip, AUGMENT, drop_remainder=False))


def test_augmentation_differs_between_batches_and_epochs():
    same = np.tile(np.random.default_rng(0).integers(0, 256, (1, 6, 6, 1), np.uint8), (64, 1, 1, 1))
    images = Images(ArraySource(same, np.zeros(64)), Moments((0.0,), (1.0,)))
    batches = [batch for e in (0, 1) for batch, _ in images.batches(32, 0, e, augment=[Crop(2)]).as_numpy_iterator()]
    assert len({batch.tobytes() for batch in batches}) == 4


def test_pixels_are_not_written_into_the_graph_and_epochs_are_cheap():
    images = Images(
        ArraySource(np.zeros((40_000, 16, 16, 3), np.uint8), np.zeros(40_000)), Moments((0.0,) * 3, (1.0,) * 3)
    )
    dataset = images.batches(64, 0, 0, augment=AUGMENT)
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor, strip_device_assignment=False)
    functions = tf.compat.v1.GraphDef.FromString(graph.numpy()).library
    assert functions.ByteSize() < 1_000_000
    start = time.process_time()
    for epoch in range(1, 6):
        images.batches(64, 0, epoch, augment=AUGMENT)
    assert (time.process_time() - start) / 5 < 0.5  # ten times what it takes


_TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
from tf_edd.data import Crop, Digits, Flip
from tf_edd.runtime.strategy import replica_batches
images = Digits().load().train
batches = [images.batches(64, 0, 0, augment=[Crop(1), Flip()]) for _ in range(2)]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
shared = replica_batches(batches[1], strategy)
for (batch, labels), (parts, part_labels) in zip(batches[0], shared, strict=True):
    parts, part_labels = (strategy.experimental_local_results(x) for x in (parts, part_labels))
    assert [len(part) for part in parts] == [32, 32]
    assert np.array_equal(batch, np.concatenate(parts)) and np.array_equal(labels, np.concatenate(part_labels))
"""


@pytest.mark.slow
def test_two_replicas_share_the_global_batch():
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", _TWO_REPLICAS], check=True, cwd=root, timeout=300)


def test_batch_larger_than_the_data():
    images, _ = _images()
    with pytest.raises(UserError, match=r"23 images.*Received: batch_size=24"):
        images.batches(24, 0, 0)
    assert [len(labels) for labels in _labels(images.batches(24, 0, 0, drop_remainder=False))] == [23]


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"seed": -1}, {"epoch": -1}, {"skip": -1}])
def test_numbers_that_are_too_small(bad):
    images, _ = _images()
    with pytest.raises(UserError, match="Received"):
        images.batches(**{"batch_size": 4, "seed": 0, "epoch": 0, **bad})


def test_an_empty_batch_is_called_so():
    images, _ = _images()
    for call in (lambda: images.batches(0, 0, 0), lambda: images.raw_batches(0)):
        with pytest.raises(UserError, match="batch_size must be at least 1. Received: batch_size=0"):
            call()


def test_parallel_calls_keep_to_the_processors_of_the_process(monkeypatch):
    monkeypatch.setattr(sources.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(sources.os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    assert sources.usable_cpus() == 2
    monkeypatch.delattr(sources.os, "sched_getaffinity")  # as on macOS
    assert sources.usable_cpus() == 64


@pytest.mark.parametrize(("train", "valid", "sizes"), [(10, 5, (10, 5)), (0.5, 0.5, (11, 11)), (0.3, 16, (6, 16))])
def test_split_sizes_and_record(train, valid, sizes):
    images, _ = _images()
    splits = split(images, train, valid, seed=4)
    rows = [sum(_labels(part.batches(1, 0, 0, shuffle=False)), []) for part in splits[:2]]
    assert (len(rows[0]), len(rows[1])) == sizes == (splits.train.size, splits.valid.size)
    assert not set(rows[0]) & set(rows[1])
    record = json.loads(json.dumps(splits.record))
    assert (record["images"], record["train"], record["valid"], record["seed"]) == (23, *sizes, 4)
    for name, part in zip(("train", "valid"), rows, strict=True):
        assert record[f"{name}_sha256"] == hashlib.sha256(np.array(part, "<i8").tobytes()).hexdigest()


def test_split_is_a_function_of_the_seed():
    images, _ = _images()
    first, again, other = (split(images, 0.5, 0.5, seed).record for seed in (1, 1, 2))
    assert first == again and first["train_sha256"] != other["train_sha256"]


def test_fractions_are_not_cut_by_rounding_errors():
    images, _ = _images(size=100)
    assert split(images, 0.29, 0.57, 0).train.size == 29  # 0.29 * 100 = 28.999999999999996


def test_splits_of_equal_size_are_not_paired():
    """The same images of the two splits must not meet in each epoch: the orders are independent."""
    images, _ = _images(size=20)
    splits = split(images, 10, 10, 0)
    positions = []
    for part in splits[:2]:
        stored = sum(_labels(part.batches(1, 0, 0, shuffle=False)), [])
        positions.append([stored.index(label) for label in sum(_labels(part.batches(1, 0, 0)), [])])
    assert positions[0] != positions[1]


@pytest.mark.parametrize(
    ("train", "valid"), [(20, 4), (0.6, 0.6), (0, 5), (5, -1), (0.0, 0.5), (1.5, 1), (0.01, 5), (True, 5), ("all", 5)]
)
def test_impossible_splits(train, valid):
    images, _ = _images()
    with pytest.raises(UserError, match="Received"):
        split(images, train, valid, 0)


def test_no_thread_tunes_the_batches():
    """A program that drops the iterator would wait for it, idle for up to a minute."""
    images, _ = _images()
    assert images.batches(8, 0, 0).options().autotune.enabled is False
    assert images.raw_batches(8).options().autotune.enabled is False


MOMENTS = Moments((0.5,), (0.25,))


def _data(train, test, names=("cat", "dog"), moments=MOMENTS):
    return ImageData.from_sources("pets", train, test, names, moments)


def test_facts_of_a_dry_run():
    data = _data(ArraySource(PIXELS, LABELS, rows=np.array([0, 1, 2])), ArraySource(PIXELS, LABELS))
    facts = {"classes": "cat: 1, dog: 2 (training images)", "test images": "4"}
    assert data.facts() == facts
    assert dataclasses.replace(data, notes=("a", "b")).facts() == {**facts, "files": "a\nb"}


def test_facts_of_many_classes_and_of_labels_that_are_not_known():
    many = [f"c{number}" for number in range(25)]
    assert _data(ArraySource(PIXELS, LABELS), ArraySource(PIXELS, LABELS), many).facts()["classes"] == (
        "c0: 2, c1: 2, "
        + ", ".join(f"c{number}: 0" for number in range(2, 20))
        + ", and 5 more classes (training images)"
    )
    test = ArraySource(PIXELS, LABELS)
    unknown = TfdsSource(SimpleNamespace(), "train", ("image", "label"), (3, 2, 1))
    assert _data(unknown, test).facts() == {"classes": "cat, dog", "test images": "4"}


def test_classes_are_counted_by_every_source_that_knows_them(tmp_path):
    rows = np.array([3, 1, 2])
    sources = [
        ArraySource(PIXELS, LABELS, rows),
        FileSource(np.array(["a", "b", "c"]), LABELS[rows], (3, 2, 1)),
        EncodedSource(tf.constant(["a", "b", "c", "d"]), LABELS, (3, 2, 1), 1.0, rows),
    ]
    assert [Images(source, MOMENTS).class_counts(3) for source in sources] == [[1, 2, 0]] * 3


PIXELS, LABELS = np.arange(24, dtype=np.uint8).reshape(4, 3, 2, 1), np.array([0, 1, 1, 0])


def test_images_in_memory_are_described_by_their_content():
    train = ArraySource(PIXELS, LABELS)
    digest = hashlib.sha256(b"(2, 3, 2, 1)" + bytes(range(6)) + bytes(range(18, 24)) + bytes(8)).hexdigest()
    test = ArraySource(PIXELS, LABELS, rows=np.array([0, 3]))
    described = describe(_data(train, test))
    assert described == {
        "@": "ImageData",
        "name": "pets",
        "image_shape": [3, 2, 1],
        "class_names": ["cat", "dog"],
        "train": {"images": 4, "sha256": train.content()["sha256"]},
        "test": {"images": 2, "sha256": digest},
        "mean": [0.5],
        "std": [0.25],
    }
    assert json.loads(json.dumps(described)) == described
    assert describe(_data(ArraySource(PIXELS.copy(), LABELS), test)) == described


@pytest.mark.parametrize(
    "change, line",
    [
        ({"train": ArraySource(PIXELS[::-1], LABELS)}, "train.sha256"),
        ({"train": ArraySource(PIXELS, 1 - LABELS)}, "train.sha256"),
        ({"train": ArraySource(PIXELS, LABELS, rows=np.array([1, 0, 2, 3]))}, "train.sha256"),
        ({"test": ArraySource(PIXELS, 1 - LABELS)}, "test.sha256"),
        ({"names": ("cat", "owl")}, "class_names.1"),
        ({"moments": Moments((0.5,), (0.5,))}, "std.0"),
    ],
)
def test_any_other_images_are_told_apart(change, line):
    parts = {"train": ArraySource(PIXELS, LABELS), "test": ArraySource(PIXELS, LABELS)}
    lines = differences(describe(_data(**parts)), describe(_data(**{**parts, **change})))
    assert [text.split(":")[0].strip() for text in lines] == [line]


def test_more_images_than_are_hashed_at_once():
    pixels = np.random.default_rng(0).integers(0, 256, (10_003, 2, 2, 1), np.uint8)
    labels = np.arange(10_003, dtype=np.int32)
    whole = hashlib.sha256(b"(10003, 2, 2, 1)" + pixels.tobytes() + labels.tobytes()).hexdigest()
    assert ArraySource(pixels, labels).content() == {"sha256": whole}


def _files(root, names=("cat/1.png", "dog/1.png"), sizes=(3, 4)):
    for name, size in zip(names, sizes, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(size))
    return np.array([str(root / name) for name in names])


def test_files_are_described_by_their_names_labels_and_sizes(tmp_path):
    def content(root, labels=(0, 1), **files):
        paths = _files(tmp_path / root, **files)
        return FileSource(paths, np.array(labels, np.int32), (4, 4, 1), root=str(tmp_path / root)).content()

    first = content("one")
    rows = [("/cat/1.png", "0", "3\n"), ("/dog/1.png", "1", "4\n")]
    text = "".join(chr(0).join(row) for row in rows)
    assert first == {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert content("another/place") == first
    others = [
        content("labels", (1, 0)),
        content("names", names=("cat/1.png", "dog/2.png")),
        content("sizes", sizes=(3, 5)),
        content("order", (1, 0), names=("dog/1.png", "cat/1.png"), sizes=(4, 3)),
    ]
    assert len({each["sha256"] for each in [first, *others]}) == 5


def test_a_folder_names_its_files_below_itself(tmp_path):
    described = []
    for place in ("here", "there"):
        for name in ("cat", "dog"):
            for number in range(5):
                path = tmp_path / place / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.fromarray(np.full((4, 4), 50 * number, np.uint8)).save(path)
        described.append(describe(ImageFolder(place, in_memory=False).load(tmp_path)))
        described[-1].pop("name")
    assert described[0] == described[1]


def test_records_on_disk_are_described_by_their_version_and_split():
    builder = SimpleNamespace(info=SimpleNamespace(full_name="pets/small/1.2.0"))
    source = TfdsSource(builder, "train[:80%]", ("image", "label"), (4, 4, 1))
    assert source.content() == {"builder": "pets/small/1.2.0", "split": "train[:80%]"}


def test_encoded_images_are_described_by_their_content():
    def content(encoded=(b"a", b"b", b"c"), labels=(0, 1, 0), rows=(0, 2)):
        arrays = np.array(labels, np.int32), (4, 4, 1), 1.0, np.array(rows)
        return EncodedSource(tf.constant(encoded), *arrays).content()["sha256"]

    assert content() == content(encoded=(b"a", b"x", b"c"))  # another image than those of the source
    assert len({content(), content((b"a", b"b", b"x")), content(labels=(0, 1, 1)), content(rows=(2, 0))}) == 4


def test_the_content_is_read_once(monkeypatch):
    images = Images(ArraySource(PIXELS, LABELS), Moments((0.5,), (0.25,)))
    first = images.describe()
    monkeypatch.setattr(ArraySource, "content", lambda self: pytest.fail("read again"))
    assert images.describe() == first


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((8, 8, 3), 4, (4, 4)),
        ((12, 8, 1), 6, (6, 4)),
        ((9, 30, 1), 10, (3, 10)),
        ((8, 6, 3), 8, (8, 6)),
        ((1, 9, 1), 3, (1, 3)),
    ],
)
def test_the_longer_side_is_scaled_down(shape, side, expected):
    images = _images(shape=shape)[0].scaled_down(side)
    assert images.image_shape == (*expected, shape[-1]) and images.size == 23
    assert next(iter(images.batches(5, 0, 0)))[0].shape == (5, *expected, shape[-1])


def test_a_scaled_pixel_is_the_mean_of_its_area():
    """Of 2 x 2 pixels, after augmentation and normalization."""
    whole, _ = _images(shape=(8, 12, 3))
    part = whole.partition([6, 4], seed=0)[0][0]
    for images in (whole, whole.reshuffled(), part):
        big = next(iter(images.batches(4, 3, 1, augment=AUGMENT)))[0].numpy()
        small = next(iter(images.scaled_down(6).batches(4, 3, 1, augment=AUGMENT)))[0]
        np.testing.assert_allclose(small, big.reshape(4, 4, 2, 6, 2, 3).mean((2, 4)), atol=1e-5)


def test_parts_of_scaled_images_are_scaled():
    whole, _ = _images(shape=(8, 12, 3))
    scaled = whole.scaled_down(6)
    part = scaled.partition([6, 4], seed=0)[0][0]
    _assert_equal(part.batches(3, 0, 0), whole.partition([6, 4], seed=0)[0][0].scaled_down(6).batches(3, 0, 0))
    assert part.reshuffled().image_shape == scaled.reshuffled().image_shape == (4, 6, 3)
