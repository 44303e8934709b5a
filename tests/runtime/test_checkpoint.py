"""tf_edd.runtime.checkpoint: one write for everything, the newest intact one back."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.runtime import checkpoint as module
from tf_edd.runtime import files
from tf_edd.runtime.checkpoint import Checkpointer, variables_of


class State:
    def __init__(self, **values):
        self.values = values

    def state_dict(self):
        return self.values

    def load_state_dict(self, state):
        self.values = state


def simple(directory, size=1000, **kwargs):
    variable, state = tf.Variable(tf.zeros([size])), State()
    return Checkpointer(directory, {"logits": variable}, state, **kwargs), variable, state


def save(saver, variable, state, step):
    variable.assign(tf.fill(variable.shape, float(step)))
    state.values = {"step": step}
    saver.save(step)


def filled(directory, steps=(1, 2, 3)):
    parts = simple(directory)
    for step in steps:
        save(*parts, step)
    return directory


def restored(directory):
    saver, variable, state = simple(directory)
    step = saver.restore()
    assert state.values == ({"step": step} if step else {})
    np.testing.assert_array_equal(variable, np.full([1000], step or 0, np.float32))
    return step


def keras_parts():
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)])
    model.build([None, 4])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def train(model, optimizer, steps):
    for step in range(steps):
        x = tf.random.stateless_normal([8, 4], [step, 1])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def arrays(*objects):
    return [variable.numpy() for variable in variables_of(objects)]


def test_keras_model_and_optimizer_come_back_bit_equal_and_go_on_alike(tmp_path):
    model, optimizer = keras_parts()
    train(model, optimizer, 3)
    state = State(temperature=0.1 + 0.2, history=[{"epoch": 1, "genotype": "|é~0|"}], nothing=None)
    Checkpointer(tmp_path, {"model": model, "optimizer": optimizer}, state).save(3)
    other = keras_parts()
    loaded = State()
    assert Checkpointer(tmp_path, dict(zip(("model", "optimizer"), other, strict=True)), loaded).restore() == 3
    assert loaded.values == state.values
    for pair in ((model, optimizer), other):
        train(*pair, 2)
    for mine, theirs in zip(arrays(model, optimizer), arrays(*other), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len(arrays(*other)) == 6 + 1 + 2 + 2 * 4  # with the dropout seed, iterations, rate and two slots a weight


def test_variables_are_found_in_order():
    first, second = tf.Variable(1.0), keras.Variable([2.0])
    found = variables_of({"b": [second], "a": first})
    assert found[0] is first and found[1] is second.value
    with pytest.raises(TypeError, match="float"):
        variables_of([1.0])


def test_an_empty_directory_restores_nothing(tmp_path):
    assert restored(tmp_path / "none") is None


def test_the_newest_are_kept_under_tensorflow_s_names(tmp_path):
    filled(tmp_path, (1, 2, 9, 10, 11))
    assert simple(tmp_path)[0].steps == [9, 10, 11]
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["checkpoint"] + [f"ckpt-{n}.{end}" for n in (9, 10, 11) for end in ("index", "data-00000-of-00001")]
    )
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-11")
    assert restored(tmp_path) == 11


def truncate(path, part=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def flip(path):
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda d: truncate(d / "ckpt-3.data-00000-of-00001"),
        lambda d: truncate(d / "ckpt-3.data-00000-of-00001", 0),
        lambda d: flip(d / "ckpt-3.data-00000-of-00001"),
        lambda d: truncate(d / "ckpt-3.index"),
        lambda d: truncate(d / "ckpt-3.index", 0),
        lambda d: (d / "ckpt-3.data-00000-of-00001").unlink(),
        lambda d: (d / "ckpt-3.index").unlink(),
    ],
)
def test_a_broken_newest_one_is_passed_over(tmp_path, harm):
    filled(tmp_path)
    harm(tmp_path)
    assert restored(tmp_path) == 2
    parts = simple(tmp_path)
    save(*parts, 3)  # the run goes on and writes the same step again
    assert restored(tmp_path) == 3 and simple(tmp_path)[0].steps == [1, 2, 3]


def test_the_broken_one_is_named_in_a_warning_and_kept_aside(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module.logging, "warning", lambda text, *args: told.append(text % args))
    filled(tmp_path)
    truncate(tmp_path / "ckpt-3.index")
    assert restored(tmp_path) == 2 and restored(tmp_path) == 2
    assert len(told) == 1 and str(tmp_path / "ckpt-3") in told[0]
    assert (tmp_path / "broken-ckpt-3.index").exists()


def test_leftovers_of_a_killed_save_do_no_harm_and_are_removed(tmp_path):
    filled(tmp_path, (1, 2))
    folder = tmp_path / f"{files.TEMPORARY}abc"
    (folder / "ckpt-3_temp").mkdir(parents=True)
    (folder / "ckpt-3_temp" / "part-00000-of-00001.data").write_bytes(b"half")
    (tmp_path / "ckpt-3.data-00000-of-00001").write_bytes(b"renamed, its index not yet")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-77"\n')
    assert restored(tmp_path) == 2
    save(*simple(tmp_path), 4)
    assert not folder.exists() and not list(tmp_path.glob("ckpt-3.*"))
    assert restored(tmp_path) == 4


def test_none_intact_is_an_error_and_all_are_left(tmp_path):
    filled(tmp_path, (1, 2))
    for step in (1, 2):
        truncate(tmp_path / f"ckpt-{step}.index")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match="(?s)intact checkpoint.*ckpt-2: .*ckpt-1: "):
        restored(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("count, size", [(1, 999), (2, 1000)])
def test_a_checkpoint_of_another_network_is_refused(tmp_path, count, size):
    filled(tmp_path, (1,))
    variables = [tf.Variable(tf.zeros([size])) for _ in range(count)]
    with pytest.raises(UserError, match="none that restores"):
        Checkpointer(tmp_path, {"logits": variables}, State()).restore()


def test_a_checkpoint_with_more_than_the_network_is_refused(tmp_path):
    Checkpointer(tmp_path, {"logits": [tf.Variable(1.0), tf.Variable(2.0)]}, State()).save(1)
    with pytest.raises(UserError, match="none that restores"):
        Checkpointer(tmp_path, {"logits": [tf.Variable(0.0)]}, State()).restore()


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "No space left on device")],
)
def test_a_full_disk_keeps_the_older_ones(tmp_path, monkeypatch, error):
    parts = simple(tmp_path)
    save(*parts, 1)

    def fail(*args, **kwargs):
        (Path(args[1]).parent / "half").write_bytes(b"x")
        raise error

    with monkeypatch.context() as patch, pytest.raises(UserError, match="(?s)ckpt-2.*is kept.*No space left"):
        patch.setattr(tf.train.Checkpoint, "write", fail)
        save(*parts, 2)
    assert restored(tmp_path) == 1 and not list(tmp_path.glob(f"{files.TEMPORARY}*"))


def test_an_unwritable_directory_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        simple(tmp_path / "file" / "search")[0].save(1)


def test_only_the_chief_leaves_files(tmp_path):
    saver, *_ = simple(tmp_path, chief=False)
    saver.save(1)
    assert not os.listdir(tmp_path)
    filled(tmp_path)
    truncate(tmp_path / "ckpt-3.index")
    before = sorted(os.listdir(tmp_path))
    saver, variable, _ = simple(tmp_path, chief=False)
    assert saver.restore() == 2 and sorted(os.listdir(tmp_path)) == before


def test_max_to_keep_must_be_positive(tmp_path):
    with pytest.raises(UserError, match="max_to_keep=0"):
        simple(tmp_path, max_to_keep=0)


WRITER = """
import sys
import tensorflow as tf
import tests.runtime.test_checkpoint as t
parts = t.simple(sys.argv[1])
step = parts[0].restore() or 0
print("ready", flush=True)
while True:
    step += 1
    t.save(*parts, step)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_directory_that_restores(tmp_path):
    last = 0
    root = Path(__file__).resolve().parents[2]
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
        process.stdout.readline()
        time.sleep(0.3 + 0.3 * random.random())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        step = restored(tmp_path)
        assert step and step > last
        last = step
        assert not list(tmp_path.glob("broken-*"))


