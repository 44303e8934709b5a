"""Program for test_distribution.py: five search steps on one device and on two, in a process with two logical CPUs.

Writes what both reach into an .npz file: keys `<strategy>/<name>`, those of sampled paths `<strategy>/paths/<name>`,
those of self-distillation `<strategy>/distilled/<name>`, beside `plain/<name>` of one device without distillation, and
those of edges that draw one candidate `<strategy>/drawn/<name>`.
"""

import dataclasses
import sys

import keras
import numpy as np
import tensorflow as tf
from tiny_search import at_once, method, tiny_space, with_candidates

from tf_edd.architectures.genes import Genes
from tf_edd.architectures.logits import ArchLogits
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import HardGumbel
from tf_edd.runtime.strategy import configure, make_strategy, replica_batches
from tf_edd.samplers import ImportanceImages, ImportancePaths
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import Block, CellSpec, Edge, Space, darts
from tf_edd.steps import Batch, EpochInfo, FirstOrder, SampledPaths, StepInfo, StepSetup

STEPS, BATCH = 5, 8
ONE_OF_EACH = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")


def batches(seed, rows=None):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(STEPS * BATCH, 8, 8, 3)).astype(np.float32)
    labels = rng.integers(0, 3, STEPS * BATCH).astype(np.int32)
    columns = (images, labels) if rows is None else (images[rows], labels[rows], rows)
    return at_once(tf.data.Dataset.from_tensor_slices(columns).batch(BATCH))


class StoredImages:
    """Of a ranking: in stored order."""

    size = STEPS * BATCH

    def batches(self, batch_size, seed, epoch, **options):
        return batches(1)


class OrderedBatches:
    """Of a measurement of the variance: the images in the order that it asks for."""

    def __init__(self, strategy):
        self.strategy = strategy

    def epoch(self, seed, epoch, skip=0, order=None):
        return ({"weights": batch} for batch in replica_batches(batches(1, order), self.strategy))


def assign_random(variables):
    rng = np.random.default_rng(5)
    for variable in variables:
        variable.assign(variable + 0.01 * rng.normal(size=variable.shape).astype(np.float32))


def both_cell_types():
    """A normal and a reduction cell of the DARTS space, with one node each."""
    space = with_candidates(darts(4, 3, 1), ONE_OF_EACH)
    stem, normal, reduction, *_, head = space.blocks
    blocks = (stem, normal, reduction, dataclasses.replace(head, channels=reduction.channels))
    return dataclasses.replace(space, blocks=blocks)


def run(strategy, space, *regularizers, drawn=False):
    with strategy.scope():
        keras.utils.set_random_seed(1)
        supernet = Supernet(space, 3, running_statistics=not drawn)  # trains with the statistics of the batch
        supernet.build((None, 8, 8, 3))
        assign_random(supernet.trainable_variables)
        logits = ArchLogits(space, seed=0)
        start = [variable.numpy() for variable in (*supernet.trainable_variables, *logits.variables)]
        step = FirstOrder(weight_gradient_clip=0.5, arch_gradient_clip=0.01)
        optimizers = {"weight_optimizer": SGD(0.1, nesterov=True, weight_decay=1e-3), "arch_optimizer": Adam(1e-2)}
        if drawn:  # plain SGD moves by the gradients as they are, if they are tiny too
            optimizers["arch_optimizer"] = SGD(10.0, momentum=0.0, weight_decay=0.0)
            optimizers["relaxation"] = HardGumbel()
        parts = method(step=step, regularizers=regularizers, **optimizers)
        step = step.build(StepSetup(supernet, logits, parts))
        scalars = take_steps(step, strategy)
        cell_types = len(space.cells)  # the logits of each are a variable
        result = {"start/weights": start[:-cell_types], "start/logits": start[-cell_types:]}
        result |= {"weights": supernet.trainable_variables, "logits": logits.variables}
        result["averages"] = supernet.non_trainable_variables
        result = {key: flat(values) for key, values in result.items()}
        result["traces"] = [function.experimental_get_tracing_count() for function in step.functions.traced.values()]
        result["replicas"] = strategy.num_replicas_in_sync
        return result | {f"scalars/{tag}": values for tag, values in scalars.items()}


