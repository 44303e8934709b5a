"""From the arguments of a retraining to all that its loop needs: checks first, then building, then the folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from tf_edd.analysis.counting import count
from tf_edd.architectures.connected import dead_end
from tf_edd.architectures.genotype import Genotype
from tf_edd.data import Augmentation, Data, ImageData, as_augmentations
from tf_edd.errors import UserError, require_count
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
from tf_edd.training.best import BestNetwork
from tf_edd.training.images import TrainingImages
from tf_edd.training.recipe import TrainingRecipe
from tf_edd.training.records import Records, RetrainState
from tf_edd.training.searched import find_genotype, searched_space
from tf_edd.training.train_step import TrainStep

PHASE = "retrain"
# The shortest training of NAS-Bench-201 has 12 epochs of 196 steps (batches of 256 of CIFAR-10's 50,000 images): 2,352.
USUAL_STEPS = 2_000
LEAST_STEPS = 400  # the quickstart has 440


@dataclasses.dataclass(frozen=True)
class RetrainPlan:
    """A retraining whose arguments have been checked: nothing is built or written yet.

    Attributes:
        space: Gives the macro skeleton.
        genotype: The cell.
        images: The data set.
        training: Its training images, divided; the batches of each epoch.
        recipe: The training recipe, complete.
        epochs: Length of the training.
        patience: Epochs without a better network after which the training ends early; None for never.
        seed: Of the retraining.
        record: Every part and setting.
    """

    space: Space
    genotype: Genotype
    images: ImageData
    training: TrainingImages
    recipe: TrainingRecipe
    epochs: int
    patience: int | None
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
        steps_per_epoch: int | None = None,
        patience: int | None = None,
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
        check_images(space, images.image_shape, recipe.auxiliary_weight > 0)
        training = TrainingImages.make(images.train, valid, batch_size, seed, augmentation, steps_per_epoch)
        patience = _checked_patience(patience, training)
        next(iter(training.batches(0)))  # what cannot treat these images says so now
        record = {
            "seed": seed,
            **current().record(),
            "genotype": str(genotype),
            "space": space,
            "data": data,
            "images": images,
            "split": training.split,
            "epochs": epochs,
            "steps_per_epoch": training.steps_per_epoch,
            "patience": patience,
            "batch_size": batch_size,
            "augmentation": augmentation,
            "recipe": recipe,
        }
        return cls(space, genotype, images, training, recipe, epochs, patience, seed, describe(record))

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

    @property
    def few_steps(self) -> str:
        """What to do about a training of too few steps, for people; empty for enough."""
        steps = self.epochs * self.training.steps
        if steps >= LEAST_STEPS:
            return ""
        return (
            f"{steps:,} steps are few: digits take {LEAST_STEPS}, photographs {USUAL_STEPS:,} and more, such as "
            f"epochs = {-(-USUAL_STEPS // self.training.steps):,}, or steps_per_epoch = "
            f"{-(-USUAL_STEPS // self.epochs):,}"
        )

    def summary(self) -> dict[str, str | int | list[str]]:
        """Sizes and steps, what is left out of an epoch, and the notes of the loader."""
        training, steps = self.training, self.training.steps
        length = {"epochs": self.epochs, "steps_per_epoch": steps, "steps": self.epochs * steps}
        length["passes"] = f"{training.passes(self.epochs):,.1f}"
        early = {"patience": self.patience} if self.patience else {}
        notes = {"left_out": training.left_out, "few_steps": self.few_steps, "files": list(self.images.notes)}
        notes = {name: note for name, note in notes.items() if note}
        return {**self.sizes, **length, **early, **training.split, **notes}

    def ended(self, state: RetrainState) -> bool:
        """Whether the training is over: at its planned length, or `patience` epochs after the best one."""
        return state.epoch >= self.epochs or (self.patience is not None and state.waited >= self.patience)

    def ending(self, state: RetrainState) -> str:
        """Why a training that is over has ended, for people."""
        if state.epoch < self.epochs:
            waited = f"no better network on the held-out images in {state.waited} epochs"
            return f"after {state.epoch} of {self.epochs} epochs, with {waited}"
        return f"after all {self.epochs} epochs"

    def build(self) -> tuple[keras.Model, TrainStep]:
        """The network, with its auxiliary head if it has one, and its training step."""
        seeds.set_seed(self.seed)
        branches = {"drop_path": self.recipe.drop_path_rate > 0, "auxiliary": self.recipe.auxiliary_weight > 0}
        shape, classes = self.images.image_shape, self.images.num_classes
        model = build_final_network(self.space, self.genotype, shape, classes, **branches)
        return model, TrainStep(model, self.recipe, current().jit_compile, self.seed)

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
        if self.training.left_out:
            logging.info("%s.", self.training.left_out)
        if self.few_steps:
            logging.warning("%s.", self.few_steps)
        model, step = self.build()
        network = inference_model(model)
        # All workers trace the same functions in the same order, whether they see the chief's files already or not.
        if overwrite or has_workers(strategy) or not (Path(model_dir) / PHASE / RECORD).is_file():
            batch = next(iter(replica_batches(self.training.batches(0), strategy)))
            step.trace(*batch, drop_path=self.recipe.drop_path_rate > 0)
        text = config.config_text((PHASE, "evaluate", "export", "configure"))
        folder = open_model_dir(model_dir, PHASE, self.record, text, overwrite, chief)
        state = RetrainState()
        best = BestNetwork(network) if self.training.held_out is not None else None
        trackables = {"model": model, "optimizer": step.optimizer, **({"best": best} if best else {})}
        checkpointer = Checkpointer(folder, trackables, state, chief=chief)
        if not overwrite:  # another worker could read what the chief is about to remove
            checkpointer.restore()
        scorer = Scorer(lambda x: network(x, training=False), self.images.num_classes)
        return RetrainRun(self, state, step, scorer, best, Records(folder, network, chief), checkpointer)


@dataclasses.dataclass(frozen=True)
class RetrainRun:
    """A retraining that is built, and restored from its newest checkpoint.

    Attributes:
        plan: What is trained, and how.
        state: How far it is.
        step: Of the weights.
        scorer: Of the network without its auxiliary head.
        best: The best network so far, if there are held-out images to choose it by.
        records: Its files.
        checkpointer: Writes its checkpoints.
    """

    plan: RetrainPlan
    state: RetrainState
    step: TrainStep
    scorer: Scorer
    best: BestNetwork | None
    records: Records
    checkpointer: Checkpointer


def _check_connected(genotype: Genotype, space: Space) -> None:
    """Refuses a cell through which nothing of the image passes, such as one of `none` alone.

    Raises:
        UserError: It does not.
    """
    if (cell_type := dead_end(genotype, space)) is not None:
        raise UserError(
            f"Expected a cell that leads from its input to its output. Received: {genotype}, whose cell "
            f"{cell_type!r} leads nowhere: every way passes `none`"
        )


def _checked_patience(patience, training: TrainingImages) -> int | None:
    """Refuses what is no number of epochs, and an early end that nothing decides."""
    if patience is None:
        return None
    require_count(note=" or None", patience=patience)
    if training.held_out is None:
        raise UserError(
            "patience needs held-out training images, such as valid = 0.1: the test split must not decide when the "
            f"training ends. Received: patience={patience}, valid=0"
        )
    return int(patience)
