"""tf_edd.runtime.config: strict gin."""

import os

import gin
import pytest

from tf_edd.errors import UserError
from tf_edd.runtime import config, gin_graph
from tf_edd.search import parts as _parts  # noqa: F401  (defines the configurables)

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
    (package / "defaults.gin").write_text("")
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
        ("search.data_dir = 'images'", "--data_dir"),
        ("search.dry_run = True", "--dry_run"),
        ("retrain.overwrite = True", "--overwrite"),
        ("retrain.genotype = '6111'", "--genotype"),
        ("evaluate.saved_model = 'model'", "--saved_model"),
        ("export.data_dir = 'images'", "--data_dir"),
        ("rank.model_dir = 'runs'", "--model_dir"),
        ("configure.strategy = 'one'", "--strategy"),
        ("configure.logical_cpus = 2", "--logical_cpus"),
        ("configure.deterministic = True", "--deterministic"),
    ],
)
def test_a_binding_that_the_programs_override_is_refused(binding, place):
    message = refused(*BASE, binding)
    name = binding.split(" = ")[0]
    assert message.splitlines()[1:] == [f"  {name}: give {place} in its place"]


def test_what_the_programs_supply_exists():
    known = set().union(*(gin_graph.parameters(name) for name in config.SUPPLIED))
    for name, supplied in config.SUPPLIED.items():
        assert gin_graph.parameters(name) and set(supplied) <= known, name


def test_the_text_is_the_same_for_the_same_bindings(tmp_path):
    (tmp_path / "a.gin").write_text(f"# a comment\n{ROOT}.epochs = 3\n{ROOT}.schedule = @rt_constant()\n")
    parse(files=[str(tmp_path / "a.gin")])
    text = config.config_text()
    parse(*reversed(BASE))
    assert config.config_text() == text
    parse(*BASE, f"{ROOT}.epochs = 4")
    assert config.config_text() != text


def test_the_text_of_some_roots_leaves_the_others_out():
    parse(*BASE, "configure.precision = 'mixed_bfloat16'")
    assert "configure.precision" in config.config_text()
    assert "configure" not in config.config_text((ROOT,)) and "rt_root.epochs = 3" in config.config_text((ROOT,))


def test_the_text_parses_to_the_same_configuration(tmp_path):
    parse(*BASE, "rt_constant.temperature = %t", "t = -1e-4")
    (tmp_path / "config.gin").write_text(config.config_text())
    before = rt_root()
    parse(files=[str(tmp_path / "config.gin")])
    assert rt_root() == before and before[0] == -1e-4


def test_markdown_is_indented():
    parse(*BASE)
    assert "    rt_root.epochs = 3" in gin.markdown(config.config_text())


DATA, SMALL = "datasets/digits.gin", "recipes/nb201_shallow.gin"


def parse_search(*gin_files, params=(), roots=("search",)):
    config.parse(gin_files, params, roots=roots)


def macro(name):
    return gin.query_parameter(f"{name}/gin.macro.value")


def test_defaults_come_first_and_any_file_overrides_them():
    parse_search(DATA, "methods/edd_darts.gin", SMALL)  # the recipe sets entropy_gain, the method reads it
    assert macro("entropy_gain") == 0.24 and macro("weight_gradient_clip") == 5.0
    parse_search(DATA, "methods/edd_darts.gin", "recipes/nb201_search.gin")
    assert macro("entropy_gain") == 0.06 and macro("step_order") == "arch_first"


def test_defaults_that_the_method_does_not_read_are_spared():
    parse_search(DATA, SMALL, "methods/spos.gin")
    assert macro("arch_gradient_clip") == 5.0 and "Adam" not in config.config_text(("search",))


