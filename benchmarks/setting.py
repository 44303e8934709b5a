"""What is measured: the problems, the competitors and the figures to reach."""

import dataclasses
import importlib.util
import os

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, CLIP_NORM = 0.025, 0.9, 5e-4, 5.0
ARCH_LEARNING_RATE, ARCH_BETAS, ARCH_WEIGHT_DECAY = 3e-4, (0.5, 0.999), 1e-3
LOGIT_SCALE = 1e-3


@dataclasses.dataclass(frozen=True)
class Setting:
    """The problem that every competitor solves, and the cores it may use.

    Attributes:
        suite: key of `SUITES`.
        channels: of the first cells.
        cells: of a stage on NAS-Bench-201, of the network otherwise.
        batch: images of a batch.
        image_size: height and width.
        classes: of the labels.
        cores: CPU cores of a competitor.
        before: another checkout of this project; its tf_edd is the competitor `BEFORE`.
    """

    suite: str = "nas_bench_201"
    channels: int = 16
    cells: int = 5
    batch: int = 64
    image_size: int = 32
    classes: int = 10
    cores: int = 2
    before: str | None = None


BEFORE = "tf_edd_before"  # competitor: the tf_edd of another checkout, by that checkout's own peers


@dataclasses.dataclass(frozen=True)
class Competitor:
    """A module of `benchmarks.peers`, the arguments of its `build`, and the package it needs."""

    module: str
    arguments: dict
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


@dataclasses.dataclass(frozen=True)
class Limit:
    """A figure of one competitor, `first_step` in seconds or `peak_gigabytes`, and the most it may be."""

    competitor: str
    figure: str
    limit: float


@dataclasses.dataclass(frozen=True)
class Suite:
    """A problem with its competitors.

    Attributes:
        setting: the size at which the figures are to be reached.
        parameters: of the network at that size, the same for all competitors.
        competitors: name -> competitor.
        ratios: step times to reach.
        limits: other figures to reach.
        batches: how many batches a step takes.
        logit_shapes: [E, O] of each cell type, for a search.
        shares: part of `benchmarks.parts` -> the most it may be of a step of tf_edd.
    """

    setting: Setting
    parameters: int
    competitors: dict[str, Competitor]
    ratios: tuple[Target, ...]
    limits: tuple[Limit, ...] = ()
    batches: int = 2
    logit_shapes: tuple[tuple[int, int], ...] = ()
    shares: dict[str, float] = dataclasses.field(default_factory=dict)


def _ours(relaxation="Softmax", precision="float32", **options) -> Competitor:
    return Competitor("ours", {"precision": precision, "relaxation": relaxation, **options})


def _torch(module) -> dict[str, Competitor]:
    layouts = ("nchw", "channels_last")
    return {f"torch_{layout}": Competitor(module, {"layout": layout}, package="torch") for layout in layouts}


SUITES = {
    "nas_bench_201": Suite(
        Setting(),
        parameters=1_686_106,
        competitors={
            "tf_edd": _ours(),
            "tf_edd_sn_softmax": _ours("SparseNoisySoftmax"),
            "tf_edd_bfloat16": _ours(precision="mixed_bfloat16"),
            "tf_edd_distilled": _ours(distilled=True),
            "tf_edd_gdas": _ours("HardGumbel"),
            "tf_edd_one_hot": _ours(probs="one_hot", negligible_weight=2**-32),
            "tf_edd_late_exact": _ours(probs="small_search", negligible_weight=2**-32),
            "tf_edd_late": _ours(probs="small_search", negligible_weight=1e-3),
            "plain_keras": Competitor("plain_keras", {}),
            **_torch("plain_torch"),
        },
        ratios=(
            Target("tf_edd", "plain_keras", 0.62),
            Target("tf_edd_one_hot", "plain_keras", 0.38),
            Target("tf_edd_late", "plain_keras", 0.47),
            Target("tf_edd", "torch_nchw", 0.40),
            Target("tf_edd", "torch_channels_last", 0.55),
            Target("tf_edd_bfloat16", "tf_edd", 0.80),
            Target("tf_edd_sn_softmax", "tf_edd", 1.01),
            Target("tf_edd_distilled", "tf_edd", 1.5),
            Target("tf_edd_gdas", "tf_edd", 0.40),
        ),
        limits=(Limit("tf_edd", "first_step", 12.0), Limit("tf_edd", "peak_gigabytes", 1.9)),
        logit_shapes=((6, 5),),
        shares={"sn_softmax_extra": 0.01, "data": 0.05},
    ),
    "one_shot": Suite(
        Setting("one_shot"),
        parameters=1_686_106,
        competitors={
            method: Competitor("one_shot", {"method": method}) for method in ("mixture", "uniform", "importance")
        },
        ratios=(Target("uniform", "mixture", 0.45), Target("importance", "uniform", 1.05)),
        batches=1,
    ),
    "darts": Suite(
        Setting("darts", cells=8, batch=16),
        parameters=1_930_618,
        competitors={
            "tf_edd": _ours(),
            "tf_edd_rematerialized": _ours(rematerialize=True),
            "tf_edd_partial": _ours(groups=4),
            "plain_keras": Competitor("darts_keras", {}),
            **_torch("darts_torch"),
        },
        ratios=(Target("tf_edd", "torch_nchw", 0.36), Target("tf_edd", "torch_channels_last", 0.58)),
        limits=(
            Limit("tf_edd", "first_step", 30.0),
            Limit("tf_edd", "peak_gigabytes", 3.2),
            Limit("tf_edd_rematerialized", "peak_gigabytes", 1.8),
        ),
        logit_shapes=((14, 8), (14, 8)),
        shares={"sn_softmax_extra": 0.01, "data": 0.05},
    ),
    "darts_v2": Suite(
        Setting("darts_v2", channels=36, cells=20, batch=32),
        parameters=3_349_342,
        competitors={
            "tf_edd": Competitor("ours_final", {}),
            "plain_keras": Competitor("darts_final_keras", {}),
            **_torch("darts_final_torch"),
        },
        ratios=tuple(Target("tf_edd", peer, 1.0) for peer in ("plain_keras", "torch_nchw", "torch_channels_last")),
        batches=1,
    ),
}
EDD_UPDATE_SECONDS = 0.010


def check_parameters(setting: Setting, count: int):
    """Raises ValueError if a network of the suite's size has not the suite's number of parameters."""
    suite = SUITES[setting.suite]
    sizes = [(each.channels, each.cells, each.classes) for each in (setting, suite.setting)]
    if sizes[0] == sizes[1] and count != suite.parameters:
        raise ValueError(f"The network must have {suite.parameters:,} parameters. Received: {count:,}")


def use_cores(cores: int):
    """Confines this process to `cores` cores and to the CPU; call before TensorFlow or PyTorch is imported."""
    os.environ.update(OMP_NUM_THREADS=str(cores), CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if hasattr(os, "sched_setaffinity"):  # thread counts alone leave tf.data and the runtime's own threads free
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