def part_of(directory, size=1000):
    variable = tf.Variable(tf.zeros([size]))
    return module.read_part(directory, {"logits": variable}), variable


def test_a_part_of_the_newest_intact_checkpoint(tmp_path):
    model, variable, state = tf.Variable([1.0, 2.0]), tf.Variable(tf.zeros([1000])), State()
    saver = Checkpointer(tmp_path, {"logits": variable, "model": model}, state)
    for step in (1, 2, 3):
        save(saver, variable, state, step)
    newest = next(tmp_path.glob("ckpt-3.data*"))
    newest.write_bytes(newest.read_bytes()[:100])
    before = sorted(path.name for path in tmp_path.iterdir())
    told, part = part_of(tmp_path)
    assert told == {"step": 2} and np.all(part == 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing is set aside


def test_a_part_of_another_network_is_refused(tmp_path):
    with pytest.raises(UserError, match="intact checkpoint of logits.*Received: none$"):
        part_of(tmp_path / "nowhere")
    filled(tmp_path)
    with pytest.raises(UserError, match="none that fits"):
        part_of(tmp_path, size=7)
    with pytest.raises(UserError, match="1 variables of logits, the network 0"):
        module.read_part(tmp_path, {"logits": []})


@pytest.mark.parametrize("index", [True, False])
def test_a_folder_whose_checkpoints_are_gone_does_not_start_again(tmp_path, index):
    filled(tmp_path)
    for path in [*tmp_path.glob("ckpt-*"), *([] if index else [tmp_path / "checkpoint"])]:
        path.unlink()
    if not index:
        assert restored(tmp_path) is None  # nothing tells that there was one
        (tmp_path / "genotypes.jsonl").write_text('{"epoch": 1}\n')
        assert restored(tmp_path) is None  # a kill between the first epoch's log and its checkpoint
    (tmp_path / "genotypes.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    told = r"had some \(genotypes.jsonl has 2 epochs\). Received: none is left. --overwrite starts anew"
    with pytest.raises(UserError, match=told):
        restored(tmp_path)
    (tmp_path / "genotypes.jsonl").unlink()
    if index:
        with pytest.raises(UserError, match="which had some. Received: none is left"):
            restored(tmp_path)


def test_a_worker_without_a_temporary_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path / "nowhere"))
    worker, variable, state = simple(tmp_path, chief=False)
    with pytest.raises(UserError, match="TMPDIR"):
        save(worker, variable, state, 1)
