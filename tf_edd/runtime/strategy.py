"""On which machine a run computes: devices, tf.distribute strategies, precision, XLA."""

import dataclasses
import json
import os
from pathlib import Path

import gin
import keras
import tensorflow as tf
from absl import logging

from tf_edd.errors import UserError
from tf_edd.runtime import STRATEGIES

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SWITCH = ("auto", "on", "off")
CPU_INFO = Path("/proc/cpuinfo")  # Linux; other systems do not tell


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How the step is compiled.

    Attributes:
        precision: Keras dtype policy of the supernet; relaxation, entropy and losses stay in float32.
        jit_compile: whether XLA compiles the forward and backward pass of a replica.
        meta_optimizer: whether TensorFlow's graph meta-optimizer runs.
    """

    precision: str
    jit_compile: bool
    meta_optimizer: bool

    def apply(self) -> None:
        """Sets the precision policy and the graph options of this process; call it before anything is built."""
        set_precision(self.precision)
        if self.precision == "mixed_bfloat16" and _lacks_bfloat16():
            logging.warning(
                "This processor has no bfloat16 instructions, and bfloat16 is slow without. Float32 is faster here: "
                "--gin_param='runtime.precision = \"float32\"'"
            )
        disable_meta_optimizer(not self.meta_optimizer)


@gin.configurable(module="tf_edd.runtime")
def runtime(precision: str = "float32", xla: str = "off", meta_optimizer: str = "auto") -> Runtime:
    """The settings of this machine, for the `tf.distribute` strategy in scope.

    Args:
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        xla: "off", "on" (with one replica only), or "auto": on where there is one GPU (on a CPU, XLA makes the step
            ten times slower).
        meta_optimizer: TensorFlow's graph optimizer: "on", "off", or "auto": on where there is a GPU (its layout
            optimizer matters there); off on a CPU, where it costs 6 s of the first step and gains nothing.

    Raises:
        UserError: another value, or XLA with several replicas.
    """
    _require("runtime.precision", precision, PRECISIONS)
    return Runtime(precision, _xla(xla), _switch("meta_optimizer", meta_optimizer))


def set_precision(precision: str) -> None:
    """Sets the Keras dtype policy of everything built afterwards.

    Raises:
        UserError: not one of `PRECISIONS`.
    """
    _require("precision", precision, PRECISIONS)
    keras.config.set_dtype_policy(precision)


def _lacks_bfloat16() -> bool:
    """Whether everything is computed by a processor that is known to lack bfloat16 instructions."""
    # Linux names them avx512_bf16, amx_bf16 (x86) and bf16 (Arm).
    return not tf.config.list_physical_devices("GPU") and CPU_INFO.exists() and "bf16" not in CPU_INFO.read_text()


def disable_meta_optimizer(disable: bool = True) -> None:
    """Turns TensorFlow's graph meta-optimizer off or on again, for functions that run for the first time afterwards."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": disable})


def use_logical_cpus(count: int) -> None:
    """Splits the CPU into `count` logical devices, so that Mirrored can be tried without GPUs.

    Raises:
        UserError: TensorFlow has been used already with another number.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = tf.config.get_logical_device_configuration(cpu)
    if count < 1:
        raise UserError(f"Expected at least one logical CPU. Received: {count}")
    if len(parts or [None]) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise UserError(f"Expected logical CPUs to be set before TensorFlow is used. Received: {count}") from error


def grow_memory() -> None:
    """Lets TensorFlow take the memory of GPUs as it is needed, not all at once; call it before a GPU is used."""
    for gpu in tf.config.list_physical_devices("GPU"):
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The strategy of this name; GPU memory is taken as it is needed.

    Args:
        name: "one" device; "mirrored" over the GPUs, or over the logical CPUs if there is no GPU; "multi_worker" over
            the machines that the environment variable TF_CONFIG names; "auto": mirrored with several GPUs, else one.

    Raises:
        UserError: another name, or multi_worker without a usable TF_CONFIG.
    """
    _require("--strategy", name, STRATEGIES)
    grow_memory()
    if name == "multi_worker":
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "mirrored" or (name == "auto" and len(devices) > 1):
        return tf.distribute.MirroredStrategy(devices or [d.name for d in tf.config.list_logical_devices("CPU")])
    return tf.distribute.OneDeviceStrategy(devices[0] if devices else "/cpu:0")


def replica_batches(batches: tf.data.Dataset, strategy: tf.distribute.Strategy):
    """The batches as `strategy.run` takes them: each replica gets an equal, contiguous part of each global batch.

    `strategy.experimental_distribute_dataset` would do the same and fetch ahead to a GPU, but the iterators that it
    makes for the devices start a thread that tunes them, which no option turns off; a program that drops such an
    iterator waits for that thread, idle for up to a minute at the end of each epoch.

    Args:
        batches: of global batches, whose size is a multiple of the number of replicas; the same in every process.
        strategy: the `tf.distribute` strategy.
    """
    replicas = strategy.num_replicas_in_sync
    return batches if replicas == 1 else (_split(batch, strategy, replicas) for batch in batches)


def _split(batch, strategy, replicas):
    parts = [tf.split(tensor, replicas) for tensor in batch]
    return tuple(
        strategy.experimental_distribute_values_from_function(
            lambda context, p=part: p[context.replica_id_in_sync_group]
        )
        for part in parts
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: always, except in the workers other than the first."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    if resolver.task_type == "worker":
        return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
    return resolver.task_type == "chief"


def _require(what: str, value, allowed) -> None:
    if value not in allowed:
        raise UserError(f"{what} must be one of {', '.join(allowed)}. Received: {value!r}")


def _switch(name: str, value: str) -> bool:
    _require(f"runtime.{name}", value, SWITCH)
    return value == "on" or (value == "auto" and bool(tf.config.list_physical_devices("GPU")))


def _xla(value: str) -> bool:
    # Batch norm takes its statistics over all replicas, and replicas cannot meet inside a function that XLA compiles.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if value == "on" and replicas > 1:
        raise UserError(
            f"runtime.xla needs a strategy of one replica. Received: runtime.xla on with {replicas} replicas"
        )
    return _switch("xla", value) and replicas == 1


def _check_tf_config() -> None:
    text = os.environ.get("TF_CONFIG", "")
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        content = json.loads(text)
        type_, index = content["task"]["type"], int(content["task"]["index"])
        _ = content["cluster"][type_][index]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(
            f"--strategy=multi_worker needs the environment variable TF_CONFIG, such as {example}. "
            f"Received: {text or 'none'}"
        ) from error
