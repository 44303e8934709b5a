"""What the programs share: flags, the competitors' turns, the tables."""

import json
import sys
from pathlib import Path

from absl import app, flags, logging

from benchmarks import report
from benchmarks.setting import BEFORE, SUITES, Setting
from benchmarks.worker import Worker, WorkerError, measure_parts

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of every competitor.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps_per_round", 3, "Steps of a competitor in one turn.", lower_bound=1)
_COMPETITORS = flags.DEFINE_list("competitors", None, "Who takes part; everybody without it.")
_CHANNELS = flags.DEFINE_integer("channels", None, "Channels of the first cells.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", None, "Images of a batch.", lower_bound=2)
_CORES = flags.DEFINE_integer("cores", Setting.cores, "CPU cores of every competitor.", lower_bound=1)
_BEFORE = flags.DEFINE_string(
    "before", None, "Another checkout of this project, whose tf_edd takes part as tf_edd_before."
)
_JSON = flags.DEFINE_string("json", None, "Also write every measurement to this file.")


def setting_of(suite: str, cells: int | None) -> Setting:
    """The setting of a suite, changed by the flags."""
    default = SUITES[suite].setting
    return Setting(
        suite,
        channels=_CHANNELS.value or default.channels,
        cells=cells or default.cells,
        batch=_BATCH.value or default.batch,
        cores=_CORES.value,
        before=_BEFORE.value,
    )


def _chosen(competitors) -> list[str]:
    names = _COMPETITORS.value or list(competitors)
    if unknown := set(names) - set(competitors):
        raise app.UsageError(f"--competitors must be among {', '.join(competitors)}. Received: {sorted(unknown)}")
    missing = [name for name in names if not competitors[name].importable]
    for name in missing:
        logging.warning("%s is left out: package %s is not installed", name, competitors[name].package)
    chosen = [name for name in names if name not in missing]
    return [BEFORE, *chosen] if _BEFORE.value else chosen


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


def _measure(names: list[str], setting: Setting, parts: bool, data_dir: str | None) -> dict:
    workers, begins = _begin(names, setting)
    if not workers:
        sys.exit("No competitor completed a step.")
    rounds, peaks = _run_rounds(workers)
    for worker in workers.values():
        worker.close()
    seconds = measure_parts(setting, data_dir) if parts else {}
    rows = report.competitor_rows(begins, rounds, peaks)
    targets = report.target_rows(SUITES[setting.suite], rows, rounds, seconds)
    return {"competitors": rows, "targets": targets, "parts": seconds, "rounds": rounds, "setting": vars(setting)}


def run(setting: Setting, parts: bool = False, data_dir: str | None = None) -> int:
    """Measures, prints, and returns the exit status: 1 when a competitor failed."""
    names = _chosen(SUITES[setting.suite].competitors)
    result = _measure(names, setting, parts, data_dir)
    print("\n" + report.table(result["competitors"]))
    if result["targets"]:
        print("\n" + report.table(result["targets"]))
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if len(result["competitors"]) == len(names) else 1
