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
    before = list(module._CURRENT)
    module._CURRENT.clear()  # what another test has configured is not this one's
    yield
    gin.clear_config()
    keras.config.set_dtype_policy("float32")
    module.disable_meta_optimizer()
    module._CURRENT[:] = before


def in_new_process(code, **environment):
    code = "import tensorflow as tf\nfrom tf_edd.runtime import strategy as module\n" + code
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


class Gpus:
    """GPUs as TensorFlow shows them, for machines without any."""

    def __init__(self, monkeypatch, used):
        self.used, self.growing = used, set()
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["first", "second"])
        monkeypatch.setattr(tf.config.experimental, "get_memory_growth", lambda gpu: gpu in self.growing)
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", self.grow)

    def grow(self, gpu, enable):
        if self.used:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        assert enable
        self.growing.add(gpu)


def test_memory_grows_on_every_gpu(monkeypatch, caplog):
    gpus = Gpus(monkeypatch, used=False)
    module.grow_memory()
    gpus.used = True  # set already: not set again
    module.grow_memory()
    assert gpus.growing == {"first", "second"} and not caplog.text


def test_gpus_that_are_in_use_keep_their_memory_and_a_warning_says_so_once(monkeypatch, caplog):
    gpus = Gpus(monkeypatch, used=True)
    for _ in range(2):
        module.grow_memory()
    assert not gpus.growing and caplog.text.count("takes the memory of its GPUs all at once") == 1


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
    module.configure(precision=precision)
    assert ("no bfloat16 instructions" in caplog.text) == warned


@pytest.mark.parametrize("precision", module.PRECISIONS)
def test_precision_reaches_what_is_built_afterwards(precision):
    module.configure(precision=precision)
    layer = keras.layers.Dense(2)
    output = layer(tf.ones([1, 2]))
    assert output.dtype.name == precision.removeprefix("mixed_")
    assert layer.kernel.dtype == "float32"


def test_the_defaults_suit_the_machine():
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    made = module.configure()
    assert (made.jit_compile, made.deterministic, made.chief) == (False, False, True)
    assert keras.config.dtype_policy().name == "float32"
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] is not has_gpu
    assert module.configure(xla="auto").jit_compile == has_gpu
    assert module.configure(xla="on").jit_compile


def test_current_is_what_was_configured_last():
    first = module.configure(strategy="one")
    assert module.current() is first is module.current()
    second = module.configure(xla="on")
    assert module.current() is second and second.jit_compile


def test_without_a_call_the_defaults_hold_and_the_precision_stays():
    module._CURRENT.clear()
    keras.config.set_dtype_policy("mixed_bfloat16")
    made = module.current()
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert (made.jit_compile, made.deterministic) == (False, False) and module.current() is made


def test_gin_configures_the_process():
    gin.parse_config("configure.precision = 'mixed_bfloat16'\nconfigure.xla = 'on'")
    assert gin.get_configurable(module.configure)().jit_compile and keras.config.dtype_policy().name == "mixed_bfloat16"


def test_the_meta_optimizer_is_set():
    for state in ("off", "on"):
        module.configure(meta_optimizer=state)
        options = tf.config.optimizer.get_experimental_options()
        assert options["disable_meta_optimizer"] is (state == "off")
        assert module.current().meta_optimizer is module.current().record()["meta_optimizer"] is (state == "on")


def test_the_scope_is_that_of_the_caller_or_the_configured_one():
    own, configured = tf.distribute.OneDeviceStrategy("/cpu:0"), module.configure(strategy="one").strategy
    with module.strategy_scope():
        assert tf.distribute.get_strategy() is configured
    with own.scope(), module.strategy_scope():
        assert tf.distribute.get_strategy() is own
    assert not tf.distribute.has_strategy()


def test_several_replicas_refuse_xla_and_auto_leaves_it_off():
    code = """
for xla in ("on", "auto"):
    try:
        made = module.configure(strategy="mirrored", logical_cpus=2, xla=xla)
        print(made.strategy.num_replicas_in_sync, made.jit_compile)
    except module.UserError as error:
        assert "needs a strategy of one replica. Received: configure.xla on with 2 replicas" in str(error)
        print("refused")
"""
    assert in_new_process(code, CUDA_VISIBLE_DEVICES="") == ["refused", "2", "False"]


def test_deterministic_operations_are_switched_on_and_stay():
    code = """
from tensorflow.python.framework import config
print(config.is_op_determinism_enabled(), module.configure(deterministic=True).deterministic)
print(config.is_op_determinism_enabled(), module.current().deterministic)
print(module.configure().deterministic, module.current().record()["deterministic"])
try:
    module.configure(xla="on")
except module.UserError as error:
    assert "XLA to be off. Received: configure.xla on in a process whose operations are deterministic" in str(error)
    print("refused", module.current().jit_compile)
"""
    switched_on, stay = ["False", "True", "True", "True"], ["True", "True", "refused", "False"]
    assert in_new_process(code) == switched_on + stay


def test_the_record_holds_what_decides_numbers():
    module.configure(precision="mixed_bfloat16", xla="on", meta_optimizer="off")
    expected = {"deterministic": False, "precision": "mixed_bfloat16", "xla": True, "meta_optimizer": False}
    assert module.current().record() == expected


def test_xla_is_refused_under_the_callers_own_strategy_of_several_replicas():
    code = """
from tf_edd.runtime.run_numbers import run_numbers
module.configure(logical_cpus=2, xla="on")
print(*run_numbers(3, 4, 5))
for xla in ("on", "off"):
    module.configure(xla=xla)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        try:
            print(*run_numbers(3, 4, 5))
        except module.UserError as error:
            assert "needs a strategy of one replica. Received: configure.xla on with 2 replicas" in str(error)
            print("refused")
"""
    assert in_new_process(code, CUDA_VISIBLE_DEVICES="") == ["3", "4", "5", "refused", "3", "4", "5"]


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda: module.configure(precision="float16"), "configure.precision must be one of float32"),
        (lambda: module.configure(xla="yes"), "configure.xla must be one of auto, on, off. Received: 'yes'"),
        (lambda: module.configure(meta_optimizer="no"), "configure.meta_optimizer must be one of auto, on, off"),
        (lambda: module.configure(strategy="tpu"), "--strategy must be one of"),
        (lambda: module.configure(xla="on", deterministic=True), "--deterministic needs XLA to be off"),
        (lambda: module.make_strategy("tpu"), "--strategy must be one of"),
        (lambda: module.set_precision("int8"), "precision must be"),
        (lambda: module.use_logical_cpus(0), "at least one"),
    ],
)
def test_other_values_are_refused_and_change_nothing(call, told):
    before = module.configure()
    with pytest.raises(UserError, match=told):
        call()
    assert module.current() is before and keras.config.dtype_policy().name == "float32"
