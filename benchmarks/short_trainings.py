"""Random search with short trainings on CIFAR-10, the baseline of a small search that gets the same minutes.

    python benchmarks/short_trainings.py --minutes=12 --seed=20 --data_dir=TFDS --table=TABLE --work=runs/random

Uniformly drawn cells, each a network of the size of recipes/nb201_small.gin (8 channels, 3 x 5 cells, images of 16 x
16) that is trained for 4 x 78 steps by `tf_edd.retrain`; 5,000 training images are held out and measured after each
quarter. The cell with the best accuracy on them counts. No cell begins after the minutes are over, and a part of the
last one may lie behind them. Writes WORK/SEED/result.json, and continues where cells are trained already.
"""

import json
import sys
import time
from pathlib import Path

from absl import app, flags

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this program runs from a checkout, not installed

_MINUTES = flags.DEFINE_float("minutes", 12.0, "How long to go on.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the cells, the held-out images and the trainings.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder with CIFAR-10.", required=True)
_TABLE = flags.DEFINE_string("table", None, "NAS-Bench-201 as CSV.", required=True)
_WORK = flags.DEFINE_string("work", "runs/random", "Where everything is written.")


def main(_):
    """Trains cells until the minutes are over."""
    from benchmarks.random_cells import random_cells
    from tf_edd.architectures.table import NasBench201Table
    from tf_edd.data import TfdsImages
    from tf_edd.runtime import files
    from tf_edd.spaces import nas_bench_201

    folder = Path(_WORK.value).resolve() / str(_SEED.value)
    folder.mkdir(parents=True, exist_ok=True)
    space, cells = nas_bench_201(init_channels=8, cells_per_stage=5), []
    drawn = random_cells(space, _SEED.value)
    images = TfdsImages("cifar10", image_size=(16, 16)).load(_DATA_DIR.value)
    while sum(cell["seconds"] for cell in cells) < 60 * _MINUTES.value:
        cells.append(train(next(drawn), space, images, folder / f"{len(cells)}"))
    best = max(cells, key=lambda cell: (cell["accuracy"], -cell["loss"]))
    row = NasBench201Table(_TABLE.value).load().query(best["genotype"])
    result = {"genotype": best["genotype"], "cells": cells, "table": {k: v for k, v in row.items() if k != "arch"}}
    files.write_json(folder / "result.json", result)
    print(f"seed {_SEED.value}: best of {len(cells)} cells {best['genotype']}, {float(row['cifar10_test']):.2f} %")


def train(genotype, space, images, model_dir: Path) -> dict:
    """One cell: its genotype, its accuracy and loss on the held-out images, and its seconds."""
    import tf_edd
    from tf_edd.data import Crop, Flip
    from tf_edd.schedules import CosineRate
    from tf_edd.training.recipe import TrainingRecipe

    if (model_dir / "cell.json").is_file():
        return json.loads((model_dir / "cell.json").read_text(encoding="utf-8"))
    began = time.perf_counter()
    found = tf_edd.retrain(
        model_dir,
        genotype,
        space=space,
        data=images,
        recipe=TrainingRecipe(rate=CosineRate(0.05, 4), weight_gradient_clip=5.0),
        epochs=4,
        steps_per_epoch=78,
        batch_size=64,
        augmentation=(Crop(2), Flip()),
        valid=5000,
        seed=_SEED.value,
    )
    cell = {"genotype": str(genotype), "seconds": time.perf_counter() - began}
    cell |= {"accuracy": found["best"]["accuracy/valid"], "loss": found["best"]["loss/valid"]}
    (model_dir / "cell.json").write_text(json.dumps(cell), encoding="utf-8")
    return cell


if __name__ == "__main__":
    app.run(main)
