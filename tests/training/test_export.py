"""Export: the written model answers as the network does, from raw images, in a process that knows nothing of tf_edd."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.architectures.genotype import from_text
from tf_edd.data import Digits
from tf_edd.errors import UserError
from tf_edd.networks.final_network import build_final_network
from tf_edd.runtime import files
from tf_edd.spaces import nas_bench_201
from tf_edd.training import evaluate as evaluation
from tf_edd.training import export as program
from tf_edd.training.evaluate import evaluate
from tf_edd.training.export import export
from tf_edd.training.export_check import measure

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exported(retrained_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(retrained_dir, folder)
    model = export(folder, data=Digits(), check_images=150)
    return folder, model


def card_of(folder):
    return files.read_json(folder / "export" / "model_card.json")


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[0] / "export" / "saved_model"))


@pytest.fixture(scope="module")
def raw():
    return next(Digits().load().test.raw_batches(30).as_numpy_iterator())[0]


@pytest.fixture(scope="module")
def expected(exported, raw):
    """Logits of the retrained network on images normalized by hand."""
    data = Digits().load()
    model = keras.saving.load_model(exported[0] / "retrain" / "best" / "model.keras")
    return model(((raw / 255 - data.mean) / data.std).astype(np.float32), training=False).numpy()


def test_card_records_the_check_of_the_new_process(exported):
    folder, card = exported[0], card_of(exported[0])
    check = card["reloaded"]
    assert check["images"] == 150 and not check["imported_tf_edd"]
    assert 0 <= check["max_logit_difference"] <= 1e-4
    assert card["parameters"] > 0 and card["classes"] == list("0123456789")
    assert (folder / "export" / "labels.txt").read_text().split() == list("0123456789")


@pytest.mark.parametrize("batch", [1, 3, 30])
def test_float_and_uint8_give_the_networks_answer(loaded, raw, expected, batch):
    by_float = loaded.serve(tf.constant(raw[:batch], tf.float32))
    by_bytes = loaded.serve_uint8(tf.constant(raw[:batch]))
    signature = loaded.signatures["serving_default"](images=tf.constant(raw[:batch], tf.float32))
    probabilities = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    for result in (by_float, by_bytes, signature):
        np.testing.assert_allclose(result["logits"], expected[:batch], atol=1e-4)
        np.testing.assert_allclose(result["probabilities"], probabilities[:batch], atol=1e-5)
        names = [name.decode() for name in result["class_name"].numpy()]
        assert names == [str(c) for c in expected[:batch].argmax(-1)]


def test_labels_are_in_the_order_of_the_outputs(loaded):
    assert [name.decode() for name in loaded.labels()["labels"].numpy()] == list("0123456789")


@pytest.mark.parametrize("shape", [(2, 9, 8, 1), (2, 8, 8, 3), (8, 8, 1), (1, 2, 8, 8, 1)])
def test_a_wrong_image_shape_is_one_clear_error(loaded, shape):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        loaded.serve(np.zeros(shape, np.float32))
    message = f"Expected raw images of shape [batch, 8, 8, 1]. Received shape:] [{' '.join(map(str, shape))}]"
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["serving_default", "serve", "serve_uint8"])
@pytest.mark.parametrize("shape", [(2, 9, 8, 1), (8, 8, 1)])
def test_signatures_check_the_shape_too(loaded, name, shape):
    """TensorFlow does not: images of another size would get an answer, and of another rank end the process."""
    kind = tf.uint8 if name == "serve_uint8" else tf.float32
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected raw images of shape \[batch, 8, 8, 1\]"):
        loaded.signatures[name](images=tf.zeros(shape, kind))


def test_signatures_tell_the_shape_of_the_images(loaded):
    inputs = {name: call.structured_input_signature[1] for name, call in loaded.signatures.items()}
    shapes = {name: given["images"].shape.as_list() for name, given in inputs.items() if given}
    assert shapes == dict.fromkeys(["serving_default", "serve", "serve_uint8", "logits"], [None, 8, 8, 1])
    assert inputs["labels"] == {}


def test_the_numbers_of_numpy_are_taken(loaded):
    """Which are float64."""
    assert loaded.serve(np.zeros((2, 8, 8, 1)))["probabilities"].shape == (2, 10)


def test_an_empty_batch_has_an_empty_answer(loaded):
    for answer in (loaded.serve(np.zeros((0, 8, 8, 1), np.float32)), loaded.serve_uint8(np.zeros((0, 8, 8, 1), "u1"))):
        shapes = {name: value.shape.as_list() for name, value in answer.items()}
        assert shapes == {"probabilities": [0, 10], "logits": [0, 10], "class_name": [0]}


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_the_line_on_the_card_converts_to_litert(exported, raw, expected, monkeypatch, tmp_path):
    """With the built-in operations, and the variables as constants."""
    (tmp_path / "saved_model").symlink_to(exported[0] / "export" / "saved_model")
    monkeypatch.chdir(tmp_path)
    exec(card_of(exported[0])["convert"]["tflite"], {})
    interpreter = tf.lite.Interpreter("model.tflite")
    found = interpreter.get_signature_runner("logits")(images=raw.astype(np.float32))
    assert set(found) == {"logits"}
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)


def test_the_line_on_the_card_converts_to_onnx(exported, raw, expected, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    (tmp_path / "saved_model").symlink_to(exported[0] / "export" / "saved_model")
    line = card_of(exported[0])["convert"]["onnx"].split()
    subprocess.run([sys.executable, *line[1:]], cwd=tmp_path, check=True, capture_output=True)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    (found,) = session.run(["logits"], {"images": raw.astype(np.float32)})
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_keras_model_takes_raw_images(exported, raw, expected):
    loaded = keras.saving.load_model(exported[0] / "export" / "model.keras")
    for model in (loaded, exported[1]):
        np.testing.assert_allclose(model(raw.astype(np.float32)), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "result"), [("saved_model", "class_names"), ("keras", "logits")])
def test_usage_on_the_card_runs_as_it_stands(exported, raw, expected, name, result, tmp_path):
    """In a process of its own, for here all layers are registered with Keras. That model alone needs tf_edd."""
    usage = card_of(exported[0])["usage"]
    assert set(usage) == {"saved_model", "keras"}
    np.save(tmp_path / "raw.npy", raw.astype(np.float32))
    program = f"""