@pytest.mark.parametrize(
    "param, told",
    [
        ("entropy_gain = 0.5", "entropy_gain is never used: nothing refers to %entropy_gain"),
        ("arch/Adam.beta_1 = 0.25", "arch/Adam.beta_1 is never used"),
    ],
)
def test_a_parameter_of_a_default_that_the_method_does_not_read_is_refused(param, told):
    with pytest.raises(UserError) as refusal:
        parse_search(DATA, SMALL, "methods/spos.gin", params=[param])
    assert told in str(refusal.value)
    parse_search(DATA, SMALL, "methods/edd_darts.gin", params=[param])


def test_a_misspelt_macro_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="never used: nothing refers to %entropy_gian. The nearest: entropy_gain."):
        parse_search(DATA, SMALL, "methods/edd_darts.gin", params=["entropy_gian = 0.5"])


def test_a_later_method_replaces_an_earlier_one():
    parse_search(DATA, SMALL, "methods/darts.gin")
    text = config.config_text()
    assert "Method.relaxation = @Softmax()" in text
    parse_search(DATA, SMALL, "methods/edd_darts.gin", "methods/darts.gin")
    assert config.config_text() == text and "EntropyDecay" not in text and "SparseNoisySoftmax" not in text
    parse_search(DATA, SMALL, "methods/darts.gin", "methods/fairnas.gin")
    assert "FirstOrder" not in config.config_text() and "@FairPaths()" in config.config_text()


def test_a_later_learning_rate_replaces_that_of_the_defaults(tmp_path):
    (tmp_path / "rate.gin").write_text("weight_rate = @weights/ConstantRate()\nweights/ConstantRate.value = 0.1\n")
    for gin_files in (
        ["methods/darts.gin", str(tmp_path / "rate.gin")],
        [str(tmp_path / "rate.gin"), "methods/spos.gin"],
    ):
        parse_search(DATA, SMALL, *gin_files)
        assert "weights/ConstantRate.value = 0.1" in config.config_text()
        assert "weights/CosineRate" not in config.config_text()


def test_a_binding_of_a_file_that_no_earlier_file_used_is_refused(tmp_path):
    (tmp_path / "cycles.gin").write_text("PeriodicTemperature.cycles = 2\n")
    own = str(tmp_path / "cycles.gin")
    with pytest.raises(UserError) as refusal:
        parse_search(DATA, SMALL, "methods/darts.gin", own)
    message = "PeriodicTemperature.cycles is never used: Method.temperature is @ConstantTemperature()"
    assert message in str(refusal.value)
    (tmp_path / "cycles.gin").write_text("PeriodicTemperature.cycle = 2\n")
    with pytest.raises(UserError, match="nearest: cycles"):
        parse_search(DATA, SMALL, "methods/pcd_darts.gin", own)
    (tmp_path / "cycles.gin").write_text("PeriodicTemperature.cycles = 2\n")
    parse_search(DATA, SMALL, "methods/pcd_darts.gin", own, "methods/darts.gin")  # replaced, so no mistake
    with pytest.raises(UserError, match="PeriodicTemperature.cycles is never used"):
        parse_search(DATA, SMALL, "methods/pcd_darts.gin", "methods/darts.gin", params=["PeriodicTemperature.cycles=2"])


def test_every_required_value_of_the_programs_is_named():
    with pytest.raises(UserError) as refusal:
        parse_search()
    for name in ("epochs", "search.batch_size", "search.data", "search.method", "search.space"):
        assert f" {name}," in str(refusal.value).replace(". Received", ","), name
    with pytest.raises(UserError, match="retrain.data, retrain.epochs. Received: none"):
        parse_search(roots=("retrain",))
    parse_search("datasets/digits.gin", roots=("evaluate",))  # a search has no length here, and needs none


def test_a_method_without_recipe_asks_for_the_length_of_the_search():
    with pytest.raises(UserError, match="Expected values for epochs. Received: none"):
        parse_search("methods/edd_darts.gin", roots=("Method",))
    with pytest.raises(UserError, match="%epochs, which is bound nowhere"):
        parse_search("methods/ets_darts.gin", roots=("Method",))


