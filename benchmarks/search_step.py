"""Times one search step of tf_edd and of its peers, all in one run, and compares with the figures to reach.

    python benchmarks/search_step.py
    python benchmarks/search_step.py --rounds=10 --competitors=tf_edd,plain_keras --json=result.json

A search step is one weight step (SGD with Nesterov momentum 0.9, weight decay 5e-4, clip 5) and one architecture step
(Adam on the logits) of the NAS-Bench-201 supernet on random images. Every competitor lives in a child process of its
own, so that its first step and its peak memory are its own. The children take turns: in each round every one does
--steps_per_round steps while the others wait, and only ratios within a round are compared, so a machine whose speed
drifts does not favour anyone. Quiet the machine all the same.

Exits with 1 when a competitor failed; figures that were missed are shown, and are no error.
"""

import json
import sys
from pathlib import Path

from absl import app, flags, logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this program runs from a checkout, not installed

from benchmarks import report  # noqa: E402
from benchmarks.setting import COMPETITORS, Setting  # noqa: E402
from benchmarks.worker import Worker, WorkerError, measure_parts  # noqa: E402

_DEFAULT = Setting()
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of every competitor.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps_per_round", 3, "Search steps of a competitor in one turn.", lower_bound=1)
_COMPETITORS = flags.DEFINE_list("competitors", list(COMPETITORS), "Who takes part.")
_CELLS = flags.DEFINE_integer("cells_per_stage", _DEFAULT.cells_per_stage, "Cells of each stage.", lower_bound=1)
_CHANNELS = flags.DEFINE_integer("channels", _DEFAULT.channels, "Channels of the first stage.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", _DEFAULT.batch, "Images of each of the two batches.", lower_bound=2)
_CORES = flags.DEFINE_integer("cores", _DEFAULT.cores, "CPU cores of every competitor.", lower_bound=1)
_PARTS = flags.DEFINE_bool("parts", True, "Also time EDD's update, sn-softmax and the data pipeline on their own.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder with CIFAR-10; random images of its size without it.")
_JSON = flags.DEFINE_string("json", None, "Also write every measurement to this file.")


def _chosen() -> list[str]:
    if unknown := set(_COMPETITORS.value) - set(COMPETITORS):
        raise app.UsageError(f"--competitors must be among {', '.join(COMPETITORS)}. Received: {sorted(unknown)}")
    missing = [name for name in _COMPETITORS.value if not COMPETITORS[name].importable]
    for name in missing:
        logging.warning("%s is left out: package %s is not installed", name, COMPETITORS[name].package)
    return [name for name in _COMPETITORS.value if name not in missing]


def _begin(names: list[str], setting: Setting) -> tuple[dict[str, Worker], dict[str, dict]]:
    """Starts the children one after the other, so that none slows another's first step."""
    workers, begins = {}, {}
    for name in names:
        worker = Worker(name, setting)
        try:
            begins[name] = worker.begin()
        except WorkerError as error:
            logging.error("%s", error)
            continue
        workers[name] = worker
        logging.info("%s: first step %.1f s", name, begins[name]["first_step"])
    return workers, begins


def _run_rounds(workers: dict[str, Worker]) -> tuple[list[dict[str, float]], dict[str, int]]:
    rounds, peaks = [], {}
    for number in range(_ROUNDS.value):
        answers = {name: worker.steps(_STEPS.value) for name, worker in workers.items()}
        rounds.append({name: answer["seconds"] for name, answer in answers.items()})
        peaks = {name: answer["peak_bytes"] for name, answer in answers.items()}
        logging.info("round %d: %s", number + 1, "  ".join(f"{n} {t:.3f}" for n, t in rounds[-1].items()))
    return rounds, peaks


def _measure(names: list[str], setting: Setting) -> dict:
    workers, begins = _begin(names, setting)
    if not workers:
        sys.exit("No competitor completed a step.")
    rounds, peaks = _run_rounds(workers)
    for worker in workers.values():
        worker.close()
    parts = measure_parts(setting, _DATA_DIR.value) if _PARTS.value else {}
    rows = report.competitor_rows(begins, rounds, peaks)
    targets = report.target_rows(rows, rounds, parts)
    return {"competitors": rows, "targets": targets, "parts": parts, "rounds": rounds, "setting": vars(setting)}


def main(_):
    """Measures, prints, and exits with 1 when a competitor failed."""
    setting = Setting(_CHANNELS.value, _CELLS.value, _BATCH.value, cores=_CORES.value)
    names = _chosen()
    result = _measure(names, setting)
    print("\n" + report.table(result["competitors"]))
    if result["targets"]:
        print("\n" + report.table(result["targets"]))
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if len(result["competitors"]) == len(names) else 1


if __name__ == "__main__":
    app.run(main)
