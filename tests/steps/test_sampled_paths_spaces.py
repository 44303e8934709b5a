"""Steps on paths that real samplers draw, in each kind of space, against the supernet that runs all candidates."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_edd.architectures.logits import ArchLogits
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.runtime.seeds import step_seed
from tf_edd.samplers import FairPaths, ImportancePaths, UniformImages, UniformPaths
from tf_edd.schedules import ConstantRate
from tf_edd.search.method import Method
from tf_edd.spaces import darts, nas_bench_201, proxyless
from tf_edd.steps import Batch, EpochInfo, SampledPaths, StepInfo, StepSetup

# Two blocks: one with a stride, one with a shortcut and `none`.
MOBILE = proxyless((4,), (2,), (2,), stem_width=4, stem_stride=1, first_width=4, head_width=8)
DARTS = darts(4, 3, 1)
NB201 = nas_bench_201(4, 1)
SEED = 5


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


class Setup:
    """A step of plain gradient descent at rate 1: weights move by the gradient itself."""

    def __init__(self, space, paths, **settings):
        keras.utils.set_random_seed(3)
        self.space = space
        self.supernet = Supernet(space, 3)
        self.supernet.build((None, 8, 8, 3))
        part = SampledPaths(paths, UniformImages(), weight_gradient_clip=None, **settings)
        parts = Method(part, SGD(1.0, momentum=0.0, weight_decay=0.0), ConstantRate(1.0))
        self.step = part.build(StepSetup(self.supernet, ArchLogits(space, seed=0), parts, 20, seed=SEED))
        self.paths = self.step._paths  # the running sampler

    @property
    def variables(self):
        return self.supernet.trainable_variables

    def values(self):
        return [variable.numpy() for variable in self.variables]

    def drawn(self, index):
        """Paths of a step, as arrays."""
        paths = self.paths.sample(step_seed(SEED, tf.constant(index, tf.int64), "path"))
        return [{cell_type: table.numpy() for cell_type, table in path.items()} for path in paths]

    def run(self, index):
        scalars = self.step({"weights": Batch(*batch(index))}, StepInfo(index))
        return {tag: float(value) for tag, value in scalars.items()}

    def used(self, paths):
        """Per variable whether a path uses its candidate; True for those of no candidate."""
        found = {
            id(variable): any(path[cell_type][edge, position] == 1 for path in paths)
            for cell_type, edge, position, operation in self.supernet.candidates()
            for variable in operation.trainable_variables
        }
        return [found.get(id(variable), True) for variable in self.variables]


def batch(seed, size=8):
    rng = np.random.default_rng(seed)
    images = tf.constant(rng.normal(size=(size, 8, 8, 3)), tf.float32)
    return images, tf.constant(rng.integers(0, 3, size), tf.int32)


def cross_entropy(labels, outputs):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True))


def loss_and_gradients(supernet, path, index):
    """With all candidates run and multiplied by 0 and 1, and no function around it."""
    images, labels = batch(index)
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, supernet(images, path, training=True))
    values = [variable.value for variable in supernet.trainable_variables]
    gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return float(loss), [gradient.numpy() for gradient in gradients]


def check_a_step(setup, index):
    """The loss is the mean over the paths, the update the sum of their gradients; the rest stays as it is."""
    before, paths = setup.values(), setup.drawn(index)
    losses, gradients = zip(*(loss_and_gradients(setup.supernet, path, index) for path in paths), strict=True)
    total = [sum(each) for each in zip(*gradients, strict=True)]
    scalars = setup.run(index)
    np.testing.assert_allclose(scalars["loss/weights"], np.mean(losses), rtol=1e-4)
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in total))
    np.testing.assert_allclose(scalars["weights/gradient_norm"], norm, rtol=1e-3)
    used = setup.used(paths)
    assert norm > 0
    for i, value in enumerate(before):
        if used[i]:
            np.testing.assert_allclose(setup.variables[i], value - total[i], rtol=1e-3, atol=2e-5)
        else:
            np.testing.assert_array_equal(setup.variables[i], value)
    return used, paths


def check_the_learnt_distribution(setup, path):
    """After one step: half of p on the candidate of an edge that had a gradient, half of it uniform (tau = 2 / 4)."""
    weighty = {(cell_type, edge, o) for cell_type, edge, o, op in setup.supernet.candidates() if op.trainable_variables}
    setup.paths.end_epoch(3, 4)
    for cell in setup.space.cells:
        table = setup.paths.distribution()[cell.cell_type]
        for edge, row in enumerate(path[cell.cell_type]):
            uniform = [name not in cell.excluded for name in cell.edges[edge].primitives]
            uniform = np.array(uniform) / sum(uniform)
            learnt = row if row.any() and (cell.cell_type, edge, int(row.argmax())) in weighty else uniform
            np.testing.assert_allclose(table[edge], (learnt + uniform) / 2, atol=1e-6)


@pytest.fixture(scope="module")
def chain():
    """A step and its supernet in the mobile space; tests share the trace."""
    return Setup(MOBILE, ImportancePaths())


def test_a_chain_of_blocks_learns_on_its_paths_and_the_norms_reach_its_distributions(chain):
    used, (path,) = check_a_step(chain, 0)
    assert used.count(False) > len(used) / 2
    check_the_learnt_distribution(chain, path)
    _, (other,) = check_a_step(chain, 1)
    assert any(not np.array_equal(path[cell_type], other[cell_type]) for cell_type in path)
    assert chain.step.function.experimental_get_tracing_count() == 1


def test_a_chain_of_blocks_learns_on_uniform_paths():
    used, _ = check_a_step(Setup(MOBILE, UniformPaths()), 1)
    assert not all(used)


def test_of_a_block_left_out_only_the_shortcut_remains(chain):
    names = MOBILE.cells[1].edges[0].primitives
    chain.paths.variables[1].assign([[float(name == "none") for name in names]])
    (path,) = chain.drawn(0)
    assert names[path["block_02"].argmax()] == "none"
    images, labels = batch(0)
    stem, first, block, _, head, classifier = chain.supernet.blocks
    chosen = block.mixed_ops[0].candidates[path["block_01"].argmax()]
    x = images
    for layer in (stem, first, chosen, head, classifier):
        x = layer.call(x, training=True)
    left_out = [op for cell_type, *_, op in chain.supernet.candidates() if cell_type == "block_02"]
    hidden = [variable for op in left_out for variable in op.trainable_variables]
    for variable in hidden:
        variable.assign(np.full(variable.shape, np.nan))  # whatever runs, is seen
    np.testing.assert_allclose(chain.run(0)["loss/weights"], cross_entropy(labels, x), rtol=1e-5)
    seen = {id(variable) for variable in hidden}
    assert seen and all(np.isfinite(v.numpy()).all() for v in chain.variables if id(v) not in seen)


def test_low_precision(bfloat16):
    setup = Setup(MOBILE, ImportancePaths())
    (path,) = setup.drawn(0)
    before = setup.values()
    scalars = setup.run(0)
    keras.config.set_dtype_policy("float32")
    high = Setup(MOBILE, UniformPaths())
    for variable, value in zip(high.variables, before, strict=True):
        variable.assign(value)
    loss, _ = loss_and_gradients(high.supernet, path, 0)
    np.testing.assert_allclose(scalars["loss/weights"], loss, rtol=0.05)
    used = setup.used([path])
    for i, variable in enumerate(setup.variables):
        assert variable.dtype == "float32" and np.isfinite(variable.numpy()).all()
        assert np.array_equal(variable, before[i]) == (not used[i])


@pytest.fixture(scope="module")
def cells():
    """A step and its supernet in the DARTS space; tests share the trace."""
    return Setup(DARTS, ImportancePaths(per_edge=True), num_validated_paths=3)


def test_cells_learn_on_their_paths_and_the_norms_reach_each_edge(cells):
    _, (path,) = check_a_step(cells, 0)
    check_the_learnt_distribution(cells, path)


def test_cells_are_validated_by_genotypes_of_two_edges_a_node(cells):
    asked, (images, labels) = [], batch(9)

    def evaluate(table):
        outputs = cells.supernet(images, table, training=False)
        right = np.mean(np.argmax(outputs, axis=1) == labels)
        asked.append((table, float(cross_entropy(labels, outputs)), float(right)))
        return asked[-1][1:]

    epoch = EpochInfo(epoch=2, epochs=4, step=3, seed=0, batches=None)
    genotype, scalars = cells.step.validate(epoch, evaluate, Argmax())
    assert genotype.check(DARTS) is genotype and len(asked) == 3
    for table, _, _ in asked:
        for cell in DARTS.cells:
            assert table[cell.cell_type][:, 0].sum() == 0  # none
            for node in cell.intermediate_nodes:
                assert table[cell.cell_type][list(cell.incoming(node))].sum() == 2
    best = max(asked, key=lambda row: row[2])
    assert all(np.array_equal(genotype.one_hot(DARTS)[cell_type], best[0][cell_type]) for cell_type in best[0])
    assert scalars["accuracy/discretized"] == best[2]
    means = np.mean([row[1:] for row in asked], axis=0)
    np.testing.assert_allclose([scalars["loss/valid"], scalars["accuracy/valid"]], means, rtol=1e-6)


def test_cells_learn_on_uniform_paths():
    used, _ = check_a_step(Setup(DARTS, UniformPaths()), 1)
    assert not all(used)


def test_fair_paths_of_cells_have_each_candidate_that_may_be_chosen_once():
    paths = FairPaths().build(DARTS).sample(tf.constant([1, 2]))
    assert len(paths) == 7
    for cell in DARTS.cells:
        tables = [path[cell.cell_type].numpy() for path in paths]
        assert all((table.sum(axis=1) == 1).all() for table in tables)
        np.testing.assert_array_equal(sum(tables), [[0, 1, 1, 1, 1, 1, 1, 1]] * len(cell.edges))


def test_a_fair_step_is_the_sum_of_its_paths():
    used, paths = check_a_step(Setup(NB201, FairPaths()), 0)
    assert len(paths) == 5 and all(used)


class BuildsHalf:
    """A sampler whose `build` returns something without the members of a running one."""

    def build(self, described):
        return Argmax()


@pytest.mark.parametrize("field", ["paths", "images"])
def test_a_sampler_that_builds_something_else_is_told_so(field):
    part = SampledPaths(**{"paths": UniformPaths(), "images": UniformImages(), field: BuildsHalf()})
    batches = SimpleNamespace(steps=100, train=SimpleNamespace(size=20))
    expected = rf"^SampledPaths.{field}.build must return a running sampler of {field}\. Received: Argmax\(\)$"
    with pytest.raises(UserError, match=expected):
        part.check(DARTS, batches)
