"""The interface of what surrounds the candidates of an edge."""

import functools
from collections.abc import Sequence
from typing import ClassVar, Protocol

from tf_edd.errors import UserError
from tf_edd.networks.mixed_op import EdgeFactory, MixedOp
from tf_edd.spaces.space import Space


class EdgePart(Protocol):
    """Surrounds the candidates of every edge of a supernet: a frozen dataclass that gin or a person makes.

    Evaluation of a discretized cell and the final network know nothing of what acts only in training.
    """

    needs_simplex: ClassVar[bool]
    """Whether the weights of an edge must be a distribution."""

    def check(self, space: Space) -> None:
        """Raises UserError for a space that it cannot take; called before anything is built or written."""

    def wrap(self, make_edge: EdgeFactory) -> EdgeFactory:
        """What builds an edge around the one that `make_edge` builds."""

    def operations(self, operations: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """The operations of an edge, for counts: (primitive, n), which runs on one n-th of the channels.

        Args:
            operations: those of the edge inside.
        """

    def metrics(self, progress: float) -> dict[str, float]:
        """What it does at this share of the search, by TensorBoard tag."""


def edge_factory(parts: Sequence[EdgePart]) -> EdgeFactory:
    """What builds the edges of a supernet: `MixedOp`, and the parts around it, the first next to the candidates."""
    return functools.reduce(lambda make_edge, part: part.wrap(make_edge), parts, MixedOp)


def check_widths(name: str, space: Space, groups: int = 1) -> None:
    """Raises UserError unless every edge keeps its number of channels, and that is a multiple of `groups`."""
    for block, wire in zip(space.blocks, space.wires, strict=True):
        if block.role != "cell":
            continue
        if block.channels % groups:
            raise UserError(
                f"{name} expects cells whose channels are a multiple of {groups}. Received: {block.channels} channels "
                f"in space {space.name!r}"
            )
        if not space.cell(block.cell).preprocess and any(_width(space, i) != block.channels for i in wire.sources):
            raise UserError(
                f"{name} expects edges that keep the number of their channels. Received: space {space.name!r}, with "
                f"cells of {block.channels} channels on maps of another width"
            )


def _width(space: Space, index: int) -> int:
    """The channels of what a block returns."""
    block = space.blocks[index]
    if block.role != "cell" or space.cell(block.cell).output == "last":
        return block.channels
    return block.channels * len(space.cell(block.cell).intermediate_nodes)


def inner_config(edge) -> tuple[str, dict]:
    """What decides what an edge inside another one computes: its class, and its configuration without its name."""
    return type(edge).__qualname__, {name: value for name, value in edge.get_config().items() if name != "name"}
