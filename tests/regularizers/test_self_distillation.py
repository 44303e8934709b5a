"""Self-distillation: its term, its teachers step by step, what it leaves alone, refused arguments."""

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_supernet import convolve, normalize, relu
from scipy.special import log_softmax, rel_entr, softmax
from tiny_search import tiny_space

from tf_edd.architectures.logits import ArchLogits
from tf_edd.errors import UserError
from tf_edd.networks.cell import SearchCell
from tf_edd.networks.stateless import SharedTraces
from tf_edd.networks.supernet import Supernet
from tf_edd.optimizers import SGD
from tf_edd.regularizers import DistillationTerm, SelfDistillation
from tf_edd.relaxations import SparseNoisySoftmax
from tf_edd.runtime import config
from tf_edd.runtime.record import describe
from tf_edd.schedules import ConstantRate, EntropyDecay
from tf_edd.search import parts  # noqa: F401 (registers what the gin files name)
from tf_edd.search.method import Method
from tf_edd.steps import Batch, FirstOrder, StepInfo, StepSetup

RATES = {"weights": 0.5, "arch": 0.3}
SIZE, CLASSES = 4, 3


@pytest.fixture(autouse=True)
def plain_machine():
    """Float32 before and after each test."""
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


def batch(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(6, SIZE, SIZE, 3)).astype(np.float32), rng.integers(0, CLASSES, 6).astype(np.int32)


def forward(images, moment):
    """The supernet of `tiny_space` in float64: a stem, one cell of two edges (skip, 1x1 convolution), a head."""
    weights, logits, temperature = moment
    probs = softmax(logits.astype(np.float64) / temperature, axis=-1)
    stem, gamma, beta, first, second, kernel, bias, last_gamma, last_beta = (w.astype(np.float64) for w in weights)
    x = normalize(convolve(images.astype(np.float64), stem), gamma, beta)
    for (skip, conv), small in zip(probs, (first, second), strict=True):
        x = skip * x + conv * normalize(convolve(relu(x), small))
    return relu(normalize(x, last_gamma, last_beta)).mean((1, 2)) @ kernel + bias


def cross_entropy(outputs, labels):
    return -log_softmax(outputs, axis=-1)[np.arange(len(labels)), labels].mean()


def vote(outputs, how, softness=1.0):
    """The vote of teachers with these outputs [K, b, classes]."""
    if how == "majority":
        outputs, softness = np.log(np.eye(outputs.shape[-1])[outputs.argmax(-1)] + 1e-300), 1.0
    return softmax(outputs / softness, axis=-1).mean(0)


def divergence(teacher, outputs, softness=1.0):
    return rel_entr(teacher, softmax(outputs / softness, axis=-1)).sum(-1).mean()


def make_supernet(shared=False, **settings):
    keras.utils.set_random_seed(3)
    supernet = Supernet(tiny_space(), CLASSES, **settings)
    for layer in supernet.blocks:
        if isinstance(layer, SearchCell):
            layer.traces = SharedTraces() if shared else None
    supernet.build((None, SIZE, SIZE, 3))
    return supernet


def make_step(net, logits, regularizers, rates, xla=False, skip_unused=False):
    """A first-order step with plain SGD of fixed rates."""
    weights, arch = (SGD(rates[phase], momentum=0.0, weight_decay=0.0) for phase in RATES)
    part = FirstOrder(weight_gradient_clip=None, skip_unused=skip_unused)
    method = Method(
        part,
        weights,
        ConstantRate(0.1),
        relaxation=SparseNoisySoftmax(),
        arch_optimizer=arch,
        arch_rate=ConstantRate(0.1),
        regularizers=regularizers,
    )
    return part.build(StepSetup(net, logits, method, xla=xla))


class Setup:
    """A small search, step by step; it keeps the copies of what there was before each step."""

    def __init__(self, *regularizers, net=None, steps_an_epoch=3, rates=RATES, **settings):
        self.net = net or make_supernet()
        self.logits = ArchLogits(self.net.space, seed=0, init_scale=0.5)
        self.regularizers = regularizers
        self.step = make_step(self.net, self.logits, regularizers, rates, **settings)
        self.steps_an_epoch, self.index, self.moments, self.temperature = steps_an_epoch, 0, [], 1.0

    def moment(self):
        weights = [variable.numpy() for variable in self.net.trainable_variables]
        return weights, self.logits.numpy()["cell"], self.temperature

    def take(self, count=1, phases=("weights", "arch")):
        """Steps on fresh batches; the temperature falls from epoch to epoch. Returns the scalars of the last one."""
        for _ in range(count):
            self.epoch = self.index // self.steps_an_epoch
            self.temperature = float(np.float32(1 / (1 + self.epoch)))
            self.moments.append(self.moment())
            self.batches = batch(2 * self.index), batch(2 * self.index + 1)
            batches = {
                phase: Batch(*map(tf.constant, b)) for phase, b in zip(("weights", "arch"), self.batches, strict=True)
            }
            scalars = self.step(batches, StepInfo(self.index, self.epoch, 0.0, self.temperature, phases))
            self.index += 1
        return {tag: float(value) for tag, value in scalars.items()}

    def functions(self):
        """(phase, places of the acting regularizers) -> traced function."""
        return self.step.functions.traced

    def traces(self):
        return {key: function.experimental_get_tracing_count() for key, function in self.functions().items()}


