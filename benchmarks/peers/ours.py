"""tf_edd's own search step behind the interface of the peers."""

import itertools
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import setting as s
from tf_edd import relaxations
from tf_edd.architectures.logits import ArchLogits
from tf_edd.edges import PartialChannels
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import EdgeWeights
from tf_edd.runtime.strategy import configure
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import darts, nas_bench_201
from tf_edd.steps import FirstOrder, StepInfo, StepSetup

_SPACES = {"nas_bench_201": nas_bench_201, "darts": darts}


_SMALL_SEARCH = Path(__file__).parents[1] / "small_search_probs.json"


def build(
    setting: s.Setting,
    precision: str,
    relaxation: str,
    rematerialize: bool = False,
    distilled: bool = False,
    probs: str = "equal",
    negligible_weight: float | None = None,
    groups: int | None = None,
):
    """The first-order step of a search, weights first, as `launch.search` runs it on one device.

    Args:
        setting: the problem.
        precision: as for the search.
        relaxation: the class in `tf_edd.relaxations`.
        rematerialize: see `Supernet`.
        distilled: whether one teacher takes part.
        probs: what the probabilities are: "equal", "one_hot" or "small_search" (`small_search_probs.json`).
        negligible_weight: of the candidates that are left out; None leaves out none.
        groups: of partial channels, with edge weights, as PC-DARTS has them; None for none.
    """
    tf.config.threading.set_intra_op_parallelism_threads(setting.cores)
    tf.config.threading.set_inter_op_parallelism_threads(setting.cores)
    with configure(precision=precision, strategy="one").strategy.scope():
        regularizers = (SelfDistillation(warmup_epochs=0),) if distilled else ()
        options = {} if negligible_weight is None else {"skip_unused": True, "negligible_weight": negligible_weight}
        part = FirstOrder(weight_gradient_clip=s.CLIP_NORM, **options)
        relaxed = getattr(relaxations, relaxation)()
        search_step = _step(setting, part, relaxed, rematerialize, regularizers, probs, groups)
    numbers = itertools.count()

    def step(images, labels, valid_images, valid_labels):
        train, valid = (
            (tf.constant(images), tf.constant(labels)),
            (tf.constant(valid_images), tf.constant(valid_labels)),
        )
        scalars = search_step({"weights": train, "arch": valid}, StepInfo(next(numbers)))
        return [float(scalars["loss/weights"]), float(scalars["loss/arch"])]

    return step


def _step(
    setting: s.Setting, part: FirstOrder, relaxation, rematerialize: bool, regularizers, probs: str, groups: int | None
):
    space = _SPACES[setting.suite](setting.channels, setting.cells)
    edges = (PartialChannels(groups),) if groups else ()
    supernet = Supernet(space, setting.classes, rematerialize=rematerialize, make_edge=edge_factory(edges))
    supernet.build((setting.batch, setting.image_size, setting.image_size, 3))
    if not edges:
        s.check_parameters(setting, supernet.count_params())
    method = Method(
        step=part,
        relaxation=relaxation,
        weight_optimizer=SGD(s.LEARNING_RATE, s.MOMENTUM, nesterov=True, weight_decay=s.WEIGHT_DECAY),
        weight_rate=ConstantRate(s.LEARNING_RATE),
        arch_optimizer=Adam(s.ARCH_LEARNING_RATE, *s.ARCH_BETAS, weight_decay=s.ARCH_WEIGHT_DECAY),
        arch_rate=ConstantRate(s.ARCH_LEARNING_RATE),
        regularizers=regularizers,
        edges=edges,
        edge_weights=EdgeWeights() if groups else None,
    )
    logits = ArchLogits(space, seed=0, init_scale=s.LOGIT_SCALE, edge_weights=bool(groups))
    if probs != "equal":
        logits.variables[0].assign(np.log(_table(probs)))  # a softmax at temperature 1 gives them back
    return method.step.build(StepSetup(supernet, logits, method))


def _table(probs: str) -> np.ndarray:
    """The probabilities of the candidates of NAS-Bench-201, [6, 5]."""
    if probs == "small_search":
        return np.array(json.loads(_SMALL_SEARCH.read_text(encoding="utf-8"))["cell"])
    chosen = [3, 2, 1, 4, 3, 2]  # each convolution on two edges, skip connection and pooling on one
    return np.maximum(np.eye(5)[chosen], 1e-20)
