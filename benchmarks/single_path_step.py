"""Times one step on a supernet's weights: the whole mixture, a sampled path, and a path with PA&DA's statistics.

    python benchmarks/single_path_step.py
    python benchmarks/single_path_step.py --rounds=10 --steps_per_round=20 --json=result.json
    python benchmarks/single_path_step.py --channels=4 --num_cells=1 --batch=8 --rounds=2

NAS-Bench-201, 16 channels, 5 cells a stage, 64 random images of 32x32. Every step draws another path, so that a round
needs many steps; the two samplers draw the same ones. Everything else is as in `search_step.py`.
"""

import sys
from pathlib import Path

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this program runs from a checkout, not installed

from benchmarks import program  # noqa: E402

_CELLS = flags.DEFINE_integer("num_cells", None, "Cells of a stage.", lower_bound=1)


def main(_):
    """Measures, prints, and exits with 1 when a competitor failed."""
    return program.run(program.setting_of("one_shot", _CELLS.value))


if __name__ == "__main__":
    app.run(main)
