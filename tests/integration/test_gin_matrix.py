"""Every method goes with every recipe of a search and with every space, or says why not."""

import time

import gin
import pytest
from conformance.rows import edges_may_be_left_out, same_candidates_in_each_cell, same_number_of_candidates
from gin_files import (
    DIGITS,
    binds,
    included,
    includes,
    learns_logits,
    like_cifar10,
    methods,
    names,
    runs_one_path,
    search_recipes,
)

from tf_edd.errors import UserError
from tf_edd.runtime import config
from tf_edd.search import parts  # noqa: F401 (registers what the files name)
from tf_edd.search.search import search
from tf_edd.steps import SampledPaths

SECONDS = 120  # of processor time
MEASURED = []
REGULARIZERS = {"methods/self_distillation.gin": "SelfDistillation", "methods/beta_decay.gin": "BetaDecay"}
SMOOTHINGS = {
    "methods/random_smoothing.gin": "RandomSmoothing",
    "methods/adversarial_smoothing.gin": "AdversarialSmoothing",
}
EDGES = {
    "methods/partial_channels.gin": "PartialChannels(groups=4)",
    "methods/edge_weights.gin": "EdgeWeights(relaxation=",
    "methods/auxiliary_skip.gin": "AuxiliarySkip(initial=1.0, decay='linear')",
    "methods/drop_path.gin": "EdgeDropPath(probability=0.2)",
}
DECISIONS = [
    "methods/perturbation_selection.gin",
    "methods/pt_schedule_nb201.gin",
    "methods/pt_schedule_darts_space.gin",
]
JOINED = {*REGULARIZERS, *SMOOTHINGS, *EDGES, "methods/image_importance.gin", "methods/eigenvalue_stop.gin", *DECISIONS}


@pytest.fixture(autouse=True)
def clear():
    yield
    gin.clear_config()


def with_spaces():
    """Each recipe with the space that it has, or with all spaces."""
    for recipe in search_recipes():
        for space in [None] if includes(recipe, "spaces") else names("spaces"):
            yield recipe, space


def data_set(recipe) -> list[str]:
    """The recipe's own, or one that has all the parts that it gives numbers to."""
    if includes(recipe, "datasets"):
        return []
    return ["datasets/imagenet2012.gin" if binds(recipe, "ColorJitter.") else DIGITS]


def refusal(method, space) -> str | None:
    """Why a method cannot search in a space."""
    if binds(method, "@FairPaths()") and not same_number_of_candidates(space):
        return "FairPaths expects the same number of candidates on every edge"
    if binds(method, "@ImportancePaths()") and not same_candidates_in_each_cell(space):
        return "set per_edge = True for this space"
    if binds(method, "@Threshold()") and not edges_may_be_left_out(space):
        return "Threshold leaves edges out, which the space must allow"
    for part in ("PartialChannels", "AuxiliarySkip"):
        if binds(method, f"@{part}()") and space.is_chain:  # whose blocks change the number of channels
            return f"{part} expects"
    return None


def compose(files, bindings=()) -> str:
    config.parse(files, bindings, roots=["search"])
    return gin.get_configurable(search)("run", data=like_cifar10(), dry_run=True)


