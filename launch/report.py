"""Sets searches side by side: every seed, mean and standard deviation, and the paper's Fig. 4.

  python -m launch.report --search=EDD-DARTS=runs/edd_0,runs/edd_1,runs/edd_2 \\
      --search=DARTS-V1=runs/darts_0,runs/darts_1,runs/darts_2 --table=nas_bench_201.csv.gz --figure=comparison.png

prints a Markdown table of the last epochs (validation accuracy of the supernet and of the discretised network in
percent, mean entropy in nats, edges that choose skip, none or noise, and the accuracy of the cell in the table) and
draws entropy, discretised accuracy and the number of those edges over the epochs, and the dominant eigenvalue of the
Hessian of the validation loss where the action `sharpness` has measured it. Seeds are reported one by one, with
mean and sample standard deviation, and the best accuracy where there is a table: best-of-n is not a mean.
A search that a selector has ended is in the table with the selected cell and its accuracy with inherited weights; the
curves are those of the epochs.
"""

from absl import flags

from launch.common import launch
from tf_edd.analysis import comparison
from tf_edd.errors import UserError

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program alone; other programs have a --table too."""
    flags.DEFINE_multi_string("search", [], "LABEL=MODEL_DIR[,MODEL_DIR ...], one folder a seed; may be repeated.")
    flags.DEFINE_string("table", None, "NAS-Bench-201 table to look the cells up in.")
    flags.DEFINE_string("column", "cifar10_test", "Which accuracy of the table.")
    flags.DEFINE_string("figure", None, "PNG or SVG file to draw the trajectories into.")


def read_searches(texts: list[str], read=comparison.read_history) -> dict[str, list]:
    """Label -> what `read` finds for each seed: its history, or its selection."""
    found = {}
    for text in texts:
        label, equals, folders = text.rpartition("=")
        if not equals:
            raise UserError(f"Expected --search=LABEL=MODEL_DIR[,MODEL_DIR ...]. Received: {text!r}")
        found[label] = [read(folder) for folder in folders.split(",")]
    return found


def main() -> None:
    """Prints the table and draws the figure."""
    histories = read_searches(FLAGS.search)
    lookup = None
    if FLAGS.table:
        from tf_edd.architectures.table import open_table

        lookup = open_table(FLAGS.table)
    selections = read_searches(FLAGS.search, comparison.read_selection)
    print(comparison.table(histories, lookup, FLAGS.column, selections))
    if FLAGS.figure:
        from tf_edd.analysis import drawing, trajectories

        drawing.save(trajectories.compare(histories), FLAGS.figure)
        print(f"\nWritten to: {FLAGS.figure}")


def run() -> None:
    """Entry point of the installed command."""
    define_flags()
    launch(main, required=("search",))


if __name__ == "__main__":
    run()
