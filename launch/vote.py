"""The search with whose cell others agree most: python -m launch.vote --search=MODEL_DIR,... --model_dir=...

  for seed in 0 1 2; do
    python -m launch.search --gin_file=recipes/nb201_cifar10_small.gin --data_dir=$TFDS \\
        --seed=$seed --model_dir=runs/search_$seed
  done
  python -m launch.vote --search=runs/search_0,runs/search_1,runs/search_2 --model_dir=runs/cifar10

Equal searches with other seeds end in cells that differ on some edges. The mean of their last probabilities decides
which of these cells is the result: the one with the largest product of them. It lies in model_dir/search, from where
launch.retrain takes the cell; the votes on each edge are printed, and are in model_dir/search/results.json.
"""

import os

from absl import flags

from launch import common

common.define_flags("model_dir", "overwrite")
FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program alone; at its start, since another program has a --search too."""
    flags.DEFINE_list("search", [], "The model_dir of each search.")


def describe(votes: dict) -> str:
    """The text that this program prints of the votes: a line for each edge."""
    return "\n".join(
        f"{cell_type}  {edge['from']} -> {edge['to']}  {', '.join(f'{name} {n}' for name, n in edge['votes'].items())}"
        for cell_type, edges in votes.items()
        for edge in edges
    )


def main() -> None:
    """Votes, and prints what the searches have chosen."""
    from launch import startup  # noqa: F401 (first: it mutes TensorFlow's start-up notes; behind the flags, see `common`)
    from tf_edd.runtime import files
    from tf_edd.runtime.file_names import RESULTS
    from tf_edd.search.vote import vote

    folders = [os.path.expanduser(folder) for folder in FLAGS.search]
    result = vote(FLAGS.model_dir, folders, overwrite=FLAGS.overwrite)
    print(describe(files.read_json(result.folder / RESULTS)["votes"]))
    print(f"Voted cell: {result.genotype}\nWritten to: {result.folder}")


def run() -> None:
    """Entry point of the installed command."""
    define_flags()
    common.launch(main, required=("model_dir", "search"))


if __name__ == "__main__":
    run()
