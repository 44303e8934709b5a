"""tf_edd.runtime.config: strict gin."""

import os

import gin
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import config, gin_graph
from tf_edd.runtime import parts as _parts  # noqa: F401  (defines the configurables)

ROOT = "rt_root"
BASE = (f"{ROOT}.schedule = @rt_constant()", f"{ROOT}.epochs = 3")


@gin.configurable(module="tf_edd.rt_schedules")
def rt_constant(temperature=1.0):
    return temperature


@gin.configurable(module="tf_edd.rt_schedules")
def rt_decay(gain=0.06, momentum=0.5):
    return gain * momentum


@gin.configurable(module="tf_edd.rt_optimizers")
def rt_sgd(learning_rate, momentum=0.0):
    return learning_rate, momentum


@gin.configurable(module="tf_edd.rt_default")
def rt_default(value=1):
    return value


@gin.configurable(module="tf_edd.rt_search")
def rt_root(schedule=None, epochs=gin.REQUIRED, parts=None, default=rt_default):
    return schedule, epochs, parts, default()


for _module in ("tf_edd.rt_a", "tf_edd.rt_b"):
    gin.external_configurable(dict, name="rt_same", module=_module)


@pytest.fixture(autouse=True)
def _clear():
    yield
    gin.clear_config()


def parse(*params, files=(), search=()):
    config.parse(files, params, search, roots=(ROOT,))


def refused(*params, **kwargs):
    with pytest.raises(UserError) as told:
        parse(*params, **kwargs)
    return str(told.value)


def test_bindings_reach_the_function():
    parse(*BASE, "rt_constant.temperature = -0.5")
    assert rt_root()[:2] == (-0.5, 3)


def test_a_second_parse_forgets_the_first():
    parse(*BASE, "rt_constant.temperature = 7.0")
    parse(*BASE)
    assert rt_root()[0] == 1.0


def test_later_files_and_params_override(tmp_path):
    (tmp_path / "a.gin").write_text(f"{ROOT}.schedule = 1\n{ROOT}.epochs = 1\n")
    (tmp_path / "b.gin").write_text(f"{ROOT}.epochs = 2\n")
    names = [str(tmp_path / name) for name in ("a.gin", "b.gin")]
    parse(files=names)
    assert rt_root()[1] == 2
    parse(f"{ROOT}.epochs = 5", files=names)
    assert rt_root()[1] == 5


@pytest.mark.parametrize(
    "param, told",
    [
        ("rt_rot.epochs = 1", ["'rt_rot'", "rt_root"]),
        ("rt_root.epoch = 1", ["rt_root.epoch", "nearest: epochs"]),
        ("rt_root.parts = @RT_SDG()", ["'RT_SDG'", "rt_sgd"]),
        ("rt_root.parts = %sied", ["%sied", "bound nowhere"]),
        ("rt_root.parts = [1,", ["cannot be read"]),
        ("rt_root.parts = word", ["needs quotes"]),
        ("rt_root.parts = @rt_same", ["unambiguous", "'tf_edd.rt_a.rt_same'", "'tf_edd.rt_b.rt_same'"]),
    ],
)
def test_what_is_unknown_is_named_with_the_nearest(param, told):
    message = refused(*BASE, param)
    for part in told:
        assert part in message, message


def test_a_file_s_error_names_file_and_line(tmp_path):
    (tmp_path / "bad.gin").write_text(f"{ROOT}.epochs = 3\n\n{ROOT}.epocs = 4\n")
    message = refused(files=[str(tmp_path / "bad.gin")])
    assert "bad.gin" in message and "line 3" in message and "epochs" in message


def test_an_unused_binding_names_what_is_in_its_place():
    message = refused(*BASE, "rt_decay.gain = 0.1")
    assert "rt_decay.gain is never used: rt_root.schedule is @rt_constant()" in message


def test_an_unused_macro_and_an_unused_scope_are_refused():
    assert "%size" in refused(*BASE, "size = 3")
    message = refused(*BASE, "rt_root.parts = @weights/rt_sgd", "arch/rt_sgd.momentum = 0.9")
    assert "arch/rt_sgd.momentum is never used: rt_root.parts is @weights/rt_sgd" in message


def test_references_are_followed_through_containers_macros_scopes_and_defaults():
    parse(
        f"{ROOT}.epochs = 1",
        f"{ROOT}.parts = [{{'a': @weights/rt_sgd()}}, (%inner,)]",
        "inner = @rt_decay()",
        "weights/rt_sgd.learning_rate = 0.1",
        "rt_sgd.momentum = 0.9",
        "rt_decay.gain = 4.0",
        "rt_default.value = 8",
    )
    assert rt_root()[2:] == ([{"a": (0.1, 0.9)}, (2.0,)], 8)


def test_a_scope_holds_for_what_is_evaluated_below_it():
    parse(
        f"{ROOT}.epochs = 1",
        f"{ROOT}.parts = @weights/rt_sgd()",
        "weights/rt_sgd.learning_rate = @rt_decay()",
        "weights/rt_decay.gain = 4.0",
    )
    assert rt_root()[2] == (2.0, 0.0)


