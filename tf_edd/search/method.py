"""A search method: the composition of its parts."""

import dataclasses
import math

import keras

from tf_edd.decisions import Decisions
from tf_edd.discretizers import Argmax, Discretizer
from tf_edd.errors import UserError, require_count, require_positive
from tf_edd.networks.edge_part import EdgePart
from tf_edd.optimizers import own_optimizer
from tf_edd.part import part
from tf_edd.regularizers import Regularizer, check_active
from tf_edd.relaxations import EdgeWeights, Relaxation
from tf_edd.relaxations.relaxation import one_hot
from tf_edd.schedules import ConstantTemperature, Rate, Temperature, check_rate, check_temperature
from tf_edd.selectors import Selector
from tf_edd.steps import StepPart
from tf_edd.steps.step import LOGIT_PARTS
from tf_edd.stoppers import Stopper


@part(module="tf_edd.search")
class Method:
    """The parts of a search method; each knows nothing of the others. A method can be used for many searches.

    Attributes:
        step: How a batch moves weights and architecture; it says which of the parts below it takes.
        weight_optimizer: A Keras optimizer for the weights of the supernet; each search makes a copy.
        weight_rate: Epoch (from 0) -> learning rate of the weights.
        relaxation: Architecture logits -> weights of the candidates.
        temperature: Schedule of the relaxation's temperature, fed with the mean entropy after each epoch.
        discretizer: Weights of the candidates -> genotype.
        arch_optimizer: A Keras optimizer for the logits; each search makes a copy.
        arch_rate: Epoch (from 0) -> learning rate of the logits.
        arch_rate_cap: The largest learning rate of the logits in units of the temperature t: the rate is min(arch_rate,
            arch_rate_cap t), so that a step of Adam moves A/t by at most about arch_rate_cap. Without it a step at a
            small t may undo what many have decided. None for no limit, as in the papers.
        regularizers: Terms added to the losses.
        selector: Chooses the genotype from the trained supernet after the last epoch, by the accuracy of cells on the
            validation split with inherited weights. None for the cell of the last epoch.
        stopper: Ends the search when the recorded epochs ask for it, and says which epoch's cell is the result. None
            for all epochs, and the cell of the last.
        decisions: Decide edges in the course of the search: an edge then runs one operation, or none, and its logits
            rest. None for no decision before the end.
        warmup_epochs: Epochs at the start in which only the weights move; logits and temperature stay. A fraction is
            rounded to whole steps. With decisions it may be the whole search.
        ticks: How often the temperature follows the entropy, at equal distances over the architecture steps, whatever
            an epoch is (see `search.clock.Clock`); schedules with a length count ticks then. None for a tick after each
            epoch, as in the papers.
        entropy_temperature: Temperature of the distribution whose entropy drives the schedule; None for the current
            one. Eq. 13 reads as 1.0, the paper's text and Fig. 4 as None.
        logit_init_scale: Standard deviation of the initial logits; 0 for an exactly even beginning.
        running_statistics: Evaluate the supernet with moving averages instead of batch statistics.
        edge_weights: Weights of the edges that enter a node, with logits of their own, which fold into those of the
            candidates. None for none: a node is the sum of its edges.
        edges: What surrounds the candidates of every edge of the supernet, the first next to them.

    Raises:
        UserError: A part that the step takes and that is missing, one that it does not take, or a value out of range.
    """

    step: StepPart
    weight_optimizer: keras.optimizers.Optimizer
    weight_rate: Rate
    relaxation: Relaxation | None = None
    temperature: Temperature = ConstantTemperature()
    discretizer: Discretizer = Argmax()
    arch_optimizer: keras.optimizers.Optimizer | None = None
    arch_rate: Rate | None = None
    arch_rate_cap: float | None = None
    regularizers: tuple[Regularizer, ...] = ()
    selector: Selector | None = None
    stopper: Stopper | None = None
    decisions: Decisions | None = None
    warmup_epochs: float = 0
    ticks: int | None = None
    entropy_temperature: float | None = None
    logit_init_scale: float = 1e-3
    running_statistics: bool = False
    edge_weights: EdgeWeights | None = None
    edges: tuple[EdgePart, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "regularizers", tuple(self.regularizers))
        if self.warmup_epochs != 0:
            require_positive(" or 0", warmup_epochs=self.warmup_epochs)
        if self.arch_rate_cap is not None:
            require_positive(" or None", arch_rate_cap=self.arch_rate_cap)
        if self.ticks is not None:
            require_count(note=" or None", ticks=self.ticks)
        if self.logit_init_scale != 0:
            require_positive(" or 0", logit_init_scale=self.logit_init_scale)
        if self.entropy_temperature is not None:
            require_positive(" or None", entropy_temperature=self.entropy_temperature)
        name = type(self.step).__name__
        if len({type(part) for part in self.edges}) < len(self.edges):
            raise UserError(f"Each part of Method.edges may be there once. Received: edges={self.edges!r}")
        needed = [part for part in ("relaxation", "arch_optimizer", "arch_rate") if part in self.step.takes]
        if missing := [part for part in needed if getattr(self, part) is None]:
            raise UserError(f"{name} needs {' and '.join(f'Method.{part}' for part in missing)}. Received: none")
        if self.edge_weights is not None and self.relaxation is not None and not self.relaxation.simplex:
            raise UserError(
                "Method.edge_weights needs a relaxation whose rows are distributions. Received: "
                f"relaxation={self.relaxation!r}"
            )
        around = [part for part in (*self.edges, self.edge_weights) if part is not None]
        if around and one_hot(self.relaxation):  # they are of a mixture
            raise UserError(
                f"{type(self.relaxation).__name__} runs one candidate of an edge alone, without Method.edges and "
                f"Method.edge_weights. Received: {', '.join(type(part).__name__ for part in around)}"
            )
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        refused = [part for part in LOGIT_PARTS if part not in self.step.takes]
        if given := [part for part in refused if getattr(self, part) != defaults[part]]:
            raise UserError(
                f"{name} takes no {' and no '.join(given)}: leave it out. Received: "
                + ", ".join(f"{part}={getattr(self, part)!r}" for part in given)
            )

        whole = [part for part in self.edges if part.needs_simplex]
        if whole and self.relaxation is not None and not self.relaxation.simplex:
            raise UserError(
                f"{type(whole[0]).__name__} needs a relaxation whose rows are distributions. Received: "
                f"relaxation={self.relaxation!r}"
            )
        if self.decisions is not None and (around or one_hot(self.relaxation)):
            received = around or [self.relaxation]
            raise UserError(
                "Method.decisions expect a mixture without Method.edges and edge weights: a decided edge is its "
                f"operation and nothing else. Received: {', '.join(type(part).__name__ for part in received)}"
            )
        if self.decisions is not None and self.selector is not None:
            raise UserError(
                "Method.decisions choose the cell, and so does a selector: leave one of them out. Received: "
                f"selector={self.selector!r}"
            )
        if self.decisions is not None and not self.relaxation.simplex:
            raise UserError(
                "Method.decisions expect a relaxation whose weights of an edge sum to 1 (`simplex`), since a decided "
                f"edge has a weight of 1. Received: relaxation={self.relaxation!r}"
            )

    def check(self, epochs: int) -> None:
        """Refuses a search of so many epochs in which the architecture or a regularizer would never move.

        Raises:
            UserError: either, or a schedule that does not give numbers or is made for another length.
        """
        if self.warmup_epochs > epochs or (self.warmup_epochs == epochs and self.decisions is None):
            raise UserError(
                f"warmup_epochs must be below epochs = {epochs}: the logits have to move. "
                f"Received: warmup_epochs={self.warmup_epochs}"
            )
        check_active(self.regularizers, epochs)
        for name in ("weight_rate", "arch_rate"):
            if getattr(self, name) is not None:
                check_rate(f"Method.{name}", getattr(self, name), epochs)
        lengths = (epochs, math.ceil(epochs - self.warmup_epochs)) if self.ticks is None else (self.ticks,)
        check_temperature("Method.temperature", self.temperature, *lengths)

    def rates(self, epoch: float, temperature: float) -> dict[str, float]:
        """Phase of a step -> learning rate, at an epoch (from 0; a fraction within one) and temperature."""
        rates = {"weights": self.weight_rate(epoch)}
        if self.arch_rate is not None:
            rates["arch"] = self.arch_rate(epoch)
            if self.arch_rate_cap is not None:
                rates["arch"] = min(rates["arch"], self.arch_rate_cap * temperature)
        return rates

    def prepared(self) -> "Method":
        """This method with optimizers of its own for one search; under float16 they scale the loss."""
        optimizers = {name: own_optimizer(getattr(self, name)) for name in ("weight_optimizer", "arch_optimizer")}
        return dataclasses.replace(self, **optimizers)
