"""Looks a cell up in a NAS-Bench-201 table: its accuracies after full training, and its size.

The cell is a genotype file (or the folder of a search that holds genotype.json), a cell string, or its index:

  python -m launch.query --table=nas_bench_201.csv.gz --genotype=runs/edd/search/genotype.json
  python -m launch.query --table=nas_bench_201.csv.gz --genotype=6111
  python -m launch.query --table=nas_bench_201.csv.gz \\
      --genotype="|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"

The table is a CSV (gzipped or not), or the folder or .pickle.pbz2 file of NATS-Bench, which needs the package
nats_bench. Those files are pickles, which can run code when they are opened: open only those you trust.

Accuracies are percent, means over the benchmark's seeds. Parameters and multiply-adds are those of the benchmark's
network on CIFAR-10: 16 channels, 5 cells per stage, 32x32 images, 10 classes.
"""

from absl import flags

from launch.common import launch
from tf_edd.analysis.lookup import query

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the flags of this program; at its start, so that an import leaves the flags of others alone."""
    flags.DEFINE_string("table", None, "CSV of accuracies, or files of NATS-Bench.")
    flags.DEFINE_string("genotype", None, "Genotype file or folder, cell string, or index.")


def describe(table_path: str, genotype: str) -> str:
    """The text that this program prints: the cell, its index, its accuracies and its size.

    Raises:
        UserError: There is no such table or cell.
    """
    row = query(table_path, genotype)
    width = max(map(len, row))
    return "\n".join(f"{name:<{width}}  {_shown(name, value)}" for name, value in row.items())


def _shown(name: str, value) -> str:
    if "valid" in name or "test" in name:  # an accuracy
        return f"{value:.2f} %"
    if name in ("parameters", "multiply_adds"):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Prints the row of one cell."""
    print(describe(FLAGS.table, FLAGS.genotype))


def run() -> None:
    """Runs the program."""
    define_flags()
    launch(main, required=("table", "genotype"))


if __name__ == "__main__":
    run()
