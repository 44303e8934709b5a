"""Retrainings of seconds for tests."""

import dataclasses
from pathlib import Path

from tf_edd.data import Crop, Cutout, Digits
from tf_edd.optimizers import SGD
from tf_edd.runtime.record import describe
from tf_edd.schedules import CosineRate
from tf_edd.spaces import Block, Space, nas_bench_201
from tf_edd.spaces.nas_bench_201 import CELL as CELL_SPEC
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.records import load_network
from tf_edd.training.retrain import retrain

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
RECIPE_FIELDS = {field.name for field in dataclasses.fields(TrainingRecipe)}


def run(folder, genotype=CELL, **changes):
    """A retraining of three epochs; changes of the recipe are given by the names of its fields."""
    rate = CosineRate(0.1, changes.get("epochs", 3))
    parts = {"optimizer": SGD(nesterov=True, weight_decay=5e-4), "rate": rate}
    parts |= {"space": nas_bench_201(4, 1), "data": Digits(), "epochs": 3, "batch_size": 128}
    parts |= {"augmentation": (Crop(1),), **changes}
    recipe = TrainingRecipe(**{name: parts.pop(name) for name in RECIPE_FIELDS & set(parts)})
    return retrain(folder, genotype, recipe=recipe, **parts)


def branched(folder, **changes):
    """A network with an auxiliary head on maps of 8x8 and drop path, as the recipe of the DARTS space has them."""
    cells = [
        Block("cell", 4, cell=CELL_SPEC.cell_type),
        Block("auxiliary_cifar", 8),
        Block("cell", 4, cell=CELL_SPEC.cell_type),
    ]
    space = Space("branched", (CELL_SPEC,), (Block("stem", 4), *cells, Block("classifier", 4)))
    parts = {"space": space, "auxiliary_weight": 0.4, "drop_path_rate": 0.6, "extra_augmentation": (Cutout(2),)}
    return run(folder, **{**parts, "epochs": 2, **changes})


@dataclasses.dataclass(frozen=True)
class InterruptedRate:
    """The rate of `run`, interrupted when an epoch begins; to the record it is the same."""

    epoch: int
    rate: CosineRate = CosineRate(0.1, 3)

    def __call__(self, epoch):
        if epoch == self.epoch:
            raise KeyboardInterrupt
        return self.rate(epoch)

    def describe(self):
        """As `runtime.record` asks."""
        return describe(self.rate)


def weights(folder, which="last"):
    """The weights of a retrained network."""
    return load_network(Path(folder) / "retrain" / which).get_weights()