def test_a_singleton_is_used():
    parse(f"{ROOT}.epochs = 1", f"{ROOT}.parts = @one/gin.singleton()", "one/gin.singleton.constructor = @rt_decay")
    assert rt_root()[2] == 0.03


def test_a_value_that_must_be_given_is_asked_for():
    assert "rt_root.epochs" in refused(f"{ROOT}.schedule = 1")
    assert "rt_sgd.learning_rate" in refused(*BASE, f"{ROOT}.parts = @rt_sgd()")
    parse(*BASE, f"{ROOT}.parts = @rt_sgd")  # not called by gin: the code may give the argument


def test_files_are_found_from_any_directory(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "child.gin").write_text("include 'base.gin'\n")
    (tmp_path / "own" / "base.gin").write_text(f"{ROOT}.epochs = 4\n")
    monkeypatch.chdir("/")
    parse(files=["child.gin"], search=[str(tmp_path / "own")])
    assert rt_root()[1] == 4
    assert "child.gin" in refused(files=["child.gin"])  # an earlier search path is forgotten
    monkeypatch.chdir(tmp_path)
    assert "base.gin" in refused(files=["own/child.gin"])
    parse(files=["own/child.gin"], search=["own"])


@pytest.mark.parametrize("name", ["recipes/rt_x.gin", "gin_configs/recipes/rt_x.gin"])
def test_installed_files_are_found_with_or_without_the_package_name(tmp_path, monkeypatch, name):
    package = tmp_path / "site" / "gin_configs"
    (package / "recipes").mkdir(parents=True)
    (package / "recipes" / "rt_x.gin").write_text("include 'recipes/rt_base.gin'\n")
    (package / "recipes" / "rt_base.gin").write_text(f"{ROOT}.epochs = 6\n")
    monkeypatch.setattr(config, "_installed_folders", lambda: [str(package), str(package.parent)])
    parse(files=[name])
    assert rt_root()[1] == 6


def test_a_missing_file_and_a_missing_include_name_the_nearest(tmp_path):
    (tmp_path / "recipe.gin").write_text("include 'bse.gin'\n")
    (tmp_path / "base.gin").write_text("")
    message = refused(files=["recpe.gin"], search=[str(tmp_path)])
    assert "'recpe.gin'" in message and str(tmp_path) in message and "nearest: recipe.gin" in message
    assert os.getcwd() in message
    message = refused(files=["recipe.gin"], search=[str(tmp_path)])
    assert "'bse.gin'" in message and "nearest: base.gin" in message and "line 1" in message


@pytest.mark.parametrize(
    "binding, place",
    [
        ("search.seed = 3", "--seed"),
        ("search.xla = True", "runtime.xla"),
        ("search.data_dir = 'images'", "--data_dir"),
        ("retrain.overwrite = True", "--overwrite"),
        ("retrain.genotype = '6111'", "--genotype"),
        ("export.data_dir = 'images'", "--data_dir"),
        ("retrain/tfds_images.data_dir = 'images'", "--data_dir"),
        ("first_order.regularizers = []", "search.regularizers"),
    ],
)
def test_a_binding_that_the_programs_override_is_refused(binding, place):
    used = [f"{ROOT}.parts = [@retrain/tfds_images, @first_order]"]
    message = refused(*BASE, *used, binding)
    name = binding.split(" = ")[0]
    assert message.splitlines()[1:] == [f"  {name}: give {place} in its place"]


def test_what_the_programs_supply_exists():
    for name, supplied in config.SUPPLIED.items():
        assert set(supplied) <= set(gin_graph.parameters(name)), name


def test_the_text_is_the_same_for_the_same_bindings(tmp_path):
    (tmp_path / "a.gin").write_text(f"# a comment\n{ROOT}.epochs = 3\n{ROOT}.schedule = @rt_constant()\n")
    parse(files=[str(tmp_path / "a.gin")])
    text = config.config_text()
    parse(*reversed(BASE))
    assert config.config_text() == text
    parse(*BASE, f"{ROOT}.epochs = 4")
    assert config.config_text() != text


def test_the_text_of_some_roots_leaves_the_others_out():
    parse(*BASE, "runtime.precision = 'mixed_bfloat16'")
    assert "runtime.precision" in config.config_text()
    assert "runtime" not in config.config_text((ROOT,)) and "rt_root.epochs = 3" in config.config_text((ROOT,))


def test_the_text_parses_to_the_same_configuration(tmp_path):
    parse(*BASE, "rt_constant.temperature = %t", "t = -1e-4")
    (tmp_path / "config.gin").write_text(config.config_text())
    before = rt_root()
    parse(files=[str(tmp_path / "config.gin")])
    assert rt_root() == before and before[0] == -1e-4


def test_markdown_is_indented():
    parse(*BASE)
    assert "    rt_root.epochs = 3" in config.markdown(config.config_text())
