"""Searches, retrains, evaluates and exports in one go: python -m launch.quickstart --model_dir=runs/first

Without --gin_file it uses quickstart.gin: EDD-DARTS on NAS-Bench-201 with scikit-learn's handwritten digits, which are
embedded, in under three minutes on two CPU cores. Any gin files that bind both search and retrain will do:

  python -m launch.quickstart --gin_file=recipes/nb201_cifar10_small.gin \\
      --gin_file=recipes/nb201_retrain_200_epochs.gin --data_dir=$TFDS --model_dir=runs/cifar10

The same command continues after an interruption, at the phase and the epoch where it stopped; with --overwrite every
phase starts anew.
"""

import itertools
from pathlib import Path

import gin
import numpy as np
from absl import flags, logging

from launch import common
from tf_edd.architectures import genotype as genotypes
from tf_edd.errors import UserError
from tf_edd.runtime import config, files
from tf_edd.runtime.file_names import GENOTYPE, RESULTS

common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run", "overwrite")
FLAGS = flags.FLAGS
# The configurables whose bindings each phase records.
RECORDED = {"search": ("search", "configure"), "retrain": ("retrain", "evaluate", "export", "configure")}


def report(folder: str) -> str:
    """What a finished run has written, for the terminal."""
    cell = genotypes.Genotype.from_json(files.read_json(f"{folder}/search/genotype.json"))
    card = files.read_json(f"{folder}/export/model_card.json")
    evaluation = files.read_json(f"{folder}/retrain/evaluation.json")
    return f"""\
Searched cell   {cell}
Test accuracy   {evaluation["accuracy"]:.4f} on {evaluation["images"]} images of {evaluation["data"]}
Reloaded        {card["reloaded"]["accuracy"]:.4f} from the SavedModel in a new process
The cell        {folder}/search/cell.png   trajectories {folder}/search/trajectories.png
The model       {folder}/export/saved_model   (Keras: {folder}/export/model.keras)
TensorBoard     tensorboard --logdir {folder}"""


def description() -> str:
    """What the four phases would do."""
    from tf_edd.discretizers import Argmax  # behind the flags, see `common`
    from tf_edd.runtime.dry_run import TIMED
    from tf_edd.search.search import search
    from tf_edd.training.retrain import retrain

    folder, data_dir = FLAGS.model_dir, FLAGS.data_dir
    told = {"data_dir": data_dir, "seed": FLAGS.seed, "dry_run": True}
    facts, _, gin_text = common.bound(search)(folder, **{**told, "dry_run": TIMED}).partition("\n\n")
    space = gin.get_bindings("retrain").get("space") or gin.get_bindings("search")["space"]
    # A retraining needs a cell, and the searched one is not known yet: any that leads from its input to its output.
    weights = {c.cell_type: np.array([[name != "none" for name in e.primitives] for e in c.edges]) for c in space.cells}
    sizes = common.bound(retrain)(folder, Argmax()(weights, space), space=space, **told)
    sizes = {name: value for name, value in sizes.items() if name != "files" and not name.endswith("sha256")}
    of_the_cell = {name: "of the searched cell" for name in ("genotype", "parameters", "multiply_adds")}
    paragraphs = (
        f"1. search -> {folder}/search\n{facts}",
        f"2. retrain -> {folder}/retrain\n{_aligned({**sizes, **of_the_cell})}",
        f"3. evaluate -> {folder}/retrain/evaluation.json\nthe test images, with the retrained network",
        f"4. export -> {folder}/export\na Keras model and a SavedModel, which another process loads again and measures",
        gin_text,
    )
    return "\n\n".join(filter(None, paragraphs))


def _aligned(values: dict) -> str:
    """Names and values, one pair a line."""
    width = max(map(len, values))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items())


def unfinished() -> list[str]:
    """The phases of --model_dir that are left; a finished one of another configuration is refused.

    With --overwrite all are left, and nothing is compared.
    """
    from tf_edd.runtime.model_dir import finished  # behind the flags, see `common`

    if FLAGS.overwrite:
        return list(RECORDED)
    run = {"seed": FLAGS.seed, "deterministic": FLAGS.deterministic}
    texts = {phase: config.config_text(roots) for phase, roots in RECORDED.items()}
    return [phase for phase, text in texts.items() if not finished(FLAGS.model_dir, phase, text, **run)]


def check_cells(folder: str) -> None:
    """Refuses a finished retraining or export of another cell than that of the phase before it.

    Raises:
        UserError: There is one: it is no result of this run.
    """
    from tf_edd.training.export import CARD  # behind the flags, see `common`

    root = Path(folder)
    kept = (("search", GENOTYPE, "text"), ("retrain", RESULTS, "genotype"), ("export", CARD, "genotype"))
    written = [(phase, root / phase / name, key) for phase, name, key in kept if (root / phase / name).is_file()]
    cells = {phase: files.read_json(path).get(key) for phase, path, key in written}
    for (before, cell), (phase, other) in itertools.pairwise(cells.items()):
        if other != cell:
            raise UserError(
                f"Expected what {root / phase} holds to be of the cell of {root / before}, {cell}. Received: one of "
                f"{other}. Give another --model_dir, or remove {root / 'retrain'} and {root / 'export'} to train and "
                "export the searched cell"
            )


def main() -> None:
    """Runs the phases that are not finished."""
    runtime = common.setup(("search", "retrain", "evaluate", "export"), ("quickstart.gin",))
    from tf_edd.search.search import search
    from tf_edd.training.evaluate import evaluate
    from tf_edd.training.export import CARD, export
    from tf_edd.training.retrain import retrain

    folder, where, phases = FLAGS.model_dir, {"data_dir": FLAGS.data_dir}, {"search": search, "retrain": retrain}
    if FLAGS.dry_run:
        print(description())
        return
    left = unfinished()
    for phase, call in phases.items():
        if phase in left:
            common.bound(call)(folder, **where, seed=FLAGS.seed, overwrite=FLAGS.overwrite)
        if not FLAGS.overwrite:  # a later phase may hold another cell until it is overwritten in its turn
            check_cells(folder)
    common.bound(evaluate)(folder, **where)
    if runtime.chief:
        if FLAGS.overwrite or not (Path(folder) / "export" / CARD).exists():
            common.bound(export)(folder, **where, overwrite=FLAGS.overwrite)
        print(report(folder))


def run() -> None:
    """Entry point of the installed command."""
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",), resumable=True)


if __name__ == "__main__":
    run()
