"""tf_edd.runtime.strategy: devices, precision and compilation."""

import json
import os
import subprocess
import sys

import gin
import keras
import pytest
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.runtime import strategy as module


@pytest.fixture(autouse=True)
def _restore_globals():
    yield
    gin.clear_config()
    keras.config.set_dtype_policy("float32")
    module.disable_meta_optimizer()


def in_new_process(code, **environment):
    code = "import tensorflow as tf\nfrom tf_edd.runtime import strategy as module\n" + code
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_one_device_is_chief():
    strategy = module.make_strategy("one")
    assert strategy.num_replicas_in_sync == 1 and module.is_chief(strategy)


def test_auto_is_mirrored_only_with_several_gpus():
    several = len(tf.config.list_physical_devices("GPU")) > 1
    assert isinstance(module.make_strategy("auto"), tf.distribute.MirroredStrategy) == several


def test_mirrored_over_logical_cpus():
    code = """
module.use_logical_cpus(2)
strategy = module.make_strategy("mirrored")
with strategy.scope():
    v = tf.Variable(1.0)
total = strategy.reduce("SUM", strategy.run(lambda: v + 1.0), axis=None)
module.use_logical_cpus(2)
try:
    module.use_logical_cpus(3)
except module.UserError:
    print("refused")
print(strategy.num_replicas_in_sync, float(total), module.is_chief(strategy))
"""
    assert in_new_process(code, CUDA_VISIBLE_DEVICES="") == ["refused", "2", "4.0", "True"]


ABSENT_WORKER = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}'


@pytest.mark.parametrize("text", ["", "{", '{"cluster": {}}', ABSENT_WORKER])
def test_multi_worker_needs_tf_config(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="(?s)TF_CONFIG, such as.*Received: "):
        module.make_strategy("multi_worker")


@pytest.mark.parametrize(
    "jobs, task, chief",
    [
        (["worker"], ("worker", 0), True),
        (["worker"], ("worker", 1), False),
        (["chief", "worker"], ("worker", 0), False),
        (["chief", "worker"], ("chief", 0), True),
    ],
)
def test_the_first_worker_is_chief(monkeypatch, jobs, task, chief):
    cluster = {job: [f"localhost:{9000 + i}", f"localhost:{9100 + i}"] for i, job in enumerate(jobs)}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": task[0], "index": task[1]}}))

    class Strategy:
        cluster_resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()

    assert module.is_chief(Strategy()) is chief


@pytest.mark.parametrize(
    "precision, cpu, warned",
    [
        ("mixed_bfloat16", "flags : avx2 avx512f", True),
        ("mixed_bfloat16", "flags : avx512f avx512_bf16", False),
        ("mixed_bfloat16", None, False),
        ("float32", "flags : avx2", False),
    ],
)
def test_bfloat16_on_a_processor_without_it_is_warned_of(precision, cpu, warned, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "cpuinfo")
    if cpu is not None:
        module.CPU_INFO.write_text(cpu)
    module.runtime(precision=precision).apply()
    assert ("no bfloat16 instructions" in caplog.text) == warned


@pytest.mark.parametrize("precision", module.PRECISIONS)
def test_precision_reaches_what_is_built_afterwards(precision):
    module.runtime(precision=precision).apply()
    layer = keras.layers.Dense(2)
    output = layer(tf.ones([1, 2]))
    assert output.dtype.name == precision.removeprefix("mixed_")
    assert layer.kernel.dtype == "float32"


def test_runtime_defaults_suit_the_machine():
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    assert module.runtime() == module.Runtime("float32", False, has_gpu)
    assert module.runtime(xla="auto").jit_compile == has_gpu
    assert module.runtime(xla="on", meta_optimizer="on") == module.Runtime("float32", True, True)


def test_runtime_is_configured_by_gin():
    gin.parse_config("runtime.precision = 'mixed_bfloat16'")
    assert module.runtime().precision == "mixed_bfloat16"


def test_apply_sets_the_meta_optimizer():
    for state in ("off", "on"):
        module.runtime(meta_optimizer=state).apply()
        options = tf.config.optimizer.get_experimental_options()
        assert options["disable_meta_optimizer"] is (state == "off")


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: module.runtime(precision="float16"), "runtime.precision must be one of float32"),
        (lambda: module.runtime(xla="yes"), "runtime.xla must be one of auto, on, off. Received: 'yes'"),
        (lambda: module.make_strategy("tpu"), "--strategy must be one of"),
        (lambda: module.set_precision("int8"), "precision must be"),
        (lambda: module.use_logical_cpus(0), "at least one"),
    ],
)
def test_other_values_are_refused(call, told):
    with pytest.raises(UserError, match=told):
        call()
