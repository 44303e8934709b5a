"""The parts under test, one table per family: what a row is called, how the part is built, what is said of it.

A new part joins the tests of its family by one row. What a part promises itself, such as `Relaxation.simplex`, is asked
of the part; what only a row can tell is a flag of the row. Tests never ask for a name.

The parts of this file (`GumbelSoftmax`, `TwoValued`, ...) are there so that every flag occurs with both values.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from tiny_search import method, tiny_space

from tf_edd import spaces
from tf_edd.actions import CollapseWarning, Drawings, GenotypeLog, Sharpness, TableLookup, TensorBoard
from tf_edd.architectures.table import NasBench201Table
from tf_edd.data import ColorJitter, Crop, Cutout, Digits, Flip, ImageFolder, RandomResizedCrop, TfdsImages
from tf_edd.decisions import PerturbationSelection, SequentialGreedy
from tf_edd.discretizers import Argmax, LimitedSkips, Threshold
from tf_edd.edges import AuxiliarySkip, EdgeDropPath, PartialChannels
from tf_edd.operations import PRIMITIVES
from tf_edd.optimizers import SGD, Adam, ExponentiatedGradient
from tf_edd.regularizers import BetaDecay, DirichletDivergence, Regularizer, SelfDistillation, ZeroOneLoss
from tf_edd.relaxations import (
    Dirichlet,
    EdgeWeights,
    HardGumbel,
    MirrorSoftmax,
    Relaxation,
    Sigmoid,
    SoftGumbel,
    Softmax,
    SparseNoisySoftmax,
    mean_entropy,
)
from tf_edd.relaxations.relaxation import one_hot
from tf_edd.samplers import FairPaths, ImportanceImages, ImportancePaths, UniformImages, UniformPaths
from tf_edd.schedules import (
    ConstantRate,
    ConstantTemperature,
    CosineRate,
    EntropyDecay,
    ExponentialRate,
    ExponentialTemperature,
    LinearRate,
    LinearTemperature,
    PeriodicTemperature,
    SequenceRate,
    WarmupRate,
)
from tf_edd.search.method import Method
from tf_edd.selectors import EvolutionarySearch, FinalSize, RandomSearch, RegularizedEvolution, SizeLimits
from tf_edd.spaces import CellSpec, Edge, Space
from tf_edd.steps import (
    AdversarialSmoothing,
    FirstOrder,
    GibbsSampling,
    OneLevel,
    RandomSmoothing,
    SampledPaths,
    SecondOrder,
)
from tf_edd.steps.step import LOGIT_PARTS
from tf_edd.stoppers import EigenvalueStop, HealthyCell
from tf_edd.training.recipe import TrainingRecipe


@dataclasses.dataclass(frozen=True)
class Row:
    """A part under test.

    Attributes:
        name: Of the tests.
        build: Makes the part.
    """

    name: str
    build: Callable


def each(rows):
    """Runs a test for every row, under the names of the rows."""
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


# ---------------------------------------------------------------------------------------------------------- relaxations


@dataclasses.dataclass(frozen=True)
class GumbelSoftmax(Relaxation):
    """softmax((A + G) / t) with noise G from the seed."""

    simplex = True
    shift_invariant = True

    def __call__(self, logits, temperature, seed=None):
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-7)
        return self.mean(tf.cast(logits, tf.float32) - tf.math.log(-tf.math.log(uniform)), temperature)

    def mean(self, logits, temperature):
        return Softmax()(logits, temperature)


@dataclasses.dataclass(frozen=True)
class RelaxationRow(Row):
    """`noisy`: whether training passes draw random numbers; `tempered`: whether they feel the temperature; `straight`:
    whether their gradient is that of the weights, so that a shift may change it."""

    noisy: bool = False
    tempered: bool = True
    straight: bool = False


RELAXATIONS = [
    RelaxationRow("softmax", Softmax),
    RelaxationRow("sn-softmax, st = 1", SparseNoisySoftmax),
    RelaxationRow("sn-softmax, st = 0.1", lambda: SparseNoisySoftmax(smooth_temperature=0.1)),
    RelaxationRow("sn-softmax, s = 100", lambda: SparseNoisySoftmax(smooth_scale=100.0)),
    RelaxationRow("dirichlet", Dirichlet, noisy=True, tempered=False),
    RelaxationRow("mirror softmax", MirrorSoftmax, straight=True),
    RelaxationRow("hard gumbel", HardGumbel, noisy=True, tempered=False),  # its gradient is tempered
    RelaxationRow(
        "hard gumbel, the drawn alone",
        lambda: HardGumbel(unselected_gradient=False),
        noisy=True,
        tempered=False,
    ),
    RelaxationRow("soft gumbel", SoftGumbel, noisy=True),
    RelaxationRow("sigmoid", Sigmoid),
    RelaxationRow("gumbel-softmax", GumbelSoftmax, noisy=True),
]

EDGE_WEIGHTS = [
    Row("edge weights", EdgeWeights),
    Row("edge weights, tempered", lambda: EdgeWeights(SparseNoisySoftmax(), tempered=True)),
]

# ----------------------------------------------------------------------------------------------------------- schedules

EPOCHS = 12
FIRST_TEMPERATURE = 2.0
TEMPERATURES = [
    Row("constant", lambda: ConstantTemperature(2.0)),
    Row("linear", lambda: LinearTemperature(EPOCHS, initial_temperature=2.0)),
    Row("exponential", lambda: ExponentialTemperature(EPOCHS, initial_temperature=2.0)),
    Row("periodic exponential", lambda: PeriodicTemperature(EPOCHS, "exponential", 3, initial_temperature=2.0)),
    Row("periodic linear", lambda: PeriodicTemperature(EPOCHS, "linear", 2, 3, initial_temperature=2.0)),
    Row("entropy decay", lambda: EntropyDecay(initial_temperature=2.0)),
    Row("entropy decay, k from 0", lambda: EntropyDecay(initial_temperature=2.0, first_epoch=0)),
]


@dataclasses.dataclass(frozen=True)
class RateRow(Row):
    """`rising`: whether the rate rises at some epoch."""

    rising: bool = False


RATES = [
    RateRow("constant", lambda: ConstantRate(0.3)),
    RateRow("cosine", lambda: CosineRate(0.3, EPOCHS, minimum=0.01)),
    RateRow("exponential", lambda: ExponentialRate(0.3, 0.9)),
    RateRow("linear", lambda: LinearRate(0.3, EPOCHS, tail=3)),
    RateRow("warmup", lambda: WarmupRate(CosineRate(0.3, EPOCHS), 4), rising=True),
    RateRow("sequence", lambda: SequenceRate(CosineRate(0.1, 4), 4, ConstantRate(0.3)), rising=True),
]

# --------------------------------------------------------------------------------------------------------------- spaces


def two_kinds():
    """Two cell types, two inputs, a primitive that is never chosen: what NAS-Bench-201 does not have."""
    edges = tuple(Edge(j, i, ("none", "skip_connect", "avg_pool_3x3")) for i in (2, 3, 4) for j in range(i))
    cells = [CellSpec(cell_type, 2, 5, edges, "concat", 2, ("none",)) for cell_type in ("normal", "reduce")]
    return Space("two_kinds", tuple(cells), ())


@dataclasses.dataclass(frozen=True)
class SpaceRow(Row):
    """`small`: whether its supernet is built in seconds."""

    small: bool = True


SPACES = [
    SpaceRow("nas_bench_201", spaces.nas_bench_201),
    SpaceRow("nas_bench_201, small", lambda: spaces.nas_bench_201(4, 1)),
    SpaceRow("darts", lambda: spaces.darts(4, 3, 2)),
    SpaceRow("darts, optional edges", lambda: spaces.darts(4, 3, 2, with_none=False, optional_edges=True)),
    SpaceRow("darts_imagenet", lambda: spaces.darts_imagenet(4, 3, 1, with_none=False)),
    *(SpaceRow(name, lambda name=name: getattr(spaces, name)(4, 3)) for name in ("s1", "s2", "s3", "s4")),
    SpaceRow("proxyless", spaces.proxyless, small=False),
    SpaceRow("proxyless, small", lambda: spaces.proxyless((4, 6), (2, 2), (1, 2), 3, 1, 4, 5)),
    SpaceRow("two kinds", two_kinds, small=False),  # without blocks
]


def on_every_space(test):
    """Runs a test for every space."""
    built = [row.build() for row in SPACES]
    return pytest.mark.parametrize("space", built, ids=[row.name for row in SPACES])(test)


# --------------------------------------------------------------------------------------------------------- discretizers


class TwoValued:
    """The first candidate of each edge whose weight reaches a half; scaling the weights changes the cell."""

    def __call__(self, probs, space):
        return Argmax()(
            {cell_type: (np.asarray(table) >= 0.5).astype(np.float32) for cell_type, table in probs.items()}, space
        )


def edges_may_be_left_out(space) -> bool:
    return all(
        cell.optional_edges or ("none" in edge.primitives and "none" not in cell.excluded)
        for cell in space.cells
        for edge in cell.edges
    )


@dataclasses.dataclass(frozen=True)
class DiscretizerRow(Row):
    """`monotone`: whether only the order of the weights matters; `suits`: the spaces that it takes."""

    monotone: bool = True
    suits: Callable = lambda space: True


DISCRETIZERS = [
    DiscretizerRow("argmax", Argmax),
    DiscretizerRow("limited skips", lambda: LimitedSkips(most=1, cell_type=None)),
    DiscretizerRow("threshold", lambda: Threshold(0.6), monotone=False, suits=edges_may_be_left_out),
    DiscretizerRow("two-valued", TwoValued, monotone=False),
]

# ------------------------------------------------------------------------------------------------------------ decisions

DECISIONS = [
    Row("sequential greedy", SequentialGreedy),
    Row("sequential greedy, stability", lambda: SequentialGreedy(True, 2, first=1, interval=2, warmup_epochs=0.5)),
    Row("perturbation", PerturbationSelection),
    Row("perturbation, loss", lambda: PerturbationSelection("loss", first=2, interval=1)),
]

# --------------------------------------------------------------------------------------------------------- regularizers


@dataclasses.dataclass(frozen=True)
class EntropyPenalty(Regularizer):
    """0.1 E(H(beta)), in the loss of the logits."""

    phases = ("arch",)

    def __call__(self, context):
        return 0.1 * mean_entropy(context.probs)


@dataclasses.dataclass(frozen=True)
class RegularizerRow(Row):
    """`stateful`: whether it remembers something from step to step; `relaxation`: of a search that it is for."""

    stateful: bool = False
    relaxation: Callable = Softmax


REGULARIZERS = [
    RegularizerRow("self-distillation", lambda: SelfDistillation(warmup_epochs=0), stateful=True),
    RegularizerRow(
        "self-distillation, two votes by epoch, arch",
        lambda: SelfDistillation(2, "epoch", "majority", warmup_epochs=0, phases=("arch",)),
        stateful=True,
    ),
    RegularizerRow("beta decay", BetaDecay),
    RegularizerRow("beta decay, A / t", lambda: BetaDecay(0.5, tempered=True)),
    RegularizerRow("dirichlet divergence", lambda: DirichletDivergence(0.01), relaxation=Dirichlet),
    RegularizerRow("zero-one loss", lambda: ZeroOneLoss(3.0, "l1", ("arch",)), relaxation=Sigmoid),
    RegularizerRow("entropy penalty", EntropyPenalty),
]

# ------------------------------------------------------------------------------------------------------------- samplers


def same_number_of_candidates(space) -> bool:
    return len({len(set(edge.primitives) - set(cell.excluded)) for cell in space.cells for edge in cell.edges}) == 1


def same_candidates_in_each_cell(space) -> bool:
    return all(len({edge.primitives for edge in cell.edges}) == 1 for cell in space.cells)


def any_space(space) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class PathSamplerRow(Row):
    """`suits`: the spaces that it takes; `keeps_all_edges`: whether the nodes of its paths keep all their edges."""

    suits: Callable = any_space
    keeps_all_edges: bool = False


PATH_SAMPLERS = [
    PathSamplerRow("uniform paths", UniformPaths),
    PathSamplerRow("fair paths", FairPaths, same_number_of_candidates, keeps_all_edges=True),
    PathSamplerRow(
        "importance paths, shared", lambda: ImportancePaths(importance_weights=True), same_candidates_in_each_cell
    ),
    PathSamplerRow("importance paths, per edge", lambda: ImportancePaths(per_edge=True, smoothing=0.9)),
]


@dataclasses.dataclass(frozen=True)
class ImageSamplerRow(Row):
    """`orders`: whether it gives an order of its own."""

    orders: bool = True


IMAGE_SAMPLERS = [
    ImageSamplerRow("uniform images", UniformImages, orders=False),
    ImageSamplerRow("importance images", ImportanceImages),
    ImageSamplerRow("importance images, weighted", lambda: ImportanceImages(0.9, importance_weights=True)),
]

# ------------------------------------------------------------------------------------------------------------ selectors

SELECTORS = [
    Row("evolution", lambda: EvolutionarySearch(6, 3, 2, mutants=2, crossovers=2)),
    Row("random search", lambda: RandomSearch(18)),
    Row("regularized evolution", lambda: RegularizedEvolution(6, 2, evaluations=18, tries=500)),
]

# ------------------------------------------------------------------------------------------------------------- stoppers

STOPPERS = [
    Row("healthy cell", lambda: HealthyCell(0.4, patience=2, least_ratio=0.7)),
    Row("eigenvalue", lambda: EigenvalueStop(1.5, window=1, delta=1, first_epoch=1)),
]

# ----------------------------------------------------------------------------------------------------------- operations


def primitive(name, stride=1, **norm):
    return Row(
        ", ".join([name, f"stride {stride}", *(key for key, value in norm.items() if value)]),
        lambda **policy: PRIMITIVES[name].build(3, stride, **{"affine": False, **norm, **policy}),
    )


REPEATABLE = [name for name in PRIMITIVES if name != "noise"]  # it has tests of its own
POOLING = [name for name, part in PRIMITIVES.items() if part.pooling]
OPERATIONS = [
    *(primitive(name) for name in REPEATABLE),
    *(primitive(name, 2) for name in REPEATABLE),
    *(primitive(name, affine=True) for name in ("nor_conv_1x1", "nor_conv_3x3", "sep_conv_3x3", "dil_conv_5x5")),
    primitive("skip_connect", 2, affine=True),
    *(primitive(name, pool_norm=True) for name in POOLING),
]

# ----------------------------------------------------------------------------------------------------------- optimizers


@dataclasses.dataclass(frozen=True)
class OptimizerRow(Row):
    """`looks_ahead`, `selective`: whether it can do what the Protocols of these names ask for."""

    looks_ahead: bool = True
    selective: bool = False


OPTIMIZERS = [
    OptimizerRow("sgd", lambda: SGD(0.1, momentum=0.0, weight_decay=0.0), selective=True),
    OptimizerRow("sgd, momentum, decay", lambda: SGD(0.1, momentum=0.8, weight_decay=0.02), selective=True),
    OptimizerRow("sgd, nesterov", lambda: SGD(0.1, 0.8, nesterov=True, weight_decay=0.02), selective=True),
    OptimizerRow("adam", lambda: Adam(0.1, beta_1=0.4, beta_2=0.9, epsilon=1e-6, weight_decay=0.02)),
    OptimizerRow("exponentiated gradient", lambda: ExponentiatedGradient(0.1, floor=1e-3, weight_decay=0.02)),
]

# -------------------------------------------------------------------------------------------------------------- actions


@dataclasses.dataclass(frozen=True)
class ActionRow(Row):
    """`measures`: whether it adds metrics; `space`: where it is tried; `network`: whether it needs a supernet there."""

    measures: bool = False
    space: Callable = spaces.nas_bench_201
    network: bool = False


ACTIONS = [
    ActionRow("collapse warning", lambda: CollapseWarning(0.4, patience=1)),
    ActionRow("drawings", lambda: Drawings(every=2)),
    ActionRow("genotype log", GenotypeLog),
    ActionRow("tensorboard", TensorBoard),
    ActionRow("table look-up", lambda: TableLookup(NasBench201Table("nas_bench_201.csv")), measures=True),
    ActionRow(
        "sharpness",
        lambda: Sharpness(batch_size=8, directions=2, every_epochs=2),
        measures=True,
        space=tiny_space,
        network=True,
    ),
]

# ---------------------------------------------------------------------------------------------------------- edge parts

EDGE_PARTS = [
    Row("partial channels", lambda: PartialChannels(2)),
    Row("auxiliary skip", lambda: AuxiliarySkip(0.5, "slow_cosine")),
    Row("drop path of edges", lambda: EdgeDropPath(0.3)),
]

# ---------------------------------------------------------------------------------------------------------------- steps


@dataclasses.dataclass(frozen=True)
class StepRow(Row):
    """`parts`: of the method beside the step, by names of the fields of `Method`."""

    parts: dict = dataclasses.field(default_factory=dict)


STEPS = [
    StepRow("first order", FirstOrder),
    StepRow(
        "first order, arch first, clips, skip, importance images, exploration",
        lambda: FirstOrder("arch_first", 0.5, 0.01, True, 1e-9, ImportanceImages(0.9, importance_weights=True), 0.9),
    ),
    StepRow("first order, random smoothing", lambda: FirstOrder(perturbation=RandomSmoothing(0.05, 0.2))),
    StepRow(
        "first order, adversarial smoothing",
        lambda: FirstOrder("arch_first", exploration=0.5, perturbation=AdversarialSmoothing(0.05, 0.2, 3)),
    ),
    StepRow(
        "first order, partial channels, auxiliary skip, edge weights",
        FirstOrder,
        {
            "edges": (PartialChannels(2), AuxiliarySkip(0.5, "cosine")),
            "edge_weights": EdgeWeights(SparseNoisySoftmax(), tempered=True),
        },
    ),
    StepRow("second order", SecondOrder),
    StepRow("second order, exact, weights first", lambda: SecondOrder("weights_first", product="exact", epsilon=0.02)),
    StepRow(
        "second order, drop path, edge weights",
        SecondOrder,
        {"edges": (EdgeDropPath(0.4),), "edge_weights": EdgeWeights()},
    ),
    StepRow("sampled paths, uniform", lambda: SampledPaths(UniformPaths(), UniformImages(), None, 2, 2)),
    StepRow(
        "sampled paths, importance, none rests",
        lambda: SampledPaths(ImportancePaths(), ImportanceImages(), 0.5, 2, 2, rest_unused=False),
    ),
    StepRow("gibbs sampling", lambda: GibbsSampling(0.5, 0.1, evidence=20.0, forgetting=0.8)),
    StepRow("gibbs sampling, without noise", lambda: GibbsSampling(None, 0.0)),
    StepRow("first order, one path", FirstOrder, {"relaxation": HardGumbel()}),
    StepRow(
        "first order, one path, arch first, clips, skip, exploration",
        lambda: FirstOrder("arch_first", 0.5, 0.01, True, exploration=0.5),
        {"relaxation": HardGumbel(unselected_gradient=False)},
    ),
    StepRow("second order, one path", SecondOrder, {"relaxation": HardGumbel()}),
    StepRow("one level", lambda: OneLevel(0.5, 0.01), {"relaxation": SoftGumbel()}),
    StepRow("one level, one path", OneLevel, {"relaxation": HardGumbel()}),
]


def decidable(row) -> bool:
    """Whether decisions may close candidates of this search."""
    one_path = one_hot(row.parts.get("relaxation", Softmax()))
    return row.build().learns_logits and "edge_weights" not in row.parts and not one_path


def parts_for(step, parts) -> dict:
    """The parts of a row, and what a method with small numbers has to leave out for this step, by names of fields."""
    defaults = {field.name: field.default for field in dataclasses.fields(Method)}
    return {"step": step, **parts, **{name: defaults[name] for name in LOGIT_PARTS if name not in step.takes}}


# --------------------------------------------------------------------- what gin makes and no family of its own has here

OTHERS = [
    Row("method", lambda: method(warmup_epochs=2, logit_init_scale=1e-2)),
    Row("training recipe", lambda: TrainingRecipe(label_smoothing=0.1, mixup=0.2, extra_augmentation=(Cutout(4),))),
    Row("random smoothing", lambda: RandomSmoothing(0.05, 0.2)),
    Row("adversarial smoothing", lambda: AdversarialSmoothing(0.05, 0.2, 3)),
    Row("digits", lambda: Digits(0.25, seed=3)),
    Row("image folder", lambda: ImageFolder("photos", image_size=(32, 24))),
    Row("tfds images", lambda: TfdsImages("cifar10", test_split=None, stratified=True)),
    Row("crop", lambda: Crop(2)),
    Row("flip", Flip),
    Row("cutout", lambda: Cutout(6)),
    Row("color jitter", lambda: ColorJitter(0.1, 0.2, 0.3, 0.05)),
    Row("random resized crop", lambda: RandomResizedCrop((0.5, 0.9), (0.8, 1.25))),
    Row("final size", lambda: FinalSize(spaces.nas_bench_201(4, 1), image_shape=(8, 8, 3), num_classes=10)),
    Row("size limits", lambda: SizeLimits(FinalSize(spaces.nas_bench_201(4, 1)), max_parameters=1e5)),
    Row("table", lambda: NasBench201Table("nas_bench_201.csv")),
]

# Everything that gin can make: a part without a row here fails a test.
PARTS = [
    *RELAXATIONS,
    *EDGE_WEIGHTS,
    *TEMPERATURES,
    *RATES,
    *DECISIONS,
    *DISCRETIZERS,
    *REGULARIZERS,
    *PATH_SAMPLERS,
    *IMAGE_SAMPLERS,
    *SELECTORS,
    *STOPPERS,
    *OPTIMIZERS,
    *ACTIONS,
    *EDGE_PARTS,
    *STEPS,
    *OTHERS,
]
