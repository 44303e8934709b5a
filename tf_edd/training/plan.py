"""From the arguments of a retraining to all that its loop needs: checks first, then building, then the folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.analysis.counting import count
from tf_edd.architectures.genotype import Genotype
from tf_edd.data import Augmentation, Data, ImageData, Images, as_augmentations, split
from tf_edd.errors import UserError
from tf_edd.evaluation.scorer import Scorer
from tf_edd.networks.check_images import check_images
from tf_edd.networks.final_network import build_final_network, inference_model
from tf_edd.runtime import config, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.model_dir import RECORD, check_model_dir, open_model_dir
from tf_edd.runtime.progress import announce, describe_images
from tf_edd.runtime.record import describe
from tf_edd.runtime.run_numbers import run_numbers
from tf_edd.runtime.strategy import current, has_workers, is_chief, replica_batches
from tf_edd.spaces import Space
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.records import Records, RetrainState
from tf_edd.training.searched import find_genotype, searched_space
from tf_edd.training.train_step import TrainStep

PHASE = "retrain"


@dataclasses.dataclass(frozen=True)
class RetrainPlan:
    """A retraining whose arguments have been checked: nothing is built or written yet.

    Attributes:
        space: Gives the macro skeleton.
        genotype: The cell.
        images: The data set.
        train: The images to train on.
        held_out: Training images to choose the best network by, or None.
        split: Which images they are.
        recipe: The training recipe, complete.
        augmentation: Of the training images, that of the recipe included.
        epochs: Length of the training.
        batch_size: Images per step, over all replicas.
        seed: Of the retraining.
        record: Every part and setting.
    """

    space: Space
    genotype: Genotype
    images: ImageData
    train: Images
    held_out: Images | None
    split: dict
    recipe: TrainingRecipe
    augmentation: tuple[Augmentation, ...]
    epochs: int
    batch_size: int
    seed: int
    record: dict

    @classmethod
    def make(
        cls,
        model_dir,
        genotype: Genotype | str | None,
        *,
        space: Space | None,
        data: Data,
        recipe: TrainingRecipe,
        epochs: int,
        batch_size: int,
        augmentation: Sequence[Augmentation],
        valid: int | float,
        data_dir: str | None,
        seed: int,
    ) -> "RetrainPlan":
        """Checks the arguments of `retrain` and loads the images.

        Raises:
            UserError: Any that cannot be used.
        """
        epochs, batch_size, seed = run_numbers(epochs, batch_size, seed)
        space = searched_space(model_dir) if space is None else space
        genotype = find_genotype(genotype, model_dir, space)
        _check_connected(genotype, space)
        recipe = recipe.complete(epochs)
        augmentation = (*as_augmentations(augmentation), *recipe.extra_augmentation)
        images = data.load(data_dir)
        train, held_out, chosen = _hold_out(images.train, valid, seed)
        check_images(space, images.image_shape, recipe.auxiliary_weight > 0)
        if batch_size > train.size:
            raise UserError(f"batch_size must not exceed the {train.size} images. Received: batch_size={batch_size}")
        next(
            iter(train.batches(batch_size, seed, 0, augment=augmentation))
        )  # what cannot treat these images says so now
        record = {
            "seed": seed,
            **current().record(),
            "genotype": str(genotype),
            "space": space,
            "data": data,
            "images": images,
            "split": chosen,
            "epochs": epochs,
            "batch_size": batch_size,
            "augmentation": augmentation,
            "recipe": recipe,
        }
        parts = (space, genotype, images, train, held_out, chosen, recipe, augmentation)
        return cls(*parts, epochs, batch_size, seed, describe(record))

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch; a last, smaller batch is left out."""
        return self.train.num_batches(self.batch_size)

    @property
    def sizes(self) -> dict[str, str | int]:
        """What is trained, on which data, and how large it is."""
        counts = count(self.space, self.genotype, self.images.image_shape, self.images.num_classes)
        return {
            "genotype": str(self.genotype),
            "space": self.space.name,
            "data": self.images.name,
            "parameters": counts.parameters,
            "multiply_adds": counts.multiply_adds,
        }

    def summary(self) -> dict[str, str | int | list[str]]:
        """Sizes and steps, what is left out of an epoch, and the notes of the loader."""
        steps = {"epochs": self.epochs, "steps_per_epoch": self.steps_per_epoch}
        left_out = self.train.left_out(self.batch_size)
        note = {"left_out": left_out} if left_out else {}
        files = {"files": list(self.images.notes)} if self.images.notes else {}
        return {**self.sizes, **steps, "steps": self.epochs * self.steps_per_epoch, **self.split, **note, **files}

    def start(self, model_dir, overwrite: bool) -> "RetrainRun":
        """Builds everything, opens the folder and restores the newest checkpoint, if there is one.

        A new training is traced first: what a part refuses must not be in the record that binds the folder.
        """
        if not overwrite:
            check_model_dir(model_dir, PHASE, self.record)
        announce(PHASE, describe_images(self.record["images"]))
        strategy = tf.distribute.get_strategy()
        chief = is_chief(strategy)
        self.images.log_notes()
        if left_out := self.train.left_out(self.batch_size):
            logging.info("%s.", left_out)
        seeds.set_seed(self.seed)
        branches = {"drop_path": self.recipe.drop_path_rate > 0, "auxiliary": self.recipe.auxiliary_weight > 0}
        shape, classes = self.images.image_shape, self.images.num_classes
        model = build_final_network(self.space, self.genotype, shape, classes, **branches)
        network = inference_model(model)
        step = TrainStep(model, self.recipe, current().jit_compile, self.seed)
        # All workers trace the same functions in the same order, whether they see the chief's files already or not.
        if overwrite or has_workers(strategy) or not (Path(model_dir) / PHASE / RECORD).is_file():
            batches = self.train.batches(self.batch_size, self.seed, 0, augment=self.augmentation)
            step.trace(*next(iter(replica_batches(batches, strategy))), drop_path=branches["drop_path"])
        text = config.config_text((PHASE, "evaluate", "export", "configure"))
        folder = open_model_dir(model_dir, PHASE, self.record, text, overwrite, chief)
        state = RetrainState()
        checkpointer = Checkpointer(folder, {"model": model, "optimizer": step.optimizer}, state, chief=chief)
        if not overwrite:  # another worker could read what the chief is about to remove
            checkpointer.restore()
        scorer = Scorer(lambda x: network(x, training=False), classes)
        return RetrainRun(self, state, step, scorer, Records(folder, network, chief), checkpointer)


