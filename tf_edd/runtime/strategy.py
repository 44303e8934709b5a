"""On which machine a run computes: devices, tf.distribute strategies, precision, XLA."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from tf_edd.errors import UserError
from tf_edd.part import checked
from tf_edd.runtime import STRATEGIES, threads

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SWITCH = ("auto", "on", "off")
CPU_INFO = Path("/proc/cpuinfo")  # Linux; other systems do not tell


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How this process computes; made by `configure`.

    Attributes:
        strategy: the `tf.distribute` strategy of programs that are called outside any strategy's scope.
        jit_compile: whether XLA compiles the forward and backward pass of a replica.
        deterministic: whether every operation is deterministic, for one number of threads.
        meta_optimizer: whether TensorFlow's graph optimizer is on.
    """

    strategy: tf.distribute.Strategy
    jit_compile: bool = False
    deterministic: bool = False
    meta_optimizer: bool = False

    @property
    def chief(self) -> bool:
        """Whether this process writes files."""
        return is_chief(self.strategy)

    def record(self) -> dict[str, bool | int | str]:
        """What of it decides the numbers of a run, with the precision of the networks that are built now."""
        return {
            "deterministic": self.deterministic,
            **(threads.numbers() if self.deterministic else {}),
            "precision": keras.config.dtype_policy().name,
            "xla": self.jit_compile,
            "meta_optimizer": self.meta_optimizer,
        }


_CURRENT: list[Runtime] = []  # the one of this process, once there is one


@checked(module="tf_edd")
def configure(
    *,
    precision: str | None = "float32",
    xla: str = "off",
    meta_optimizer: str = "auto",
    strategy: str = "auto",
    logical_cpus: int = 1,
    deterministic: bool = False,
) -> Runtime:
    """Sets how this process computes; call it before anything else that uses TensorFlow.

    A program calls it with its flags. From Python it is optional: the first search, retraining or evaluation calls it
    with its defaults, which leave the precision as it is.

    Args:
        precision: "float32", "mixed_bfloat16" or "mixed_float16": the Keras dtype policy of the networks; relaxation,
            entropy and losses stay in float32. None leaves the policy as it is.
        xla: "off", "on" (with one replica only), or "auto": on where there is one GPU (on a CPU, XLA makes the step
            ten times slower).
        meta_optimizer: TensorFlow's graph optimizer: "on", "off", or "auto": on where there is a GPU (its layout
            optimizer matters there); off on a CPU, where it costs 6 s of the first step and gains nothing.
        strategy: see `make_strategy`.
        logical_cpus: into how many devices the CPU is split, to try `MirroredStrategy` without GPUs.
        deterministic: make every operation deterministic, so that a repetition with as many threads is equal to the
            bit; slower. It cannot be taken back: operations stay deterministic until the process ends.

    Returns:
        The settings, which `current` returns from now on.

    Raises:
        UserError: an unknown value, XLA with several replicas or with deterministic operations, or logical CPUs after
            TensorFlow was used.
    """
    if precision is not None:
        _require("configure.precision", precision, PRECISIONS)
    if logical_cpus > 1:
        use_logical_cpus(logical_cpus)
    if deterministic:
        threads.fix()
    made = make_strategy(strategy)
    stays = bool(_CURRENT) and _CURRENT[0].deterministic
    compiled = _xla(xla, made.num_replicas_in_sync)
    runtime = Runtime(made, compiled, deterministic or stays, _switch("meta_optimizer", meta_optimizer))
    if runtime.deterministic and compiled:
        since = "" if deterministic else " in a process whose operations are deterministic already"
        raise UserError(f"--deterministic needs XLA to be off. Received: configure.xla on{since}")
    disable_meta_optimizer(not runtime.meta_optimizer)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if precision is not None:
        set_precision(precision)
    if precision == "mixed_bfloat16" and _lacks_bfloat16():
        logging.warning(
            "This processor has no bfloat16 instructions, and bfloat16 is slow without. Float32 is faster here: "
            "--gin_param='configure.precision = \"float32\"'"
        )
    _CURRENT[:] = [runtime]
    return runtime


def current() -> Runtime:
    """The settings of this process; those of `configure()` where nobody has called it."""
    return _CURRENT[0] if _CURRENT else configure(precision=None)


def strategy_scope():
    """The scope of the strategy to compute in: that of the caller, or that of `current`."""
    return contextlib.nullcontext() if tf.distribute.has_strategy() else current().strategy.scope()


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
    """Lets TensorFlow take the memory of GPUs as it is needed, not all at once; call it before TensorFlow is used."""
    for gpu in tf.config.list_physical_devices("GPU"):
        if tf.config.experimental.get_memory_growth(gpu):
            continue
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # TensorFlow has taken its devices
            logging.log_first_n(
                logging.WARNING,
                "TensorFlow was used before tf_edd.configure(): it takes the memory of its GPUs all at once, as it "
                "does by default. To take it as it is needed, call tf_edd.configure() first",
                1,
            )
            return


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


def check_compiled(strategy: tf.distribute.Strategy) -> None:
    """Refuses to compile what runs under this strategy by XLA, if it has several replicas.

    Batch norm takes its statistics over all replicas, and replicas cannot meet inside a function that XLA compiles.

    Raises:
        UserError: `current` has XLA on, and the strategy, usually the caller's own, several replicas.
    """
    _check_xla(current().jit_compile, strategy.num_replicas_in_sync)


def has_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is one of several workers, or could be: it computes together with others."""
    resolver = strategy.cluster_resolver
    return resolver is not None and resolver.task_type is not None


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
    _require(f"configure.{name}", value, SWITCH)
    return value == "on" or (value == "auto" and bool(tf.config.list_physical_devices("GPU")))


def _xla(value: str, replicas: int) -> bool:
    _check_xla(value == "on", replicas)
    return _switch("xla", value) and replicas == 1


def _check_xla(on: bool, replicas: int) -> None:
    if on and replicas > 1:
        raise UserError(
            f"configure.xla needs a strategy of one replica. Received: configure.xla on with {replicas} replicas"
        )


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
