"""The parts under test, one table per family: what a row is called, how the part is built, what is said of it.

A new part joins the tests of its family by one row. What a part promises itself, such as `Relaxation.simplex`, is asked
of the part; what only a row can tell is a flag of the row. Tests never ask for a name.

The parts of this file (`Sigmoid`, `TwoValued`, ...) are there so that every flag occurs with both values.
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
from tf_edd.discretizers import Argmax
from tf_edd.operations import PRIMITIVES
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import BetaDecay, DirichletDivergence, Regularizer, SelfDistillation
from tf_edd.relaxations import Dirichlet, Relaxation, Softmax, SparseNoisySoftmax, mean_entropy
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
from tf_edd.selectors import EvolutionarySearch, FinalSize, RandomSearch, SizeLimits
from tf_edd.spaces import CellSpec, Edge, Space
from tf_edd.steps import FirstOrder, SampledPaths, SecondOrder
from tf_edd.steps.step import LOGIT_PARTS
from tf_edd.stoppers import HealthyCell
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
class Sigmoid(Relaxation):
    """Each candidate by itself: rows are no distributions, and a shift of the logits matters."""

    def __call__(self, logits, temperature, seed=None):
        return tf.sigmoid(tf.cast(logits, tf.float32) / tf.cast(temperature, tf.float32))

    def mean(self, logits, temperature):
        return self(logits, temperature)


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
    """`noisy`: whether training passes draw random numbers; `tempered`: whether they feel the temperature."""

    noisy: bool = False
    tempered: bool = True


RELAXATIONS = [
    RelaxationRow("softmax", Softmax),
    RelaxationRow("sn-softmax, st = 1", SparseNoisySoftmax),
    RelaxationRow("sn-softmax, st = 0.1", lambda: SparseNoisySoftmax(smooth_temperature=0.1)),
    RelaxationRow("sn-softmax, s = 100", lambda: SparseNoisySoftmax(smooth_scale=100.0)),
    RelaxationRow("dirichlet", Dirichlet, noisy=True, tempered=False),
    RelaxationRow("sigmoid", Sigmoid),
    RelaxationRow("gumbel-softmax", GumbelSoftmax, noisy=True),
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


@dataclasses.dataclass(frozen=True)
class DiscretizerRow(Row):
    """`monotone`: whether only the order of the weights matters."""

    monotone: bool = True


DISCRETIZERS = [DiscretizerRow("argmax", Argmax), DiscretizerRow("two-valued", TwoValued, monotone=False)]

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
]

# ------------------------------------------------------------------------------------------------------------- stoppers

STOPPERS = [Row("healthy cell", lambda: HealthyCell(0.4, patience=2, least_ratio=0.7))]

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

# ---------------------------------------------------------------------------------------------------------------- steps

STEPS = [
    Row("first order", FirstOrder),
    Row(
        "first order, arch first, clips, skip, importance images, exploration",
        lambda: FirstOrder("arch_first", 0.5, 0.01, True, 1e-9, ImportanceImages(0.9, importance_weights=True), 0.9),
    ),
    Row("second order", SecondOrder),
    Row("second order, exact, weights first", lambda: SecondOrder("weights_first", product="exact", epsilon=0.02)),
    Row("sampled paths, uniform", lambda: SampledPaths(UniformPaths(), UniformImages(), None, 2, 2)),
    Row(
        "sampled paths, importance, none rests",
        lambda: SampledPaths(ImportancePaths(), ImportanceImages(), 0.5, 2, 2, rest_unused=False),
    ),
]


def parts_for(step) -> dict:
    """What a method with small numbers has to leave out for this step, by names of the fields of `Method`."""
    defaults = {field.name: field.default for field in dataclasses.fields(Method)}
    return {"step": step, **{name: defaults[name] for name in LOGIT_PARTS if name not in step.takes}}


# --------------------------------------------------------------------- what gin makes and no family of its own has here

OTHERS = [
    Row("method", lambda: method(warmup_epochs=2, logit_init_scale=1e-2)),
    Row("training recipe", lambda: TrainingRecipe(label_smoothing=0.1, extra_augmentation=(Cutout(4),))),
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
    *STEPS,
    *OTHERS,
]