@pytest.mark.parametrize("how", ["mean", "majority"])
@pytest.mark.parametrize("softness", [1.0, 4.0])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_term_is_the_divergence_from_the_vote(count, softness, how):
    rng = np.random.default_rng(count)
    teachers = rng.normal(scale=3, size=(count, 8, 5)).astype(np.float32)
    outputs = rng.normal(scale=3, size=(8, 5)).astype(np.float32)
    part = SelfDistillation(count, vote=how, weight=0.7, distillation_temperature=softness)
    term = part.divergence(tf.constant(outputs), list(map(tf.constant, teachers)))
    voted = vote(teachers, how, softness)
    if how == "majority":  # by counting
        shares = [[np.sum(teachers[:, b].argmax(-1) == c) / count for c in range(5)] for b in range(8)]
        np.testing.assert_allclose(voted, shares, atol=1e-12)
    assert term.dtype == tf.float32 and term.shape == ()
    np.testing.assert_allclose(term, 0.7 * softness**2 * divergence(voted, outputs, softness), rtol=1e-5)


def test_a_teacher_without_doubt_gives_the_cross_entropy():
    outputs = np.float32([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
    certain = np.float32([[1e4, 0, 0], [0, 1e4, 0]])
    expected = cross_entropy(outputs.astype(np.float64), [0, 1])
    for how in ("mean", "majority"):
        term = SelfDistillation(vote=how).divergence(tf.constant(outputs), [tf.constant(certain)])
        np.testing.assert_allclose(term, expected, rtol=1e-6)


# Steps of three an epoch, one epoch of warmup: step 3 is the first with teachers. For the steps from 3 on, the moments
# (before which step) of the teachers, written out by hand from the definition.
COURSES = {
    "1": ({"every": 1}, [[3], [3], [4], [5], [6], [7], [8]]),
    "2": ({"every": 2}, [[3], [3], [3], [5], [5], [7], [7]]),
    "epoch": ({"every": "epoch"}, [[3], [3], [3], [6], [6], [6], [9]]),
    "1, K = 2": ({"every": 1, "teachers": 2}, [[3, 3], [3, 3], [4, 3], [5, 4], [6, 5], [7, 6]]),
    "2, K = 2": ({"every": 2, "teachers": 2}, [[3, 3], [3, 3], [3, 3], [5, 3], [5, 3], [7, 5], [7, 5], [9, 7]]),
    "epoch, K = 2": (
        {"every": "epoch", "teachers": 2},
        [[3, 3]] * 3 + [[6, 3]] * 3 + [[9, 6]],
    ),
    "majority, K = 3": ({"every": 1, "teachers": 3, "vote": "majority"}, [[3] * 3] * 2 + [[4, 3, 3], [5, 4, 3]]),
    "T = 2": ({"every": 1, "distillation_temperature": 2.0, "weight": 0.5}, [[3], [3], [4]]),
}


def teacher_moment(setup, moment, every):
    """The state before that step; at the end of an epoch still with the temperature of that epoch."""
    weights, logits, temperature = setup.moments[moment]
    if every == "epoch" and moment > setup.steps_an_epoch:
        temperature = setup.moments[moment - 1][2]
    return weights, logits, temperature


@pytest.mark.parametrize("name", COURSES)
def test_the_loss_is_that_of_teachers_recomputed_from_saved_copies(name):
    settings, course = COURSES[name]
    softness, weight = settings.get("distillation_temperature", 1.0), settings.get("weight", 1.0)
    setup = Setup(SelfDistillation(warmup_epochs=1, **settings))
    setup.take(3)
    terms = []
    for moments in course:
        scalars = setup.take()
        students = {"weights": setup.moments[-1], "arch": (setup.moment()[0], *setup.moments[-1][1:])}
        for (phase, student), (images, labels) in zip(students.items(), setup.batches, strict=True):
            teachers = [forward(images, teacher_moment(setup, moment, settings["every"])) for moment in moments]
            outputs = forward(images, student)
            voted = vote(np.stack(teachers), settings.get("vote", "mean"), softness)
            terms.append(weight * softness**2 * divergence(voted, outputs, softness))
            expected = cross_entropy(outputs, labels) + terms[-1]
            assert scalars[f"loss/{phase}"] == pytest.approx(expected, abs=1e-5 * max(1, expected)), (moments, phase)
    assert max(terms) > 1e-2  # or the comparison says little
    if settings.get("vote") != "majority":
        assert terms[0] < 1e-12  # its own weights: no difference yet


@pytest.mark.parametrize("phase", ["weights", "arch"])
def test_the_update_is_the_slope_of_the_loss_with_fixed_teachers(phase):
    """Central differences of the NumPy model in random directions."""
    weight = {"weights": 3.0, "arch": 100.0}[phase]  # enough to be seen
    setup = Setup(SelfDistillation(warmup_epochs=0, weight=weight, phases=(phase,)))
    setup.take(2)
    setup.take(1, (phase,))
    images, labels = setup.batches[phase == "arch"]
    weights, logits, temperature = setup.moments[-1]
    teacher = softmax(forward(images, setup.moments[-2]), axis=-1)

    def loss(moment):
        outputs = forward(images, moment)
        return cross_entropy(outputs, labels) + weight * divergence(teacher, outputs)

    rng = np.random.default_rng(0)
    moved, step, slopes = setup.moment(), 1e-5, []
    for _ in range(4):
        if phase == "weights":
            way = [rng.normal(size=w.shape) for w in weights]
            ends = [([w + s * d for w, d in zip(weights, way, strict=True)], logits, 1.0) for s in (step, -step)]
            changes = sum(np.sum((old - new) * d) for old, new, d in zip(weights, moved[0], way, strict=True))
        else:
            way = rng.normal(size=logits.shape)
            ends = [(weights, logits + s * way, 1.0) for s in (step, -step)]
            changes = np.sum((logits - moved[1]) * way) / 2  # sn-softmax at t = s*t = 1 doubles its gradient
        slope = (loss(ends[0]) - loss(ends[1])) / (2 * step)
        slopes.append(abs(slope))
        np.testing.assert_allclose(changes / RATES[phase], slope, rtol=2e-3, atol=1e-4)
    assert temperature == 1.0 and max(slopes) > 1e-2, slopes


@pytest.mark.parametrize("skip_unused, shared", [(False, False), (True, False), (False, True)])
def test_the_averages_and_weights_of_the_student_do_not_see_the_teacher(skip_unused, shared):
    """With rates of 0 nothing but the moving averages moves, and they move as without distillation."""
    averages = []
    for chosen in ([], [SelfDistillation(warmup_epochs=0, teachers=2)]):
        net = make_supernet(shared, running_statistics=True)
        setup = Setup(*chosen, net=net, rates={"weights": 0.0, "arch": 0.0}, skip_unused=skip_unused)
        before = [variable.numpy() for variable in net.non_trainable_variables]
        weights = setup.moment()[0]
        setup.take(3)
        averages.append([variable.numpy() for variable in net.non_trainable_variables])
        assert all(np.array_equal(*pair) for pair in zip(weights, setup.moment()[0], strict=True))
        moved = [np.abs(old - new).max() for old, new in zip(before, averages[-1], strict=True)]
        assert np.median(moved) > 1e-2  # means of what is normalized already stay at 0
    for plain, distilled in zip(*averages, strict=True):
        np.testing.assert_array_equal(distilled, plain)


@pytest.mark.parametrize(
    "settings", [{"shared": True}, {"rematerialize": True}, {"shared": True, "rematerialize": True}, {"skip": True}]
)
def test_every_kind_of_supernet_has_the_same_losses(settings):
    skip = settings.pop("skip", False)
    nets = make_supernet(), make_supernet(**settings)
    plain, other = (
        Setup(SelfDistillation(warmup_epochs=0), net=net, skip_unused=skip_unused)
        for net, skip_unused in zip(nets, (False, skip), strict=True)
    )
    for _ in range(4):
        expected, received = plain.take(), other.take()
        assert received == pytest.approx(expected, rel=1e-4)


def test_until_the_warmup_ends_it_is_not_there(monkeypatch):
    setup, plain = Setup(SelfDistillation(warmup_epochs=2, teachers=2)), Setup()
    called, tensors = [], DistillationTerm.tensors
    monkeypatch.setattr(DistillationTerm, "tensors", lambda term: called.append(1) or tensors(term))
    for _ in range(6):
        assert setup.take() == plain.take()
    assert not called and not any(np.any(variable) for variable in setup.step.variables["regularizers"])
    assert all(np.array_equal(*pair) for pair in zip(setup.moment()[0], plain.moment()[0], strict=True))
    at_rest = {("weights", ()): 1, ("arch", ()): 1}
    assert setup.traces() == plain.traces() == at_rest
    functions = [s.functions()["weights", ()] for s in (setup, plain)]
    graphs = [function._list_all_concrete_functions()[0].graph for function in functions]
    assert len({len(graph.get_operations()) for graph in graphs}) == 1
    assert setup.take()["loss/weights"] == pytest.approx(plain.take()["loss/weights"], rel=1e-6)  # its own teacher
    assert setup.take()["loss/weights"] != pytest.approx(plain.take()["loss/weights"], rel=1e-4)
    assert called
    assert setup.traces() == at_rest | {("weights", (0,)): 1, ("arch", (0,)): 1}


@pytest.mark.parametrize("phase", ["weights", "arch"])
def test_one_phase_alone(phase):
    setup, plain = Setup(SelfDistillation(warmup_epochs=0, phases=(phase,))), Setup()
    other = "arch" if phase == "weights" else "weights"
    for taken in (setup, plain):
        taken.take(2, (other,))  # the term is not in this loss
    assert all(np.array_equal(*pair) for pair in zip(setup.moment()[0], plain.moment()[0], strict=True))
    np.testing.assert_array_equal(setup.moment()[1], plain.moment()[1])
    for taken in (setup, plain):
        taken.take()
    assert setup.take(1, (phase,))[f"loss/{phase}"] > plain.take(1, (phase,))[f"loss/{phase}"] + 1e-4


@pytest.mark.slow
def test_xla_gives_the_same_losses():
    plain, compiled = (Setup(SelfDistillation(warmup_epochs=0, teachers=2), xla=xla) for xla in (False, True))
    for _ in range(3):
        expected, received = plain.take(), compiled.take()
        assert received == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_the_term_in_float32(policy, monkeypatch):
    expected = Setup(SelfDistillation(warmup_epochs=0)).take(4)
    keras.config.set_dtype_policy(policy)
    seen, divergence = [], SelfDistillation.divergence

    def watched(part, outputs, teachers):
        term = divergence(part, outputs, teachers)
        seen.extend(tensor.dtype for tensor in (*teachers, term))
        return term

    monkeypatch.setattr(SelfDistillation, "divergence", watched)
    setup = Setup(SelfDistillation(warmup_epochs=0))
    assert {variable.dtype for variable in setup.step.variables["regularizers"]} == {tf.float32, tf.int64}
    scalars = setup.take(4)
    assert seen == [tf.float32] * 4  # the teacher and the term, in both phases
    assert scalars["loss/weights"] == pytest.approx(expected["loss/weights"], rel=0.1)
    assert scalars["loss/weights"] != expected["loss/weights"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"teachers": 0},
        {"teachers": 1.5},
        {"every": 0},
        {"every": "step"},
        {"every": True},
        {"vote": "median"},
        {"weight": 0.0},
        {"weight": float("nan")},
        {"weight": "1"},
        {"distillation_temperature": -1.0},
        {"warmup_epochs": -1},
        {"warmup_epochs": "5"},
        {"phases": "weights"},
        {"phases": ()},
        {"phases": ("weights", "both")},
    ],
    ids=str,
)
def test_refuses_impossible_arguments(wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))}.*Received: {next(iter(wrong))}="):
        SelfDistillation(**wrong)


