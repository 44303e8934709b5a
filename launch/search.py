"""Searches a cell: python -m launch.search --gin_file=... --model_dir=...

The gin file says what experiment runs (space, data set, method, recipe); the flags say where and on what machine.

  python -m launch.search --gin_file=recipes/nb201_cifar10_small.gin --data_dir=$TFDS --model_dir=runs/edd
  python -m launch.search --gin_file=papers/edd_darts/table1_edd_darts.gin --gin_param='epochs=50' \\
      --data_dir=$TFDS --model_dir=runs/paper --seed=1

Gin files are looked for from the working directory, in --gin_search_path, then among the installed configurations.
--dry_run prints the composition, sizes, steps and the minutes, which it estimates from a few steps, and writes nothing.
The same command continues an interrupted search;
a finished one is never overwritten unless --overwrite is given. The result is model_dir/search/genotype.json, which
launch.retrain reads; look at the search with: tensorboard --logdir model_dir
"""

from absl import flags, logging

from launch import common

common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run", "overwrite")
FLAGS = flags.FLAGS


def main() -> None:
    """Searches, or describes the search."""
    common.require_gin("recipes/nb201_cifar10_small.gin")
    runtime = common.setup(("search",))
    from tf_edd.runtime.dry_run import TIMED  # behind the flags, see `common`
    from tf_edd.search.search import search

    arguments = common.run_arguments() | {"dry_run": TIMED if FLAGS.dry_run else False}
    result = common.bound(search)(FLAGS.model_dir, **arguments)
    if FLAGS.dry_run:
        print(result)
    elif runtime.chief:
        print(f"Searched cell: {result.genotype}\nWritten to: {result.folder}")


def run() -> None:
    """Entry point of the installed command."""
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",), resumable=True)


if __name__ == "__main__":
    run()
