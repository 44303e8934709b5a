"""From the arguments of a search to everything that its loop needs: checks first, then building, then the folder."""

import dataclasses
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_edd.actions import Action
from tf_edd.actions.search_state import SearchState
from tf_edd.architectures.genotype import Genotype
from tf_edd.architectures.logits import ArchLogits
from tf_edd.data import ImageData, as_augmentations
from tf_edd.data.batches import SearchBatches, make_splits
from tf_edd.data.images import Images
from tf_edd.data.splits import subset
from tf_edd.errors import UserError, require_count
from tf_edd.evaluation.supernet_evaluator import SupernetEvaluator
from tf_edd.networks.check_images import check_images
from tf_edd.networks.edge_part import edge_factory
from tf_edd.networks.supernet import Supernet
from tf_edd.part import shown
from tf_edd.relaxations import BoundRelaxation
from tf_edd.runtime import config, files, seeds
from tf_edd.runtime.checkpoint import Checkpointer
from tf_edd.runtime.file_names import SPACE
from tf_edd.runtime.model_dir import RECORD, check_model_dir, open_model_dir
from tf_edd.runtime.progress import announce, describe_images
from tf_edd.runtime.record import describe
from tf_edd.runtime.run_numbers import run_numbers
from tf_edd.runtime.strategy import current, has_workers, is_chief
from tf_edd.search.clock import Clock
from tf_edd.search.description import describe_search
from tf_edd.search.method import Method
from tf_edd.search.readings import readings
from tf_edd.search.selection import select
from tf_edd.spaces import Space, space_to_json
from tf_edd.steps import Step, StepInfo, StepSetup

PHASE = "search"
MAX_IMAGE_SIDE = "max_image_side"  # in the record
FEW_STEPS = 250  # of the logits; the quickstart has 264, recipes/nb201_small.gin 1,560
_TRIED = weakref.WeakKeyDictionary()  # images -> batch sizes and augmentations of which a batch was taken


class Built(NamedTuple):
    """What a plan builds.

    Attributes:
        method: the composition, with the optimizers of this search.
        supernet: the network.
        logits: of the architecture.
        step: of the method.
    """

    method: Method
    supernet: Supernet
    logits: ArchLogits
    step: Step


