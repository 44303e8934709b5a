"""Which candidate each variable of a supernet belongs to, and which candidates a step on sampled paths may move."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_edd.errors import UserError
from tf_edd.optimizers import Selective, unscaled
from tf_edd.samplers.state import state_variable


@dataclasses.dataclass(frozen=True)
class _Owner:
    """The candidate that a variable belongs to, by its place in the flat table of its cell type."""

    cell_type: str
    place: int


class CandidateVariables:
    """The trainable variables of a supernet by candidate.

    Args:
        supernet: A built supernet.
    """

    def __init__(self, supernet):
        self._shapes = supernet.space.logit_shapes
        owners = {}
        for cell_type, edge, position, operation in supernet.candidates():
            owner = _Owner(cell_type, edge * self._shapes[cell_type][1] + position)
            owners.update((id(variable), owner) for variable in operation.trainable_variables)
        self._owners = [owners.get(id(variable)) for variable in supernet.trainable_variables]

    def flags(self, tables) -> list[tf.Tensor | None]:
        """Per variable whether its candidate's entry is above 0; None for variables of no candidate.

        Args:
            tables: Cell type -> [E, O].
        """
        flat = {cell_type: tf.unstack(tf.reshape(table > 0, [-1])) for cell_type, table in tables.items()}
        return [None if owner is None else flat[owner.cell_type][owner.place] for owner in self._owners]

    def norms(self, norms) -> dict[str, tf.Tensor]:
        """Cell type -> norms [E, O], summed over the type's cells and a candidate's variables.

        Args:
            norms: The norm of each variable's gradient, [V].
        """
        return {
            cell_type: tf.reshape(tf.math.unsorted_segment_sum(tf.gather(norms, own), places, size[0] * size[1]), size)
            for cell_type, size in self._shapes.items()
            for own, places in [self._places(cell_type)]
        }

    def _places(self, cell_type) -> tuple[list[int], list[int]]:
        """Indices of the variables of a type's candidates, and the places of their candidates."""
        pairs = enumerate(self._owners)
        found = [(index, owner.place) for index, owner in pairs if owner is not None and owner.cell_type == cell_type]
        return [index for index, _ in found], [place for _, place in found]


def check_selective(name: str, supernet, optimizer) -> None:
    """Refuses what a step that lets candidates rest cannot work with; `name` is that of the step, in the plural.

    Raises:
        UserError: An optimizer that cannot leave variables alone, rematerialized edges, or moving averages with several
            replicas.
    """
    if not isinstance(unscaled(optimizer), Selective):
        raise UserError(
            f"{name} expect an optimizer that can leave variables alone (@SGD()). Received: {type(optimizer).__name__}"
        )
    if supernet.rematerialize:
        raise UserError(f"{name} keep nothing that could be run again. Received: rematerialize=True")
    if supernet.running_statistics and tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise UserError(
            f"{name} keep no moving averages on several replicas, which run all candidates: set "
            "Method.running_statistics = False. Received: True"
        )


class Moving:
    """Which candidates the optimizer moves in a step: those that its paths use, or all that any path has used.

    Args:
        space: The search space.
        rest_unused: Whether the others rest.
    """

    def __init__(self, space, rest_unused: bool):
        shapes = {} if rest_unused else space.logit_shapes
        self._seen = {name: state_variable(np.zeros(shape), f"moving_{name}") for name, shape in shapes.items()}

    @property
    def variables(self) -> list[tf.Variable]:
        """What has been used so far, for the checkpoint; nothing if the others rest."""
        return list(self._seen.values())

    def after(self, used) -> dict[str, tf.Tensor]:
        """Notes what a step uses, and returns what it moves.

        Args:
            used: Cell type -> [E, O], above 0 for the candidates that the step uses.
        """
        moved = {name: tf.maximum(used[name], seen.read_value()) for name, seen in self._seen.items()}
        for name, seen in self._seen.items():
            seen.assign(moved[name])
        return moved or used
