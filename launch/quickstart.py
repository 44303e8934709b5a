"""Searches, retrains, evaluates and exports in one go: python -m launch.quickstart --model_dir=runs/first

Without --gin_file it uses quickstart.gin: EDD-DARTS on NAS-Bench-201 with scikit-learn's handwritten digits, which are
embedded, in under three minutes on two CPU cores. Any gin files that bind both search and retrain will do:

  python -m launch.quickstart --gin_file=recipes/nb201_cifar10_small.gin \\
      --gin_file=recipes/nb201_retrain_200_epochs.gin --data_dir=$TFDS --model_dir=runs/cifar10

The same command continues after an interruption, at the phase and the epoch where it stopped.
"""

import itertools
from pathlib import Path

from absl import flags, logging

from launch import common
from tf_edd.architectures import genotype as genotypes
from tf_edd.errors import UserError
from tf_edd.runtime import config, files
from tf_edd.runtime.file_names import GENOTYPE, RESULTS

common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run")
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


def unfinished() -> list[str]:
    """The phases of --model_dir that are left; a finished one of another configuration is refused."""
    from tf_edd.runtime.model_dir import finished  # behind the flags, see `common`

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
        print(search(folder, **where, seed=FLAGS.seed, dry_run=True))
        return
    left = unfinished()
    for phase, call in phases.items():
        if phase in left:
            call(folder, **where, seed=FLAGS.seed)
        check_cells(folder)
    evaluate(folder, **where)
    if runtime.chief:
        if not (Path(folder) / "export" / CARD).exists():
            export(folder, **where)
        print(report(folder))


def run() -> None:
    """Entry point of the installed command."""
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",), resumable=True)


if __name__ == "__main__":
    run()
