"""A search goes on with the parts that it was started with, whether gin or Python gave them, and with no others."""

import dataclasses

import gin
import numpy as np
import PIL.Image
import pytest
from tiny_search import BATCH, EPOCHS, STEPS, Stop, StopAt, run, tiny_space

from tf_edd import data
from tf_edd.discretizers import Argmax
from tf_edd.errors import UserError
from tf_edd.optimizers import SGD, Adam
from tf_edd.regularizers import SelfDistillation
from tf_edd.relaxations import Softmax, SparseNoisySoftmax
from tf_edd.runtime import config, files, strategy
from tf_edd.schedules import ConstantRate, ConstantTemperature, CosineRate, EntropyDecay
from tf_edd.search import parts  # noqa: F401 (registers what the files name)
from tf_edd.search.search import search
from tf_edd.selectors import RandomSearch
from tf_edd.spaces import nas_bench_201
from tf_edd.steps import FirstOrder, SecondOrder

# Argument -> another value, and the line that names the difference.
CHANGES = [
    ("weight_optimizer", SGD(momentum=0.8), "method.weight_optimizer.momentum: started with 0.9, received 0.8"),
    ("weight_optimizer", SGD(nesterov=True), "method.weight_optimizer.nesterov: started with False, received True"),
    ("weight_optimizer", Adam(), "method.weight_optimizer: started with 'SGD', received 'Adam'"),
    ("arch_optimizer", Adam(weight_decay=0.0), "method.arch_optimizer.weight_decay: started with 0.001, received 0.0"),
    ("weight_rate", CosineRate(0.2, EPOCHS), "method.weight_rate.base: started with 0.1, received 0.2"),
    ("arch_rate", ConstantRate(1.0), "method.arch_rate.value: started with 0.01, received 1.0"),
    ("step", FirstOrder(weight_gradient_clip=1.0), "method.step.weight_gradient_clip: started with 5.0, received 1.0"),
    ("step", FirstOrder(arch_gradient_clip=1.0), "method.step.arch_gradient_clip: started with None, received 1.0"),
    ("step", FirstOrder("arch_first"), "method.step.order: started with 'weights_first', received 'arch_first'"),
    ("step", SecondOrder(), "method.step: started with 'FirstOrder', received 'SecondOrder'"),
    ("relaxation", Softmax(), "method.relaxation: started with 'SparseNoisySoftmax', received 'Softmax'"),
    ("relaxation", SparseNoisySoftmax(100), "method.relaxation.smooth_scale: started with None, received 100.0"),
    ("temperature", EntropyDecay(0.12), "method.temperature.entropy_gain: started with 0.06, received 0.12"),
    (
        "regularizers",
        (SelfDistillation(warmup_epochs=0),),
        "method.regularizers.0.teachers: started with nothing, received 1",
    ),
    ("selector", RandomSearch(2), "method.selector.evaluations: started with nothing, received 2"),
    ("warmup_epochs", 1, "method.warmup_epochs: started with 0, received 1"),
    ("entropy_temperature", 1.0, "method.entropy_temperature: started with None, received 1.0"),
    ("logit_init_scale", 0.1, "method.logit_init_scale: started with 0.001, received 0.1"),
    ("running_statistics", True, "method.running_statistics: started with False, received True"),
    ("augmentation", (data.Crop(2),), "augmentation.0.padding: started with 1, received 2"),
    ("augmentation", (), "augmentation.0: started with 'Crop', received nothing"),
    ("split", (STEPS * BATCH, 5 * BATCH), f"splits.valid: started with {STEPS * BATCH}, received {5 * BATCH}"),
    ("split", (STEPS * BATCH, None), f"splits.valid: started with {STEPS * BATCH}, received None"),
    ("data", data.Digits(0.3), "data.test_fraction: started with 0.2, received 0.3"),
    ("space", nas_bench_201(4, 1), "space.name: started with 'tiny', received 'nas_bench_201'"),
    ("batch_size", 2 * BATCH, f"batch_size: started with {BATCH}, received {2 * BATCH}"),
    ("epochs", EPOCHS + 1, f"epochs: started with {EPOCHS}, received {EPOCHS + 1}"),
    ("rematerialize", True, "rematerialize: started with False, received True"),
    ("seed", 5, "seed: started with 3, received 5"),
]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a search that was stopped at its beginning."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stop):
        run(folder, actions=(StopAt("begin"),))
    return folder


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name, value, line", CHANGES, ids=[line.split(":")[0] for *_, line in CHANGES])
def test_a_changed_part_is_refused_and_named(stopped, name, value, line):
    before = contents(stopped)
    with pytest.raises(UserError) as error:
        run(stopped, **{name: value})
    assert f"  {line}" in str(error.value).splitlines(), error.value
    assert contents(stopped) == before


def test_an_equal_part_made_anew_goes_on(stopped):
    with pytest.raises(Stop):  # it begins again
        run(
            stopped,
            weight_optimizer=SGD(),
            step=FirstOrder("weights_first"),
            discretizer=Argmax(),
            augmentation=[data.Crop(padding=1)],
            actions=(StopAt("begin"),),
        )