@dataclasses.dataclass(frozen=True)
class RetrainRun:
    """A retraining that is built, and restored from its newest checkpoint.

    Attributes:
        plan: What is trained, and how.
        state: How far it is.
        step: Of the weights.
        scorer: Of the network without its auxiliary head.
        records: Its files.
        checkpointer: Writes its checkpoints.
    """

    plan: RetrainPlan
    state: RetrainState
    step: TrainStep
    scorer: Scorer
    records: Records
    checkpointer: Checkpointer


def _check_connected(genotype: Genotype, space: Space) -> None:
    """Refuses a cell through which nothing of the image passes, such as one of `none` alone.

    Raises:
        UserError: It does not.
    """
    for cell in space.cells:
        reached = set(range(cell.num_inputs))
        for node, edges in zip(cell.intermediate_nodes, genotype.nodes(cell.cell_type), strict=True):
            if any(operation != "none" and source in reached for operation, source in edges):
                reached.add(node)
        ends = {cell.num_nodes - 1} if cell.output == "last" else set(cell.intermediate_nodes)
        if not cell.residual and not reached & ends:
            raise UserError(
                f"Expected a cell that leads from its input to its output. Received: {genotype}, whose cell "
                f"{cell.cell_type!r} leads nowhere: every way passes `none`"
            )


def _hold_out(images: Images, valid, seed) -> tuple[Images, Images | None, dict]:
    """Images to train on, images held out (or None), and what was chosen, for the record."""
    valid = valid.item() if isinstance(valid, np.generic) else valid
    if not valid:
        return images, None, {"train": images.size, "valid": 0}
    held_out = int(valid * images.size + 1e-6) if isinstance(valid, float) and 0 < valid < 1 else valid
    if not isinstance(held_out, int) or not 0 < held_out < images.size:
        raise UserError(f"valid must be a fraction in [0, 1) or a count below {images.size}. Received: valid={valid!r}")
    splits = split(images, images.size - held_out, held_out, seed)
    return splits.train, splits.valid, splits.record
