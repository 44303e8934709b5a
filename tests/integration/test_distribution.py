"""tf.distribute: two devices reproduce one, two workers agree.

Devices and clusters must be chosen before TensorFlow starts, hence programs of their own.
"""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from child_processes import finish, start

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def five_steps(tmp_path_factory):
    """What five search steps reach: `one` device, and two devices with half a batch each (`mirrored`)."""
    folder = tmp_path_factory.mktemp("distribution")
    log = folder / "log"
    finish([start(HERE / "distributed_steps.py", folder / "results.npz", log=log)], [log])
    results = np.load(folder / "results.npz")
    assert results["one/replicas"] == 1 and results["mirrored/replicas"] == 2
    return results


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "logits", "averages"])
def test_two_devices_reproduce_one(five_steps, what):
    one, two = five_steps[f"one/{what}"], five_steps[f"mirrored/{what}"]
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-5)
    if what != "averages":  # it was a search
        begin = five_steps[f"one/start/{what}"]
        np.testing.assert_array_equal(five_steps[f"mirrored/start/{what}"], begin)
        assert np.abs(one - begin).max() > 0.02


@pytest.mark.slow
def test_both_cell_types_move(five_steps):
    """Weights of candidates of stride 1 and 2, logits of both cell types."""
    for what, parts in (("weights", 1), ("logits", 2)):
        one = five_steps[f"one/{what}"]
        moved = np.abs(one - five_steps[f"one/start/{what}"]).reshape(parts, -1)
        assert moved.max(axis=1).min() > 0.02, what  # both kinds
    assert five_steps["one/logits"].shape == (2 * 2 * 4,)


@pytest.mark.slow
def test_two_devices_reproduce_one_where_an_edge_draws_one_candidate(five_steps):
    """Two devices run all candidates, with the gradients of one that runs the drawn candidates alone."""
    for what in ("weights", "logits"):
        one, two = (five_steps[f"{name}/drawn/{what}"] for name in ("one", "mirrored"))
        np.testing.assert_allclose(two, one, rtol=0, atol=2e-5)
        assert np.abs(one - five_steps[f"one/drawn/start/{what}"]).max() > 0.02
    for tag in ("loss/weights", "loss/arch", "arch/logit_gradient_norm"):
        one, two = (five_steps[f"{name}/drawn/scalars/{tag}"] for name in ("one", "mirrored"))
        np.testing.assert_allclose(two, one, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "velocities", "paths", "images"])
def test_two_devices_reproduce_one_on_sampled_paths(five_steps, what):
    one, two = five_steps[f"one/paths/{what}"], five_steps[f"mirrored/paths/{what}"]
    np.testing.assert_allclose(two, one, rtol=0, atol=2e-5)
    assert np.abs(one - (five_steps["one/paths/start"] if what == "weights" else 0)).max() > 0.02
    if what == "velocities":  # the same candidates rested
        np.testing.assert_array_equal(one == 0, two == 0)
        assert (one == 0).mean() > 0.05


@pytest.mark.slow
def test_two_devices_measure_as_one(five_steps):
    """Variances of the gradient on sampled paths, and losses of cells with inherited weights."""
    one, two = (five_steps[f"{name}/paths/variances"] for name in ("one", "mirrored"))
    np.testing.assert_allclose(two, one, rtol=1e-3)
    assert len(set(one.tolist())) == 3 and min(one) > 0
    one, two = (five_steps[f"{name}/paths/losses"] for name in ("one", "mirrored"))
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert len(set(one.tolist())) > 2


@pytest.mark.slow
def test_metrics_are_those_of_the_global_batch(five_steps):
    tags = [key.removeprefix("one/") for key in five_steps if key.startswith("one/scalars/")]
    assert len(tags) == 6
    for tag in tags:
        np.testing.assert_allclose(five_steps[f"mirrored/{tag}"], five_steps[f"one/{tag}"], rtol=1e-3, err_msg=tag)
    # both limits of the norm were in force
    assert np.min(five_steps["one/scalars/weights/gradient_norm"]) > 0.5
    assert np.min(five_steps["one/scalars/arch/logit_gradient_norm"]) > 0.01


@pytest.mark.slow
def test_one_trace_per_step_function(five_steps):
    assert all(five_steps[f"{name}/traces"].tolist() == [1, 1] for name in ("one", "mirrored"))


@pytest.mark.slow
def test_two_devices_reproduce_one_with_self_distillation(five_steps):
    for what in ("weights", "logits", "averages", "scalars/loss/weights", "scalars/loss/arch"):
        one, two, plain = (five_steps[f"{name}/{what}"] for name in ("one/distilled", "mirrored/distilled", "plain"))
        np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-5, err_msg=what)
        assert np.abs(one - plain).max() > 1e-3, what  # it was distilled
    traces = [five_steps[f"{name}/distilled/traces"].tolist() for name in ("one", "mirrored")]
    assert traces == [[1, 1], [1, 1]]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


