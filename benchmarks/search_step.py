"""Times one search step of tf_edd and of its peers, all in one run, and compares with the figures to reach.

    python benchmarks/search_step.py
    python benchmarks/search_step.py --rounds=10 --competitors=tf_edd,plain_keras --json=result.json
    python benchmarks/search_step.py --space=darts

A search step is one weight step (SGD with Nesterov momentum 0.9, weight decay 5e-4, clip 5) and one architecture step
(Adam on the logits) of the supernet of NAS-Bench-201 or of the DARTS space on random images. Every competitor lives in
a child process of its own, so that its first step and its peak memory are its own. The children take turns: in each
round every one does --steps_per_round steps while the others wait, and only ratios within a round are compared, so a
machine whose speed drifts does not favour anyone. Quiet the machine all the same.

Exits with 1 when a competitor failed; figures that were missed are shown, and are no error.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this program runs from a checkout, not installed

from benchmarks import program  # noqa: E402

_SPACE = flags.DEFINE_enum("space", "nas_bench_201", ["nas_bench_201", "darts"], "Search space of the supernet.")
_STAGE = flags.DEFINE_integer("cells_per_stage", None, "Cells of each stage, for nas_bench_201.", lower_bound=1)
_CELLS = flags.DEFINE_integer("num_cells", None, "Cells of the supernet, for darts.", lower_bound=3)
_PARTS = flags.DEFINE_bool("parts", True, "Also time EDD's update, sn-softmax and the data pipeline on their own.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder with CIFAR-10; random images of its size without it.")


def main(_):
    """Measures, prints, and exits with 1 when a competitor failed."""
    cells, other = (_STAGE, _CELLS) if _SPACE.value == "nas_bench_201" else (_CELLS, _STAGE)
    if other.value is not None:
        raise app.UsageError(f"--{other.name} does not belong to --space={_SPACE.value}. Received: {other.value}")
    return program.run(program.setting_of(_SPACE.value, cells.value), _PARTS.value, _DATA_DIR.value)


if __name__ == "__main__":
    app.run(main)
