"""Repeats small deterministic runs and compares what they compute with a record of an earlier commit, bit by bit.

    python benchmarks/same_numbers.py                  # compare with benchmarks/same_numbers.json
    python benchmarks/same_numbers.py --only=edd_nb201,mobile
    python benchmarks/same_numbers.py --record         # write a new record, after a change that is meant

For a rebuilding that is to change no number: every epoch's genotype, probabilities and metrics, the logits and a hash
of all variables of every checkpoint, and of a retraining also what its export reaches. The runs take the embedded
digits and about five minutes. Equality to the bit holds on one kind of processor, with one number of threads and one
version of TensorFlow; the record names them. Elsewhere record both commits.

Exits with 1 where something differs, and names the first difference of each run.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")

_RECORD = flags.DEFINE_bool("record", False, "Write the record in place of comparing with it.")
_ONLY = flags.DEFINE_list("only", [], "Names of the runs; all of them by default.")
_CHECKOUT = flags.DEFINE_string("checkout", str(ROOT), "The checkout whose programs run.")
_COMMANDS = flags.DEFINE_string("commands", None, "JSON file: name -> commands; else those of the record.")
_FILE = flags.DEFINE_string("file", str(RECORD), "The record.")


_ABOUT = ("commit", "commands", "recorded_with")  # of a run in the record: how it was made


def measure(name: str, commands, checkout: str) -> dict:
    """Runs the commands of one run in a folder of its own and reads what they have left."""
    with tempfile.TemporaryDirectory(prefix=f"same_numbers_{name}_") as folder:
        for program, *arguments in commands:
            command = [sys.executable, "-m", f"launch.{program}", f"--model_dir={folder}/run", *arguments]
            done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{name}: {' '.join(command)} ended with {done.returncode}\n{done.stderr[-3000:]}")
        return outcome(Path(folder) / "run")


def outcome(run: Path) -> dict:
    """What must not change; times and speeds are left out."""
    result = {}
    if (run / "search").is_dir():
        result["epochs"] = _history(run / "search" / "genotypes.jsonl")
        result["genotype"] = json.loads((run / "search" / "genotype.json").read_text())
        result["checkpoints"] = _checkpoints(run / "search")
    if (run / "search" / "selection.jsonl").is_file():
        lines = (run / "search" / "selection.jsonl").read_text().splitlines()[1:]
        result["selection"] = [json.loads(line) for line in lines]
    if (run / "retrain").is_dir():
        result["retrain_epochs"] = _history(run / "retrain" / "history.jsonl")
        result["retrain_checkpoints"] = _checkpoints(run / "retrain")
    if (run / "export").is_dir():
        card = json.loads((run / "export" / "model_card.json").read_text())
        result["export"] = {key: card[key] for key in ("genotype", "parameters", "test_accuracy", "multiply_adds")}
        result["export"]["reloaded_accuracy"] = card["reloaded"]["accuracy"]
    return result


def _history(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{tag: value for tag, value in row.items() if not tag.startswith("speed/")} for row in rows]


def _checkpoints(folder: Path) -> dict[str, dict]:
    """Checkpoint -> hash of the logits, and of all variables whatever their names and order."""
    import tensorflow as tf

    found = {}
    for index in sorted(folder.glob("ckpt-*.index"), key=lambda path: int(path.stem.split("-")[1])):
        prefix = str(index.with_suffix(""))
        names = [name for name, _ in tf.train.list_variables(prefix)]
        names = [name for name in names if "OBJECT_GRAPH" not in name and "python_state" not in name]
        hashes = {name: _digest(tf.train.load_variable(prefix, name)) for name in names}
        logits = sorted(digest for name, digest in hashes.items() if name.startswith("logits/"))
        found[index.stem] = {
            "variables": len(hashes),
            "sha256": hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest(),
            **({"logits_sha256": logits} if logits else {}),
        }
    return found


def _digest(value) -> str:
    text = f"{getattr(value, 'dtype', type(value))} {getattr(value, 'shape', ())}".encode()
    return hashlib.sha256(text + (value.tobytes() if hasattr(value, "tobytes") else bytes(value))).hexdigest()


def first_difference(before, now, at="") -> str | None:
    """Where two JSON values differ first, or None."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            if key not in before or key not in now:
                return f"{at}/{key}: only {'recorded' if key in before else 'computed'}"
            if found := first_difference(before[key], now[key], f"{at}/{key}"):
                return found
        return None
    if isinstance(before, list) and isinstance(now, list):
        if len(before) != len(now):
            return f"{at}: {len(before)} entries recorded, {len(now)} computed"
        found = (first_difference(*pair, f"{at}/{i}") for i, pair in enumerate(zip(before, now, strict=True)))
        return next((each for each in found if each), None)
    return None if before == now else f"{at}: recorded {before!r}, computed {now!r}"


def machine() -> dict:
    """What equality to the bit depends on."""
    import tensorflow as tf

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "tensorflow": tf.__version__}


def main(_):
    """Records, or compares and exits with 1 where something differs."""
    path = Path(_FILE.value)
    record = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    commands = {name: run["commands"] for name, run in record["runs"].items()}
    if _COMMANDS.value:
        commands = json.loads(Path(_COMMANDS.value).read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=_CHECKOUT.value, capture_output=True, text=True, check=False
    ).stdout.strip()
    if not _RECORD.value and record.get("machine") != machine():
        print(f"recorded on {record.get('machine')}, compared on {machine()}: rounding may differ")
    failures = 0
    for name in _ONLY.value or commands:
        result = measure(name, commands[name], _CHECKOUT.value)
        if _RECORD.value:
            record["machine"] = machine()
            record["runs"][name] = {"commit": commit, "commands": commands[name], **result}
            path.write_text(json.dumps(record, indent=1) + "\n")
            print(f"{name}: recorded")
            continue
        before = {key: value for key, value in record["runs"][name].items() if key not in _ABOUT}
        difference = first_difference(before, json.loads(json.dumps(result)))
        failures += difference is not None
        print(f"{name}: {difference or 'equal to the bit'} (recorded at {record['runs'][name]['commit']})")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    app.run(main)
