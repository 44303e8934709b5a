"""What is measured: the problem, the competitors and the figures to reach."""

import dataclasses
import importlib.util
import os

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, CLIP_NORM = 0.025, 0.9, 5e-4, 5.0
ARCH_LEARNING_RATE, ARCH_BETAS, ARCH_WEIGHT_DECAY = 3e-4, (0.5, 0.999), 1e-3
LOGIT_SCALE = 1e-3


@dataclasses.dataclass(frozen=True)
class Setting:
    """The problem that every competitor solves, and the cores it may use."""

    channels: int = 16
    cells_per_stage: int = 5
    batch: int = 64
    image_size: int = 32
    classes: int = 10
    cores: int = 2


@dataclasses.dataclass(frozen=True)
class Competitor:
    """A module of `benchmarks.peers`, the arguments of its `build`, and the package it needs."""

    module: str
    arguments: dict[str, str]
    package: str = "tensorflow"

    @property
    def importable(self) -> bool:
        """Whether the package is installed (found without importing it)."""
        return importlib.util.find_spec(self.package) is not None


@dataclasses.dataclass(frozen=True)
class Target:
    """A ratio of two competitors' seconds per step and the most it may be."""

    competitor: str
    peer: str
    limit: float


COMPETITORS = {
    "tf_edd": Competitor("ours", {"precision": "float32", "relaxation": "softmax"}),
    "tf_edd_sn_softmax": Competitor("ours", {"precision": "float32", "relaxation": "sparse_noisy_softmax"}),
    "tf_edd_bfloat16": Competitor("ours", {"precision": "mixed_bfloat16", "relaxation": "softmax"}),
    "plain_keras": Competitor("plain_keras", {}),
    "torch_nchw": Competitor("plain_torch", {"layout": "nchw"}, package="torch"),
    "torch_channels_last": Competitor("plain_torch", {"layout": "channels_last"}, package="torch"),
}
RATIO_TARGETS = (
    Target("tf_edd", "plain_keras", 0.65),
    Target("tf_edd", "torch_nchw", 0.40),
    Target("tf_edd", "torch_channels_last", 0.55),
    Target("tf_edd_bfloat16", "tf_edd", 0.80),
    Target("tf_edd_sn_softmax", "tf_edd", 1.01),
)
FIRST_STEP_SECONDS = 12.0
PEAK_GIGABYTES = 1.9
EDD_UPDATE_SECONDS = 0.010
SN_SOFTMAX_SHARE = 0.01
DATA_SHARE = 0.05


def use_cores(cores: int):
    """Confines this process to `cores` cores and to the CPU; call before TensorFlow or PyTorch is imported."""
    os.environ.update(OMP_NUM_THREADS=str(cores), CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if hasattr(os, "sched_setaffinity"):  # thread counts alone leave tf.data and the runtime's own threads free
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