def path_space():
    operations = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "none")
    cell = CellSpec("cell", 1, 3, tuple(Edge(*ends, operations) for ends in ((0, 1), (0, 2), (1, 2))))
    return Space("paths", (cell,), (Block("stem", 4), Block("cell", 4, cell="cell"), Block("head", 4)))


def run_paths(strategy):
    """The same number of steps of PA&DA: weights, what its samplers have noted, and what is measured afterwards."""
    with strategy.scope():
        keras.utils.set_random_seed(1)
        supernet = Supernet(path_space(), 3)
        supernet.build((None, 8, 8, 3))
        optimizer = SGD(learning_rate=0.1, weight_decay=1e-3)
        samplers = ImportancePaths(importance_weights=True), ImportanceImages(importance_weights=True)
        part = SampledPaths(*samplers, weight_gradient_clip=0.5)
        parts, logits = Method(part, optimizer, ConstantRate(0.1)), ArchLogits(supernet.space, seed=0)
        step = part.build(StepSetup(supernet, logits, parts, STEPS * BATCH))
        start = flat([variable.numpy() for variable in supernet.trainable_variables])
        for index, batch in enumerate(replica_batches(batches(1, np.arange(STEPS * BATCH)), strategy)):
            step({"weights": Batch(*batch)}, StepInfo(index))
        noted = dict(step.variables)
        noted |= {"start": [start], "weights": supernet.trainable_variables, "velocities": optimizer.velocities}
        noted = {f"paths/{name}": flat([np.asarray(value) for value in values]) for name, values in noted.items()}
        measured = step.end_epoch(EpochInfo(1, 4, STEPS, 0, OrderedBatches(strategy)))
        genes, evaluate = Genes(supernet.space), SupernetEvaluator(supernet)
        cells = [genes.decode(genes.sample(np.random.default_rng(number))) for number in range(6)]
        losses = [evaluate(cell.one_hot(supernet.space), StoredImages(), BATCH, strategy)[0] for cell in cells]
        variances = [measured[f"gradient/variance{scheme}"] for scheme in ("", "_weighted", "_uniform")]
        return noted | {"paths/variances": np.array(variances), "paths/losses": np.array(losses)}


def flat(values):
    return np.concatenate([np.ravel(value) for value in values] or [np.zeros(0)])


def take_steps(step, strategy):
    splits = [replica_batches(batches(seed), strategy) for seed in (1, 2)]
    history = {}
    for index, (train, valid) in enumerate(zip(*splits, strict=True)):
        both = {"weights": Batch(*train), "arch": Batch(*valid)}
        for tag, value in step(both, StepInfo(index, temperature=1.0 / (1 + index))).items():
            history.setdefault(tag, []).append(float(value))
    return history


if __name__ == "__main__":
    configure(precision=None, logical_cpus=2)
    results = {f"plain/{key}": value for key, value in run(make_strategy("one"), tiny_space()).items()}
    for name in ("one", "mirrored"):
        # One strategy for all: a second one would number its collectives like the first, whose shapes are remembered.
        strategy = make_strategy(name)
        found = run(strategy, both_cell_types()) | run_paths(strategy)
        distillation = SelfDistillation(teachers=2, weight=20.0, warmup_epochs=0)  # enough to be seen in five steps
        distilled = run(strategy, tiny_space(), distillation)
        found |= {f"distilled/{key}": value for key, value in distilled.items()}
        drawn = run(strategy, both_cell_types(), drawn=True)
        found |= {f"drawn/{key}": value for key, value in drawn.items()}
        results |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez(sys.argv[1], **results)
