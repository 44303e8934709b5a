"""The state of a search: what actions see, and what a checkpoint keeps beside the variables."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tf_edd.architectures.genotype import Genotype
from tf_edd.spaces.space import Space


@dataclasses.dataclass
class SearchState:
    """A search between two steps.

    Attributes:
        folder: of the search (`<model_dir>/search`).
        space: the search space.
        epochs: length of the search.
        seed: of everything random.
        record: every part and setting of the search (`tf_edd.runtime.record`).
        config: the gin text; empty from Python.
        supernet: the network.
        relaxation: that of the method, with its edge weights (`tf_edd.relaxations.BoundRelaxation`); None for sampled
            paths.
        learns_logits: whether the architecture is learned as logits; else an epoch's cell is the best of some draws.
        batches: the images of both splits, the batch size and the strategy (`tf_edd.data.batches.SearchBatches`).
        epoch: finished epochs.
        position: finished steps of the epoch under way.
        step: finished steps altogether.
        sums: per tag the sum over the finished steps of this epoch.
        temperature: of the epoch under way.
        temperature_state: of the schedule.
        ticks: one dict for each tick so far, of step, entropy and the temperature from there on; only where
            `Method.ticks` is given, else the epochs tell.
        logits: the tables of architecture logits, by the names of `ArchLogits`, at the end of the last epoch.
        probs: cell type -> noise-free weights of the candidates [E, O] at the end of the last epoch.
        genotype: the cell of the last epoch (`Step.validate`); with a selector, after the last epoch, the selected one.
        history: one flat dict for each finished epoch.
        seconds: spent in training and evaluation, over all processes that continued this search.
        selects: whether a selector chooses the genotype after the last epoch.
        decides: whether decisions close candidates in the course of the search.
        decided: what they have decided so far: dicts of epoch and a list of texts.
        decision_memory: what they remember from epoch to epoch.
        verdict: what `results.json` says of the stopper's verdict, where there is one.
        selection: what `results.json` says of the selector's choice; actions may add to it at the end. None before, and
            without a selector.
    """

    folder: Path
    space: Space
    epochs: int
    seed: int
    record: dict = dataclasses.field(default_factory=dict)
    config: str = ""
    supernet: Any = None
    relaxation: Any = None
    learns_logits: bool = True
    batches: Any = None
    epoch: int = 0
    position: int = 0
    step: int = 0
    sums: dict[str, float] = dataclasses.field(default_factory=dict)
    temperature: float = 1.0
    temperature_state: dict[str, float] = dataclasses.field(default_factory=dict)
    ticks: list[dict] = dataclasses.field(default_factory=list)
    logits: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    probs: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    genotype: Genotype | None = None
    history: list[dict] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    selects: bool = False
    decides: bool = False
    decided: list[dict] = dataclasses.field(default_factory=list)
    decision_memory: dict = dataclasses.field(default_factory=dict)
    verdict: dict | None = None
    selection: dict | None = None

    _SAVED = ("epoch", "position", "step", "sums", "temperature", "temperature_state", "history", "seconds", "ticks")
    _SAVED += ("decided", "decision_memory")

    @property
    def decided_now(self) -> list[str]:
        """What was decided after the last epoch."""
        return [text for entry in self.decided if entry["epoch"] == self.epoch for text in entry["decided"]]

    def state_dict(self) -> dict:
        """What a checkpoint keeps; floats survive JSON exactly."""
        saved = {name: getattr(self, name) for name in self._SAVED}
        return {**saved, "genotype": self.genotype.to_json() if self.genotype else None}

    def load_state_dict(self, state: dict) -> None:
        """Takes a saved state; logits and probabilities follow from the restored variables."""
        for name in self._SAVED:
            setattr(self, name, state[name])
        self.genotype = Genotype.from_json(state["genotype"], "checkpoint") if state["genotype"] else None
