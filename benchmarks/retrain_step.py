"""Times one retraining step of the published cell DARTS_V2 in tf_edd, plain Keras and PyTorch, all in one run.

    python benchmarks/retrain_step.py
    python benchmarks/retrain_step.py --rounds=10 --competitors=tf_edd,plain_keras --json=result.json
    python benchmarks/retrain_step.py --channels=8 --num_cells=5 --batch=4 --rounds=1 --steps_per_round=1

The network has 36 channels and 20 cells, 3.349342 M parameters; a step is SGD (momentum 0.9, coupled weight decay, clip
5) on 32 random images of 32x32. No auxiliary head, no drop path. Everything else is as in `search_step.py`.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this program runs from a checkout, not installed

from benchmarks import program  # noqa: E402

_CELLS = flags.DEFINE_integer("num_cells", None, "Cells of the network.", lower_bound=3)


def main(_):
    """Measures, prints, and exits with 1 when a competitor failed."""
    return program.run(program.setting_of("darts_v2", _CELLS.value))


if __name__ == "__main__":
    app.run(main)