@pytest.mark.parametrize("locked", [False, True])
def test_a_configuration_for_a_while_leaves_the_one_before(tmp_path, locked):
    (tmp_path / "imports.gin").write_text("import json\nrt_root.epochs = 3\n")
    gin.parse_config_file(str(tmp_path / "imports.gin"))
    if locked:
        gin.finalize()
    before = gin.config_str()
    with config.parsed([DATA, SMALL, "methods/darts.gin"], [], ("search",)):
        assert "rt_root" not in gin.config_str() and gin.query_parameter("search.batch_size") == 64
    assert gin.config_str() == before and gin.config_is_locked() == locked and "import json" in before
    with pytest.raises(UserError), config.parsed(["none.gin"], [], ("search",)):
        pass
    with pytest.raises(ZeroDivisionError), config.parsed([], [], ()):
        raise ZeroDivisionError
    assert gin.config_str() == before and gin.config_is_locked() == locked


@pytest.mark.parametrize("chain", [("a",), ("a", "b"), ("a", "b", "c")])
def test_files_that_include_themselves_are_one_error(tmp_path, chain):
    for name, other in zip(chain, (*chain[1:], chain[0]), strict=True):
        (tmp_path / f"{name}.gin").write_text(f"include '{tmp_path / other}.gin'\n")
    with pytest.raises(
        UserError, match="Expected gin files that do not include themselves. Received: '.*a.gin'"
    ) as error:
        config.parse([str(tmp_path / "a.gin")])
    assert len(str(error.value).splitlines()) <= 1 + 2 * len(chain)


def test_a_file_may_be_included_twice(tmp_path):
    (tmp_path / "base.gin").write_text("tc_macro = 3\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.gin").write_text(f"include '{tmp_path / 'base.gin'}'\n")
    with pytest.raises(UserError, match="%tc_macro"):  # and not the circle
        config.parse([str(tmp_path / "one.gin"), str(tmp_path / "two.gin")])


@pytest.mark.parametrize(
    "bindings, names",
    [
        (["a = %a"], "%a"),
        (["a = %b", "b = %a"], "%a, %b"),
        (["a = (1, [%b, {'x': %c}])", "b = 2", "c = %d", "d = (%b, %a)"], "%a, %c, %d"),
    ],
)
def test_macros_that_refer_to_themselves_are_one_error(bindings, names):
    with pytest.raises(UserError, match="Expected macros that do not refer to themselves. Received: ") as error:
        config.parse((), bindings)
    assert str(error.value).endswith(names)


@pytest.mark.parametrize(
    "bindings, names",
    [
        (["ConstantRate.value = @ConstantRate()"], "@ConstantRate()"),
        (["arch/ConstantRate.value = @ConstantRate()"], "@ConstantRate()"),
        (["ConstantRate.value = @inner/ConstantRate()"], "@ConstantRate()"),
        (["ConstantRate.value = [{'x': %rate}]", "rate = (1, @ConstantRate())"], "@ConstantRate()"),
        (["ConstantRate.value = @CosineRate()", "CosineRate.base = @ConstantRate()"], "@ConstantRate(), @CosineRate()"),
    ],
)
def test_parts_that_contain_themselves_are_one_error(bindings, names):
    with pytest.raises(UserError) as error:
        config.parse((), bindings)
    assert str(error.value) == f"Expected parts that do not contain themselves. Received: {names}"


@pytest.mark.parametrize(
    "bindings",
    [
        ["ConstantRate.value = @inner/ConstantRate()", "inner/ConstantRate.value = 3"],  # another one of its class
        ["ConstantRate.value = @ConstantRate"],  # the class, which is not called
    ],
)
def test_a_part_in_another_of_its_class_is_no_circle(bindings):
    gin.parse_config(bindings)
    assert gin_graph.part_circle() == []


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 100_000 + "]" * 100_000, "(" * 300, "'" + "x" * 200_000])
def test_values_that_python_cannot_read_are_one_short_error(value):
    with pytest.raises(UserError) as error:
        config.parse((), [f"a = {value}"])
    assert len(str(error.value)) < 1500
