"""Run and tag of each metric in TensorBoard."""

import pytest
from fake_search import two_kinds

from tf_edd.actions.event_tags import place
from tf_edd.spaces import darts, nas_bench_201, proxyless, s4


def metrics(space):
    """The names of the metrics of an epoch, as `tf_edd.search.metrics` makes them."""
    names = ["accuracy/valid", "accuracy/discretized", "accuracy/train", "accuracy/arch", "loss/valid", "loss/weights"]
    names += ["arch/entropy", "arch/temperature", "speed/seconds", "weights/gradient_norm", "table/cifar10_test"]
    names += [f"arch/{operation}_count" for operation in ("skip", "none", "noise")]
    for cell_type in space.logit_shapes:
        names.append(f"arch/entropy_{cell_type}")
        names += [f"arch/{name}_count_{cell_type}" for name in ("skip", "none", "noise") if not space.is_chain]
    return {name: float(value) for value, name in enumerate(names)}


def test_both_accuracies_are_one_tag_of_two_runs():
    placed = place({"accuracy/valid": 0.75, "accuracy/discretized": 0.5}, nas_bench_201())
    assert placed == {"": {"accuracy/search": 0.75}, "discretized": {"accuracy/search": 0.5}}


@pytest.mark.parametrize("space", [nas_bench_201(), darts(), proxyless(), two_kinds()], ids=lambda space: space.name)
def test_accuracy_and_loss_are_the_first_groups(space):
    """TensorBoard opens the first two groups in alphabetical order."""
    given = metrics(space) | {"gradient/variance_uniform": 1.0, "sharpness/eigenvalue": 1.0}
    given |= {"images/effective_share": 1.0}
    tags = [tag for values in place(given, space).values() for tag in values]
    groups = sorted({tag.split("/")[0] for tag in tags})
    assert groups == ["accuracy", "loss", "search", "sharpness", "table"]
    assert [tag for tag in tags if tag.startswith("accuracy/")] == ["accuracy/search"] * 2


def test_names_of_the_history_keep_their_values():
    space = nas_bench_201()
    given = metrics(space) | {"images/effective_share": 0.5}
    supernet = place(given, space)[""]
    names = {
        "search/image_effective_share": "images/effective_share",
        "search/accuracy_weights": "accuracy/train",
        "search/accuracy_arch": "accuracy/arch",
        "search/entropy": "arch/entropy",
        "search/seconds": "speed/seconds",
        "search/weight_gradient_norm": "weights/gradient_norm",
        "table/cifar10_test": "table/cifar10_test",
    }
    assert {tag: supernet[tag] for tag in names} == {tag: given[name] for tag, name in names.items()}


@pytest.mark.parametrize(
    "space, counts",
    [
        (nas_bench_201(), {"skip_count", "none_count"}),
        (proxyless(), {"none_count"}),
        (darts(), {"skip_count", "skip_count_normal", "skip_count_reduce"}),
        (s4(), {"noise_count", "noise_count_normal", "noise_count_reduce"}),
    ],
    ids=["nas_bench_201", "proxyless", "darts", "s4"],
)
def test_no_card_repeats_another_or_stays_at_zero(space, counts):
    tags = place(metrics(space), space)[""]
    assert {tag.removeprefix("search/") for tag in tags if "_count" in tag} == counts
    several = {"entropy_normal", "entropy_reduce"} if len(space.cells) == 2 else set()
    assert {tag.removeprefix("search/") for tag in tags if "entropy_" in tag} == several