@pytest.mark.parametrize("recipe, space", list(with_spaces()), ids=lambda name: name or "own")
def test_every_method(recipe, space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    began, refused = time.process_time(), {}
    for method in methods():
        files = [recipe, *([space] if space else []), *data_set(recipe), method]
        try:
            text = compose(files)
        except UserError as error:
            refused[method] = str(error)
            continue
        assert "parameters" in text and " epochs x " in text, method
        assert ("relaxation  " in text) == learns_logits(method), method
    made = gin.query_parameter("search.space").scoped_configurable_fn()
    expected = {method: reason for method in methods() if (reason := refusal(method, made))}
    assert refused.keys() == expected.keys(), refused
    assert all(expected[method] in message for method, message in refused.items()), refused
    assert not list(tmp_path.iterdir())
    MEASURED.append(time.process_time() - began)


def test_the_matrix_is_quick():
    """It is to stay a test that is run at every change."""
    assert sum(MEASURED) < SECONDS


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("method", methods())
def test_regularizers_join_every_method_with_logits(method, regularizer):
    files = ["quickstart.gin", method, regularizer]
    if learns_logits(method):
        assert REGULARIZERS[regularizer] in compose(files)
        return
    with pytest.raises(UserError, match="takes no regularizers"):
        compose(files)


@pytest.mark.parametrize("decisions", DECISIONS)
@pytest.mark.parametrize("method", methods())
def test_decisions_join_every_method_with_logits(method, decisions):
    """Schedules of the temperature are as long as the search, so they follow when a file changes that."""
    files = ["quickstart.gin", method, decisions]
    unfit = ("HardGumbel", "EdgeWeights", "Sigmoid", "PartialChannels", "AuxiliarySkip", "EdgeDropPath")
    if any(binds(method, f"@{part}()") for part in unfit):
        with pytest.raises(UserError, match="Method.decisions expect"):
            compose(files)
        return
    if learns_logits(method):
        assert "PerturbationSelection(criterion='accuracy', first=" in compose(files)
        return
    with pytest.raises(UserError, match="takes no decisions"):
        compose(files)


@pytest.mark.parametrize("method", methods())
def test_what_surrounds_edges_joins_every_method_with_logits(method):
    if runs_one_path(method):
        for name in EDGES:
            with pytest.raises(UserError, match="HardGumbel runs one candidate of an edge alone"):
                compose(["quickstart.gin", method, name])
        return
    if binds(method, "Method.decisions = @"):
        for name in EDGES:
            with pytest.raises(UserError, match="Method.decisions expect a mixture"):
                compose(["quickstart.gin", method, name])
        return
    if learns_logits(method):
        of_distributions = {"methods/edge_weights.gin", "methods/partial_channels.gin"}
        joined = [name for name in EDGES if not (name in of_distributions and binds(method, "@Sigmoid()"))]
        text = compose(["quickstart.gin", method, *joined])
        assert all(EDGES[name] in text for name in joined)
        return
    for name in EDGES:
        with pytest.raises(UserError, match="takes no edge"):
            compose(["quickstart.gin", method, name])


@pytest.mark.parametrize("method", methods())
def test_image_importance_joins_every_method_of_first_order_beside_self_distillation(method):
    files = ["quickstart.gin", method, "methods/image_importance.gin"]
    if "methods/first_order.gin" in included(method):
        text = compose([*files, "methods/self_distillation.gin"])
        assert "images=ImportanceImages(smoothing=1.0, importance_weights=False)" in text
        assert "SelfDistillation" in text
        return
    with pytest.raises(UserError, match="FirstOrder.images is never used"):
        compose(files)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("method", methods())
def test_smoothings_join_every_method_of_first_order(method, smoothing):
    files = ["quickstart.gin", method, smoothing]
    if "methods/first_order.gin" in included(method):
        assert f"perturbation={SMOOTHINGS[smoothing]}(" in compose(files)
        return
    with pytest.raises(UserError, match="FirstOrder.perturbation is never used"):
        compose(files)


@pytest.mark.parametrize("method", methods())
def test_the_stopping_of_darts_es_joins_every_method_with_logits(method):
    files = ["quickstart.gin", method, "methods/eigenvalue_stop.gin"]
    if learns_logits(method):
        assert "EigenvalueStop(" in compose(files)
        return
    with pytest.raises(UserError, match="takes no stopper"):
        compose(files)


@pytest.mark.parametrize("selector", names("selectors"))
@pytest.mark.parametrize("method", methods())
def test_selectors_join_every_method(method, selector):
    files = ["quickstart.gin", method, selector]
    if binds(method, "Method.decisions = @"):
        with pytest.raises(UserError, match="Method.decisions choose the cell"):
            compose(files)
        return
    assert "selector" in compose(files)


def test_every_file_of_a_method_is_in_the_matrix():
    tried = set().union(*(included(method) for method in methods()))
    assert tried >= set(names("methods")) - JOINED
    assert any(binds(method, f"@{SampledPaths.__name__}()") for method in methods())