TINY = {
    "search.actions": "(@GenotypeLog(),)",
    "epochs": 2,
    "search.split": (64, 72),  # evaluation leaves a smaller batch out
    "search.batch_size": 16,
    "search.space": "@one_cell()",
    "one_cell.space": "@nas_bench_201()",
    "nas_bench_201.init_channels": 4,
    "Method.step": "@Kept()",
}
BINDINGS = {**TINY, "Kept.step": "@FirstOrder()", "warmup_epochs": 0, "arch_gradient_clip": None}


PROGRAM = HERE / "distributed_search.py"
FILES = ("datasets/digits.gin", "recipes/nb201_shallow.gin", "methods/edd_darts.gin")
ARGUMENTS = [f"--gin_file={name}" for name in FILES] + [f"--gin_param={key}={value}" for key, value in BINDINGS.items()]


def search_alone(folder, arguments=ARGUMENTS):
    """The same search in one process; returns what it saves."""
    environment = {"RESULT": str(folder / "alone.npy")}
    arguments = ["--strategy=one", *arguments, f"--model_dir={folder / 'alone'}"]
    finish([start(PROGRAM, *arguments, log=folder / "log", **environment)], [folder / "log"])
    return np.load(folder / "alone.npy")


def search(folder, tasks, ports, arguments=ARGUMENTS, statuses=None, **environment):
    """Runs one worker for each task, each with a model_dir of its own; the logs."""
    arguments = ["--strategy=multi_worker", *arguments]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    logs = [folder / f"log{task}" for task in tasks]
    processes = [
        start(
            PROGRAM,
            f"--model_dir={folder / str(task)}",
            *arguments,
            log=log,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": task}}),
            RESULT=str(folder / f"result{task}.npy"),
            **environment,
        )
        for task, log in zip(tasks, logs, strict=True)
    ]
    finish(processes, logs, statuses=statuses)
    return [log.read_text() for log in logs]


@pytest.mark.slow
def test_two_workers_complete_a_search_and_agree_and_one_that_is_left_says_so(tmp_path):
    logs = search(tmp_path, [0, 1], free_ports(2), statuses=[9, 2], CHIEF_LEAVES="1")
    told = "error: A worker has stopped answering; the same command on all workers continues from the last checkpoint. "
    assert logs[1].splitlines()[-1] == f"{told}Received: UnavailableError /job:worker/replica:0/task:0"
    assert "Traceback" not in logs[1]
    first, second = (np.load(tmp_path / f"result{task}.npy") for task in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (6, 5) and np.abs(first).max() > 1e-3
    # Each worker took its own half of every batch: eight steps of Adam at 3e-4 would part by ten times as much.
    np.testing.assert_allclose(first, search_alone(tmp_path), rtol=0, atol=1e-4)
    written = {path.name for path in (tmp_path / "0" / "search").iterdir()}
    assert {"genotype.json", "genotypes.jsonl", "results.json", "checkpoint"} <= written
    assert not (tmp_path / "1").exists()  # only the chief writes
    metrics = json.loads((tmp_path / "0" / "search" / "results.json").read_text())["metrics"]
    assert 1.0 < metrics["loss/weights"] < 5.0 and 0 <= metrics["accuracy/valid"] <= 1


ONE_SHOT = {
    **TINY,
    "search.split": (64, 64),
    "Kept.step": "@SampledPaths()",
    "variance_draws": 2,
    "EvolutionarySearch.population": 4,
    "EvolutionarySearch.generations": 2,
    "EvolutionarySearch.parents": 2,
    "EvolutionarySearch.mutants": 2,
    "EvolutionarySearch.crossovers": 2,
}


@pytest.mark.slow
def test_two_workers_train_sampled_paths_and_evolve_as_one(tmp_path):
    files = ("datasets/digits.gin", "recipes/nb201_one_shot_small.gin", "methods/pa_da.gin")
    files += ("selectors/evolution_small.gin",)
    arguments = [f"--gin_file={name}" for name in files]
    arguments += [f"--gin_param={key}={value}" for key, value in ONE_SHOT.items()]
    search(tmp_path, [0, 1], free_ports(2), arguments)
    first, second = (np.load(tmp_path / f"result{task}.npy") for task in (0, 1))
    np.testing.assert_array_equal(first, second)  # what the workers reduce is the same for all
    np.testing.assert_allclose(first, search_alone(tmp_path, arguments), rtol=0, atol=1e-4)
    folders = tmp_path / "0" / "search", tmp_path / "alone" / "search"
    chosen, alone = ([json.loads(line) for line in (f / "selection.jsonl").read_text().splitlines()] for f in folders)
    assert len(chosen) == 1 + 8  # the settings and two generations
    for together, by_itself in zip(chosen[1:5], alone[1:5], strict=True):  # before there are parents to be ranked
        assert together["candidate"] == by_itself["candidate"]
        assert together["fitness"] == pytest.approx(by_itself["fitness"], abs=1 / 64 + 1e-6)
    assert not (tmp_path / "1").exists()