def test_a_part_serves_several_searches():
    """What a search knows lies in its term."""
    part = SelfDistillation(warmup_epochs=0)
    first, second = Setup(part), Setup(part)
    expected = first.take(3)
    first_state, second_state = (setup.step.variables["regularizers"] for setup in (first, second))
    assert any(np.any(variable) for variable in first_state) and not any(np.any(v) for v in second_state)
    assert second.take(3) == expected


def test_a_record_has_every_field():
    assert describe(SelfDistillation(2, "epoch", phases=["arch"])) == {
        "@": "SelfDistillation",
        "teachers": 2,
        "every": "epoch",
        "vote": "mean",
        "weight": 1.0,
        "distillation_temperature": 1.0,
        "warmup_epochs": 5,
        "phases": ["arch"],
    }


def test_composes_with_edd_by_gin():
    """The temperature schedule of EDD and the regularizer; nothing of either is lost."""
    files, bindings = [config.DEFAULTS, "methods/sd_edd_darts.gin"], ["epochs = 5", "SelfDistillation.teachers = 2"]
    with config.parsed(files, bindings, roots=("Method",)):
        method = gin.get_configurable(Method)()
    assert method.temperature == EntropyDecay(entropy_gain=0.06)
    assert method.relaxation == SparseNoisySoftmax(smooth_temperature=1.0)
    assert method.regularizers == (SelfDistillation(teachers=2),)
