"""How well does a trained supernet rank cells? Kendall's tau against a NAS-Bench-201 table.

  python -m launch.rank --model_dir=runs/one_shot --data_dir=$TFDS --gin_file=tables/nb201_rank.gin \\
      --gin_param='NasBench201Table.path = "nas_bench_201.csv.gz"'
  python -m launch.rank --model_dir=runs/one_shot --data_dir=$TFDS --gin_file=tables/nb201_rank.gin \\
      --gin_param='NasBench201Table.path = "nas_bench_201.csv.gz"' --gin_param='rank.statistics = "recalibrated"' \\
      --gin_param='rank.images = "valid"' --gin_param='rank.cells = 50'

restores the supernet from the newest checkpoint of the search in --model_dir, finished or running, measures a fixed
sample of 200 cells with the weights that they inherit, and looks up what the same cells reach when trained by
themselves. Prints tau with its bootstrap interval; writes all pairs to model_dir/search/ranking.json and a figure to
ranking.png beside it. The configuration is that of the search (its config.gin), then --gin_file and --gin_param.

tables/nb201_rank.gin binds the table of the ranking; data and augmentation are those of the search.
rank.column names the accuracy of the table; rank.images is "test" or "valid" (the validation half), rank.statistics
"batch" or "recalibrated". The same command continues an interrupted ranking; for another checkpoint, or other images,
give --overwrite. --dry_run prints what would be measured.
"""

import json
from pathlib import Path

from absl import flags, logging

from launch import common

common.define_flags("model_dir", "data_dir", "gin", "machine", "dry_run", "overwrite")
FLAGS = flags.FLAGS


def main() -> None:
    """Ranks, or describes it."""
    runtime = common.setup(("rank",), recorded=common.needed_config(FLAGS.model_dir, "search", "search"))
    from tf_edd.analysis.ranking import Tau
    from tf_edd.search.rank import FIGURE, RESULT, rank

    options = {"data_dir": FLAGS.data_dir, "overwrite": FLAGS.overwrite, "dry_run": FLAGS.dry_run}
    result = common.bound(rank)(FLAGS.model_dir, **options)
    if FLAGS.dry_run:
        print(json.dumps(result, indent=2))
    elif runtime.chief:
        folder = Path(FLAGS.model_dir) / "search"
        print(f"Kendall's tau: {Tau(**result['tau'])}\nWritten to: {folder / RESULT}, {folder / FIGURE}")


def run() -> None:
    """Entry point of the installed command."""
    logging.set_verbosity(logging.INFO)
    common.launch(main, required=("model_dir",), resumable=True)


if __name__ == "__main__":
    run()
