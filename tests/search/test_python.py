"""The way from arrays to a model in Python, without gin."""

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_search
from sklearn.datasets import load_digits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tf_edd
from tf_edd import data, spaces
from tf_edd.architectures.table import ACCURACIES, NasBench201Table
from tf_edd.runtime import files

EPOCHS = 2


@pytest.fixture(scope="module")
def digits():
    """1,100 training and 697 test images, uint8 [N, 8, 8, 1], and their labels."""
    found = load_digits()
    pixels = (found.images * (255 / 16)).round().astype("uint8")[..., None]
    return (pixels[:1100], found.target[:1100]), (pixels[1100:], found.target[1100:])


@pytest.fixture(scope="module")
def images(digits):
    (x_train, y_train), (x_test, y_test) = digits
    return data.from_arrays(x_train, y_train, x_test, y_test)


@pytest.fixture(scope="module")
def searched(images, tmp_path_factory):
    """A search with a method from a gin file and everything else by default."""
    gin.clear_config()
    folder = tmp_path_factory.mktemp("python") / "mine"
    space = spaces.nas_bench_201(init_channels=4, cells_per_stage=1)
    method = tf_edd.load_method("methods/edd_darts.gin", epochs=EPOCHS)
    found = tf_edd.search(folder, space=space, data=images, method=method, epochs=EPOCHS, batch_size=64)
    return folder, found, method, space


@pytest.fixture(scope="module")
def retrained(searched, images):
    folder, *_ = searched
    return folder, tf_edd.retrain(folder, data=images, epochs=EPOCHS)


@pytest.mark.slow
def test_a_search_reports_by_default(searched):
    folder, found, *_ = searched
    written = {str(path.relative_to(folder / "search")) for path in (folder / "search").rglob("*")}
    pictures = {"cell.svg", "cell.png", "heat_map.png", "trajectories.png"}
    assert {"genotypes.jsonl", "genotype.json", "results.json", "record.json", "space.json"} | pictures <= written
    assert [row["epoch"] for row in files.read_lines(folder / "search" / "genotypes.jsonl")] == [1, 2]
    events = EventAccumulator(str(folder / "search" / "discretized"), size_guidance={"tensors": 0}).Reload()
    logged = [tf.make_ndarray(event.tensor_proto) for event in events.Tensors("accuracy/search")]
    np.testing.assert_allclose(logged, [row["accuracy/discretized"] for row in found.history], rtol=1e-6)
    assert "<svg" in found._repr_html_()


@pytest.mark.slow
def test_the_same_call_from_python_is_compared_as_one_from_gin_is(searched, images):
    folder, found, method, space = searched
    arguments = {"space": space, "data": images, "method": method, "epochs": EPOCHS, "batch_size": 64}
    with pytest.raises(tf_edd.UserError, match="search is finished"):
        tf_edd.search(folder, **arguments)
    (folder / "search" / "results.json").rename(folder / "kept.json")
    try:
        with pytest.raises(tf_edd.UserError, match="entropy_gain: started with 0.06, received 0.5"):
            other = tf_edd.load_method("methods/edd_darts.gin", epochs=EPOCHS, entropy_gain=0.5)
            tf_edd.search(folder, **{**arguments, "method": other})
        with pytest.raises(tf_edd.UserError, match="data.*sha256: started with"):
            flipped = data.from_arrays(*(np.flip(part, 2) if part.ndim == 4 else part for part in arrays(images)))
            tf_edd.search(folder, **{**arguments, "data": flipped})
        again = tf_edd.search(folder, **arguments)
    finally:
        (folder / "kept.json").rename(folder / "search" / "results.json")
    assert again.genotype == found.genotype and again.history == found.history


def arrays(images):
    """x_train, y_train, x_test, y_test."""
    return [
        np.concatenate(part)
        for split in (images.train, images.test)
        for part in zip(*split.raw_batches(1000).as_numpy_iterator(), strict=True)
    ]


@pytest.mark.slow
def test_the_sizes_are_those_of_the_retrained_network(retrained, searched, images):
    _, results = retrained
    _, found, _, space = searched
    counts = tf_edd.count(found.genotype, space, images.image_shape, images.num_classes)
    assert counts["parameters"] == results["parameters"]
    assert counts["multiply_adds_with_bias"] == results["multiply_adds"]  # as the records of NAS-Bench-201
    assert results["epochs"] == EPOCHS


@pytest.mark.slow
def test_the_exported_model_takes_raw_images(retrained, images, digits):
    folder, _ = retrained
    evaluation = tf_edd.evaluate(folder, data=images)
    model = tf_edd.export(folder, data=images)
    assert isinstance(model, keras.Model)
    x_test, y_test = digits[1]
    accuracy = np.mean(model.predict(x_test, verbose=0).argmax(-1) == y_test)
    assert evaluation["images"] == len(x_test) and accuracy == pytest.approx(evaluation["accuracy"], abs=1e-6)
    loaded = keras.saving.load_model(folder / "export" / "model.keras")
    np.testing.assert_allclose(loaded.predict(x_test, verbose=0), model.predict(x_test, verbose=0), atol=1e-5)


@pytest.mark.slow
def test_searches_are_reported_side_by_side(searched):
    folder, found, *_ = searched
    assert f"{100 * found.history[-1]['accuracy/discretized']:.4g}" in tf_edd.report({"EDD": [folder]})


def test_a_ranking_in_another_space_is_refused(tmp_path):
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    files.write_lines(
        tmp_path / "table.csv", ["index,arch," + ",".join(ACCURACIES), f"0,{cell}" + ",1" * len(ACCURACIES)]
    )
    tiny_search.run(tmp_path / "run", epochs=1)
    table = NasBench201Table(str(tmp_path / "table.csv"))
    with pytest.raises(tf_edd.UserError, match="knows cells of space 'nas_bench_201'. Received: a search in 'tiny'"):
        tf_edd.rank(tmp_path / "run", table=table, data=data.Digits())
    with pytest.raises(tf_edd.UserError, match="Expected the model_dir of a search"):
        tf_edd.rank(tmp_path / "none", table=table, data=data.Digits())
