"""Sets searches side by side: every seed, mean and standard deviation, and the paper's Fig. 4.

  python -m launch.report --search=EDD-DARTS=runs/edd_0,runs/edd_1,runs/edd_2 \\
      --search=DARTS-V1=runs/darts_0,runs/darts_1,runs/darts_2 --table=nas_bench_201.csv.gz --figure=comparison.png

prints a Markdown table of the last epochs (validation accuracy of the supernet and of the discretized network in
percent, mean entropy in nats, edges that choose skip, none or noise, and the accuracy of the cell in the table) and
draws entropy and discretized accuracy over the epochs, all accuracies after the last epoch, and the dominant eigenvalue
of the Hessian of the validation loss where the action `Sharpness` has measured it. Seeds are reported one by one, with
mean and sample standard deviation, and the best accuracy where there is a table: best-of-n is not a mean.
For a search with a selector, the table shows the selected cell and its accuracy with inherited weights; the curves show
the cell of each epoch.
"""

import os

from absl import flags

from launch.common import launch
from tf_edd.errors import UserError

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program alone; other programs have a --table too."""
    flags.DEFINE_multi_string("search", [], "LABEL=MODEL_DIR[,MODEL_DIR ...], one folder per seed; may be repeated.")
    flags.DEFINE_string("table", None, "NAS-Bench-201 table to look the cells up in.")
    flags.DEFINE_string("column", "cifar10_test", "Which accuracy of the table.")
    flags.DEFINE_string("figure", None, "PNG or SVG file to draw the trajectories into.")


def parse_searches(texts: list[str]) -> dict[str, list[str]]:
    """Label -> the folder of each seed."""
    searches = {}
    for text in texts:
        label, equals, folders = text.rpartition("=")
        if not equals:
            raise UserError(f"Expected --search=LABEL=MODEL_DIR[,MODEL_DIR ...]. Received: {text!r}")
        searches[label] = [os.path.expanduser(folder) for folder in folders.split(",")]
    return searches


def main() -> None:
    """Prints the table and draws the figure."""
    searches = parse_searches(FLAGS.search)
    from tf_edd.analysis.comparison import report  # behind the flags: matplotlib takes a second to load

    print(report(searches, FLAGS.table, FLAGS.column, FLAGS.figure))
    if FLAGS.figure:
        print(f"\nWritten to: {FLAGS.figure}")


def run() -> None:
    """Entry point of the installed command."""
    define_flags()
    launch(main, required=("search",))


if __name__ == "__main__":
    run()