import numpy
images = numpy.load("{tmp_path}/raw.npy")
{usage[name]}
numpy.save("{tmp_path}/result.npy", {result}.numpy())
import sys
assert ("tf_edd" in sys.modules) == {name == "keras"}
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=exported[0] / "export", env=environment, check=True)
    found = np.load(tmp_path / "result.npy", allow_pickle=True)
    if name == "keras":
        np.testing.assert_allclose(found, expected, atol=1e-4)
    else:
        assert [text.decode() for text in found] == [str(c) for c in expected.argmax(-1)]


def test_evaluation_of_the_exported_model_equals_that_of_the_network(exported):
    folder = exported[0]
    network = evaluate(folder, data=Digits())
    saved = evaluate(folder, data=Digits(), saved_model=folder / "export" / "saved_model", batch_size=64)
    assert saved["accuracy"] == network["accuracy"] and saved["loss"] == pytest.approx(network["loss"], rel=1e-4)
    assert files.read_json(folder / "export" / "evaluation.json") == saved


def test_another_exported_model_leaves_the_folder_alone(exported, tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(evaluation.logging, "info", lambda *message: logged.append(message[0] % message[1:]))
    shutil.copytree(exported[0] / "export" / "saved_model", tmp_path / "other")
    assert evaluate(tmp_path / "run", data=Digits(), saved_model=tmp_path / "other")["network"].endswith("other")
    assert not (tmp_path / "run").exists() and logged[-1].startswith("Nothing is written: ")


def test_the_home_folder_is_found(exported, monkeypatch):
    monkeypatch.setenv("HOME", str(exported[0].parent))
    folder = f"~/{exported[0].name}"
    (exported[0] / "export" / "evaluation.json").unlink(missing_ok=True)
    evaluate(folder, data=Digits(), saved_model=f"{folder}/export/saved_model")
    assert (exported[0] / "export" / "evaluation.json").is_file()
    with pytest.raises(UserError, match="Expected no earlier export"):
        export(folder, data=Digits())


@pytest.mark.parametrize("batch_size", [0, -3])
def test_the_size_of_a_batch_is_not_blamed_on_the_model(exported, batch_size):
    with pytest.raises(UserError, match="^batch_size must be an integer of at least 1. Received"):
        evaluate(data=Digits(), saved_model=exported[0] / "export" / "saved_model", batch_size=batch_size)


def test_an_error_about_the_images_is_not_blamed_on_the_model(exported, monkeypatch):
    data = Digits().load()
    monkeypatch.setattr(data.test, "raw_batches", lambda size: (_ for _ in ()).throw(UserError("a file is gone")))
    with pytest.raises(UserError, match="^a file is gone$"):
        evaluate(data=data, saved_model=exported[0] / "export" / "saved_model")


def test_an_earlier_export_is_replaced_only_on_request(exported):
    folder, card = exported[0], card_of(exported[0])
    with pytest.raises(UserError, match="overwrite"):
        export(folder, data=Digits())
    assert card_of(folder) == card
    (folder / "export" / "evaluation.json").write_text("{}")
    export(folder, data=Digits(), check_images=20, overwrite=True)
    assert not (folder / "export" / "evaluation.json").exists()
    assert card_of(folder)["reloaded"]["images"] == 20


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_network_of_low_precision_is_served_in_float32(policy):
    space = nas_bench_201(4, 1)
    cell = "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    keras.config.set_dtype_policy(policy)
    try:
        low = build_final_network(space, from_text(cell, space), (8, 8, 1), 3)
    finally:
        keras.config.set_dtype_policy("float32")
    full = program.in_float32(low)
    assert all(layer.compute_dtype == "float32" for layer in full._flatten_layers())
    assert program.in_float32(full) is full
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    reference = build_final_network(space, from_text(cell, space), (8, 8, 1), 3)
    reference.set_weights(low.get_weights())
    np.testing.assert_allclose(full(x, training=True), reference(x, training=True), rtol=1e-5, atol=1e-5)


def test_a_model_that_differs_is_refused_and_has_no_card(retrained_dir, tmp_path, monkeypatch):
    shutil.copytree(retrained_dir, tmp_path / "run")
    arrays = program._arrays
    monkeypatch.setattr(program, "_arrays", lambda *given: {**(a := arrays(*given)), "logits": a["logits"] + 0.01})
    with pytest.raises(UserError, match="agree within 0.001"):
        export(tmp_path / "run", data=Digits(), check_images=10)
    assert not (tmp_path / "run" / "export" / "model_card.json").exists()


def test_check_measures_differences_and_accuracy(exported, raw, expected):
    labels = expected.argmax(-1)
    labels[:6] = (labels[:6] + 1) % 10
    shifted = expected + np.eye(10)[0] * 0.5
    arrays = {"images": raw, "labels": labels, "logits": shifted}
    result = measure(str(exported[0] / "export" / "saved_model"), arrays, batch_size=8)
    assert result["accuracy"] == pytest.approx(24 / 30)
    assert result["max_logit_difference"] == pytest.approx(0.5, abs=1e-4)


def test_check_measures_the_signature_for_converters(exported, raw, expected, monkeypatch):
    saved = tf.saved_model.load(str(exported[0] / "export" / "saved_model"))

    class Shifted:
        serve_uint8, labels = saved.serve_uint8, saved.labels
        signatures = {**saved.signatures, "logits": lambda images: {"logits": saved.serve(images)["logits"] + 0.25}}

    monkeypatch.setattr(tf.saved_model, "load", lambda path: Shifted)
    result = measure("", {"images": raw, "labels": expected.argmax(-1), "logits": expected}, batch_size=8)
    assert result["max_logit_difference"] == pytest.approx(0.25, abs=1e-4)


def test_memory_of_a_gpu_grows_before_the_export_uses_it(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(program, "current", lambda: calls.append("configured"))
    monkeypatch.setattr(program, "read_results", lambda path: calls.append("read") or {})
    with pytest.raises(KeyError):
        export(tmp_path, data=Digits())
    assert calls == ["configured", "read"]


def test_refuses_an_unfinished_retraining(tmp_path):
    with pytest.raises(UserError, match="finished retraining"):
        export(tmp_path, data=Digits())
