"""Random search or evolution by the accuracies of a NAS-Bench-201 table: the baselines that train every cell.

  python -m launch.table_search --table=nas_bench_201.csv.gz --selector=random --evaluations=100 --seeds=500
  python -m launch.table_search --table=nas_bench_201.csv.gz --selector=regularized_evolution --evaluations=100

looks up what a search would have found that trains each of its cells for 12 epochs, chooses by their validation
accuracy (--column), and trains the best for 200. Prints the mean over the seeds and the sample standard deviation of
the accuracies, in percent, and with --cells the cell of each seed. Nothing is written.
"""

import statistics

from absl import flags, logging

from launch.common import launch

FLAGS = flags.FLAGS
SELECTORS = ("random", "regularized_evolution")


def define_flags() -> None:
    """Defines the flags of this program; at its start, so that an import leaves the flags of others alone."""
    flags.DEFINE_string("table", None, "CSV of accuracies, or files of NATS-Bench.")
    flags.DEFINE_enum("selector", "random", SELECTORS, "How the cells are chosen.")
    flags.DEFINE_integer("evaluations", 100, "Cells that a search trains.", lower_bound=1)
    flags.DEFINE_integer("seeds", 10, "How many searches, with the seeds from 0.", lower_bound=1)
    flags.DEFINE_string("column", "cifar10_valid_12_epochs", "The accuracy of the table that a search sees.")
    flags.DEFINE_bool("cells", False, "Also print the cell of each seed.")


def describe(rows: list[dict], cells: bool = False) -> str:
    """The text that this program prints of the searches."""
    lines = [f"{row['seed']:<4}  {row['genotype']}  {row['cifar10_test']:.2f} %" for row in rows] if cells else []
    names = [name for name in rows[0] if name not in ("seed", "genotype", "evaluations")]
    width = max(map(len, (*names, "evaluations")))
    lines.append(f"{'searches':<{width}}  {len(rows)}")
    lines.append(f"{'evaluations':<{width}}  {statistics.fmean(row['evaluations'] for row in rows):g}")
    for name in names:
        values = [row[name] for row in rows]
        spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        lines.append(f"{name:<{width}}  {statistics.fmean(values):.2f}{spread} %")
    return "\n".join(lines)


def main() -> None:
    """Searches, and prints what was found."""
    from launch import startup  # noqa: F401 (first: it mutes TensorFlow's start-up notes; behind the flags, see `common`)
    from tf_edd.search.table_search import table_search
    from tf_edd.selectors import RandomSearch, RegularizedEvolution

    logging.set_verbosity(logging.WARNING)  # not the progress of each of many short searches
    selector = {"random": RandomSearch, "regularized_evolution": RegularizedEvolution}[FLAGS.selector]
    rows = table_search(
        FLAGS.table, selector(evaluations=FLAGS.evaluations), column=FLAGS.column, seeds=range(FLAGS.seeds)
    )
    print(describe(rows, FLAGS.cells))


def run() -> None:
    """Runs the program."""
    define_flags()
    launch(main, required=("table",))


if __name__ == "__main__":
    run()