GIN = """
search.space = @tiny_space()
search.data = @Digits()
search.batch_size = 16
search.split = (64, 64)
search.augmentation = (@Crop(),)
Crop.padding = 1
search.actions = ()
epochs = 3
weights/CosineRate.base = 0.1
weights/CosineRate.minimum = 0.0
arch/ConstantRate.value = 1e-2
"""


@pytest.fixture
def parsed():
    gin.external_configurable(tiny_space, module="tests")

    def parse(*bindings):
        config.parse(["methods/edd_darts.gin"], [*GIN.strip().splitlines(), *bindings], roots=["search"])

    yield parse
    gin.clear_config()


def test_gin_and_python_give_the_same_record(parsed, stopped, tmp_path):
    """So that a search from one may be continued by the other."""
    parsed()
    with pytest.raises(Stop):
        gin.get_configurable(search)(tmp_path, seed=3, actions=(StopAt("begin"),))
    records = [files.read_json(folder / "search" / "record.json") for folder in (tmp_path, stopped)]
    assert records[0] == records[1]
    with pytest.raises(Stop):
        run(tmp_path, actions=(StopAt("begin"),))


def test_a_changed_binding_is_refused_in_the_same_words(parsed, stopped):
    parsed("EntropyDecay.momentum = 0.25")
    with pytest.raises(UserError, match="method.temperature.momentum: started with 0.5, received 0.25"):
        gin.get_configurable(search)(stopped, seed=3)


def test_the_default_temperature_is_recorded_too(stopped):
    with pytest.raises(UserError, match="method.temperature: started with 'EntropyDecay', received 'ConstantTemp"):
        run(stopped, temperature=ConstantTemperature())


@dataclasses.dataclass(frozen=True)
class Pets:
    """Digits under other class names."""

    names: tuple[str, ...]

    def load(self, data_dir=None):
        loaded = data.Digits().load()
        return dataclasses.replace(loaded, class_names=self.names)

    def describe(self):
        """The names are left to the images."""
        return "Pets"


def test_other_class_names_are_refused(tmp_path):
    names = tuple("abcdefghij")
    with pytest.raises(Stop):
        run(tmp_path, data=Pets(names), actions=(StopAt("begin"),))
    with pytest.raises(UserError, match="images.class_names.9: started with 'j', received 'x'"):
        run(tmp_path, data=Pets((*names[:9], "x")))


def folder_of_pictures(path, seed):
    random = np.random.default_rng(seed)
    for name in ("cat", "dog"):
        (path / name).mkdir(parents=True)
        for number in range(80):
            pixels = random.integers(256, size=(8, 8), dtype=np.uint8)
            pixels[: random.integers(8)] = 0  # files of many sizes
            PIL.Image.fromarray(pixels).save(path / name / f"{number}.png")


@pytest.mark.parametrize("in_memory", [True, False])
def test_another_folder_of_the_same_name_is_refused(tmp_path, in_memory):
    for number, name in enumerate(("imgs1", "imgs2")):
        folder_of_pictures(tmp_path / name / "pets", number)
    arguments = {"data": data.ImageFolder("pets", in_memory=in_memory), "split": (64, 64)}
    with pytest.raises(Stop):
        run(tmp_path / "run", **arguments, data_dir=tmp_path / "imgs1", actions=(StopAt("begin"),))
    with pytest.raises(UserError, match="images.train.sha256: started with"):
        run(tmp_path / "run", **arguments, data_dir=tmp_path / "imgs2")
    (tmp_path / "imgs1").rename(tmp_path / "moved")
    with pytest.raises(Stop):
        run(tmp_path / "run", **arguments, data_dir=tmp_path / "moved", actions=(StopAt("begin"),))


def test_a_function_in_place_of_a_part_is_recorded(tmp_path):
    def rate(value):
        return lambda epoch: value

    with pytest.raises(Stop):
        run(tmp_path, weight_rate=rate(0.1), actions=(StopAt("begin"),))
    with pytest.raises(UserError, match="method.weight_rate.closure.value: started with 0.1, received 0.2"):
        run(tmp_path, weight_rate=rate(0.2))
    with pytest.raises(Stop):
        run(tmp_path, weight_rate=rate(0.1), actions=(StopAt("begin"),))


def test_a_part_that_cannot_be_recorded_is_named(tmp_path):
    class Rate:
        def __call__(self, epoch):
            return 0.1

    with pytest.raises(UserError, match="Received: Rate as method.weight_rate"):
        run(tmp_path, weight_rate=Rate())


@pytest.mark.parametrize("name, value", [("xla", "on"), ("meta_optimizer", "on")])
def test_other_compilation_is_refused(stopped, name, value):
    before = strategy.current()
    try:
        strategy.configure(precision=None, **{name: value})
        with pytest.raises(UserError, match=f"  {name}: started with False, received True"):
            run(stopped)
    finally:
        strategy._CURRENT[:] = [before]
        strategy.disable_meta_optimizer(not before.meta_optimizer)


def test_numbers_of_numpy_are_numbers(stopped):
    numbers = {"epochs": np.int64(EPOCHS), "batch_size": np.int64(BATCH), "seed": np.int64(3)}
    with pytest.raises(Stop):
        run(stopped, **numbers, logit_init_scale=np.float64(1e-3), actions=(StopAt("begin"),))