@dataclasses.dataclass
class SearchRun:
    """A search that is built, and restored from its newest checkpoint.

    Attributes:
        state: how far it is.
        method: the composition, with the optimizers of this search.
        supernet: the network.
        logits: of the architecture, with the mask of the allowed candidates.
        step: of the method.
        batches: of both splits.
        evaluate: weights of the candidates, images -> loss, accuracy.
        actions: what is called around the loop.
        checkpointer: where to.
        checkpoint_steps: checkpoint also after every so many steps of an epoch; None for no such checkpoints.
        chief: whether this process writes.
        clock: of the warm-up and of the temperature.
        measured: images on which the accuracies of an epoch are measured, but for the last.
        finishers: what comes after the last epoch and may set the state's genotype, such as a selector's choice.
    """

    state: SearchState
    method: Method
    supernet: Supernet
    logits: ArchLogits
    step: Step
    batches: SearchBatches
    evaluate: SupernetEvaluator
    actions: Sequence[Action]
    checkpointer: Checkpointer
    checkpoint_steps: int | None
    chief: bool
    clock: Clock
    measured: Images
    finishers: Sequence[Callable[["SearchRun"], None]] = ()

    @property
    def optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """Phase of the step -> its optimizer; a phase that draws has none."""
        both = {"weights": self.method.weight_optimizer, "arch": self.method.arch_optimizer}
        return {phase: both[phase] for phase in self.step.phases if both[phase] is not None}


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """A search that has been checked: nothing is built or written yet.

    Attributes:
        space: the search space.
        images: the data set.
        method: the composition; its selector is prepared.
        batches: of both splits.
        splits: which images they are.
        epochs: length of the search.
        rematerialize: see `search`.
        measured: images on which the accuracies of an epoch are measured, but for the last.
        seed: of the search.
        record: every part and setting that decides a number; the actions do not, so they may change on a resume, unless
            a stopper reads what they measure (`readings`).
    """

    space: Space
    images: ImageData
    method: Method
    batches: SearchBatches
    splits: dict
    epochs: int
    rematerialize: bool
    measured: Images
    seed: int
    record: dict

    @classmethod
    def make(
        cls,
        *,
        space,
        data,
        method,
        epochs,
        batch_size,
        split,
        augmentation,
        rematerialize,
        data_dir,
        seed,
        steps_per_epoch=None,
        measured_images=None,
        max_image_side=None,
    ) -> "SearchPlan":
        """Checks the arguments of `search` and loads the images.

        Raises:
            UserError: any that cannot be used.
        """
        epochs, batch_size, seed = run_numbers(epochs, batch_size, seed)
        if steps_per_epoch is not None:
            require_count(note=" or None", steps_per_epoch=steps_per_epoch)
        strategy = tf.distribute.get_strategy()
        method.check(epochs)
        stored, augmentation = data.load(data_dir), as_augmentations(augmentation)
        for part in augmentation:
            part.check(stored.image_shape)
        images = searched_images(stored, max_image_side)
        check_images(space, images.image_shape)
        train, valid, splits = make_splits(images, split, seed)
        measured = _measured(valid, measured_images, seed)
        batches = SearchBatches(train, valid, batch_size, augmentation, strategy, method.step.phases, steps_per_epoch)
        if batches.steps == 0:
            sizes = ", ".join(f"{part.size:,} images for {name}" for name, part in batches.splits.items())
            raise UserError(
                f"search.batch_size must fit into every split ({sizes}), or search.steps_per_epoch be given. "
                f"Received: search.batch_size={batch_size}"
            )
        _clock(method, epochs, batches.steps)
        _check_parts(method, space, batches, epochs)
        record = {
            "seed": seed,
            **current().record(),
            "space": space,
            "data": data,
            "images": stored,
            "splits": splits,
            "epochs": epochs,
            "batch_size": batch_size,
            "augmentation": batches.augmentation,
            "method": method,
            "rematerialize": rematerialize,
            "steps_per_epoch": steps_per_epoch,
            "measured_images": measured_images,
            MAX_IMAGE_SIDE: max_image_side,
        }
        described = describe(record)
        if method.selector is not None:
            selector = method.selector.prepare(space, stored.image_shape, images.num_classes, seed)
            method = dataclasses.replace(method, selector=selector)
        return cls(space, images, method, batches, splits, epochs, rematerialize, measured, seed, described)

    @property
    def clock(self) -> Clock:
        """Of the warm-up and of the temperature."""
        return _clock(self.method, self.epochs, self.batches.steps)

    def too_few_steps(self) -> str:
        """What to say of a search that hardly moves its logits; empty for enough, and where there are none."""
        steps = self.clock.total_steps - self.clock.warmup_steps
        if not self.method.step.learns_logits or steps >= FEW_STEPS or not steps:
            return ""
        return (
            f"{steps:,} steps of the logits are few: digits take {FEW_STEPS}, photographs 1,000 and more. Give "
            "search.steps_per_epoch, for which any number of images will do, or more epochs"
        )

    def try_parts(self) -> None:
        """Augments one batch, and discretizes once: what these parts refuse, they refuse here.

        Raises:
            UserError: Something that is no genotype, or what the parts raise.
        """
        images, trial = self.images.train, (self.batches.batch_size, tuple(self.batches.augmentation))
        tried = _TRIED.setdefault(images, set())
        if trial not in tried:
            next(iter(images.batches(trial[0], self.seed, 0, augment=trial[1], drop_remainder=False)))
            tried.add(trial)
        uniform = {cell_type: np.full(shape, 1 / shape[1]) for cell_type, shape in self.space.logit_shapes.items()}
        genotype = self.method.discretizer(uniform, self.space)
        if not isinstance(genotype, Genotype):
            raise UserError(f"Method.discretizer must give a Genotype. Received: {shown(genotype)}")
        genotype.check(self.space)

    def text(self, more: Mapping[str, str] | None = None) -> str:
        """What would run, for people; `more` replaces or adds lines, by their names."""
        text = describe_search(self, more or {})
        gin_text = config.config_text((PHASE, "configure"))
        return f"{text}\n\nConfiguration in gin\n\n{gin_text}" if gin_text else text

    def start(self, model_dir, actions, checkpoint_steps, overwrite: bool) -> SearchRun:
        """Builds everything, opens the folder and restores the newest checkpoint, if there is one.

        A new search is traced first: what a part refuses must not be in the record that binds the folder.
        """
        folder, strategy = Path(model_dir) / PHASE, self.batches.strategy
        record = {**self.record, **readings(self.method.stopper, actions, strategy)}
        if not overwrite:
            check_model_dir(model_dir, PHASE, record)
        announce(PHASE, describe_images(self.record["images"]))
        chief = is_chief(strategy)
        self.images.log_notes()
        if warning := self.too_few_steps():
            logging.warning("%s", warning)
        method, supernet, logits, step = self.build()
        state = self._state(folder, supernet, method, record)
        for action in actions:
            action.check(state)
        # All workers trace the same functions in the same order, whether they see the chief's files already or not.
        if overwrite or has_workers(strategy) or not (folder / RECORD).is_file():
            self._trace(step, state.temperature)
        open_model_dir(model_dir, PHASE, record, state.config, overwrite, chief)
        if chief:
            files.write_json(folder / SPACE, space_to_json(self.space))
        checkpointer = _checkpointer(state, method, logits, step, chief)
        if not overwrite:  # another worker could read what the chief is about to remove
            checkpointer.restore()
        return SearchRun(
            state,
            method,
            supernet,
            logits,
            step,
            self.batches,
            SupernetEvaluator(supernet),
            tuple(actions) if chief else (),
            checkpointer,
            checkpoint_steps,
            chief,
            self.clock,
            self.measured,
            (select,) if state.selects else (),
        )

    def build(self) -> Built:
        """Network, logits and step of one search, under the strategy in scope."""
        seeds.set_seed(self.seed)
        method = self.method.prepared()
        make_edge, classes = edge_factory(method.edges), self.images.num_classes
        supernet = Supernet(self.space, classes, method.running_statistics, self.rematerialize, make_edge)
        supernet.build((None, *self.images.image_shape))
        tables = {"edge_weights": method.edge_weights is not None, "masked": method.decisions is not None}
        logits = ArchLogits(self.space, self.seed, method.logit_init_scale, **tables)
        sizes = {"train_images": self.batches.train.size, "ordered_images": self.batches.ordered_images}
        setup = StepSetup(supernet, logits, method, xla=current().jit_compile, seed=self.seed, **sizes)
        return Built(method, supernet, logits, method.step.build(setup))

    def _state(self, folder: Path, supernet: Supernet, method: Method, record: dict) -> SearchState:
        """The state before the first step."""
        text = config.config_text((PHASE, "configure"))
        state = SearchState(folder, self.space, self.epochs, self.seed, record, text, supernet)
        if method.relaxation is not None:
            state.relaxation = BoundRelaxation(method.relaxation, method.edge_weights, self.space)
        state.batches = self.batches
        state.learns_logits = method.step.learns_logits
        state.selects = method.selector is not None
        state.decides = method.decisions is not None
        state.temperature_state, state.temperature = method.temperature.init()
        return state

    def _trace(self, step: Step, temperature: float) -> None:
        """Traces the steps of the first epoch, and those that begin after the warmup."""
        batches, clock = next(self.batches.epoch(self.seed, 0, 0, step.image_order(0))), self.clock
        for index in sorted({0, clock.warmup_steps} - {clock.total_steps}):
            phases = ("weights",) if clock.warming_up(index) else step.phases
            step.trace(batches, StepInfo(index, index // clock.steps, index / clock.total_steps, temperature, phases))


def _clock(method: Method, epochs: int, steps: int) -> Clock:
    """Of a search of so many epochs, of so many steps each."""
    return Clock(epochs, steps, method.warmup_epochs, method.ticks, fixed=method.decisions is not None)


def searched_images(images: ImageData, max_side: int | None) -> ImageData:
    """The images as a search sees them.

    Args:
        images: As they are stored.
        max_side: See `search`.
    """
    if max_side is None:
        return images
    require_count(note=" or None", max_image_side=max_side)
    return images.scaled_down(max_side)


def _check_parts(method: Method, space: Space, batches: SearchBatches, epochs: int) -> None:
    """What the parts of a method refuse of this space, of these images or of this length."""
    method.step.check(space, batches)
    for part in method.edges:
        part.check(space)
    if method.decisions is not None:
        method.decisions.check(space, epochs)


def _measured(valid: Images, count: int | None, seed: int) -> Images:
    """The images on which epochs are measured."""
    if count is None:
        return valid
    require_count(note=" or None", measured_images=count)
    return subset(valid, min(count, valid.size), seed)[0]


def _checkpointer(state, method: Method, logits, step: Step, chief: bool) -> Checkpointer:
    optimizers = {"weights": "weight_optimizer", "arch": "arch_optimizer"}
    named: dict[str, Any] = {optimizers[phase]: getattr(method, optimizers[phase]) for phase in step.phases}
    moved = {name: optimizer for name, optimizer in named.items() if optimizer is not None}
    masks = {} if logits.masks is None else {"decisions": logits.masks}
    variables = {"supernet": state.supernet, "logits": logits, **masks, **moved, **step.variables}
    return Checkpointer(state.folder, variables, state, chief=chief)
