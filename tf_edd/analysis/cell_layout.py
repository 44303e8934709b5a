"""Where the boxes and arcs of a cell lie: geometry alone, in inches."""

import dataclasses
import itertools
from collections.abc import Sequence

from tf_edd.spaces.space import CellSpec, Edge

Point = tuple[float, float]

LONGEST_REACH = 0.5  # inches along the flow in which an arc gains its height
SHARES = (0.5, 0.4, 0.6, 0.3, 0.7)  # of a curve, where its label may lie; the first that is free


@dataclasses.dataclass(frozen=True)
class Measures:
    """Lengths in inches, along the flow of a cell and across it.

    Attributes:
        box: half the size of a box.
        gap: from box to box where the edge between them is straight and has a label.
        short_gap: from box to box where no edge is straight.
        input_gap: from two inputs, which stand side by side, to the first node.
        first_level: from the middle line to the label of the innermost arc.
        level: from one arc to the next.
        inputs: from the middle line to each of two inputs.
        margin: around everything, beyond the labels of the outermost arcs.
        label: from one label to the next, either along or across; 0 where levels alone keep them apart.
        upright: whether the flow is downwards instead of to the right.
    """

    box: Point
    gap: float
    short_gap: float
    input_gap: float
    first_level: float
    level: float
    inputs: float
    margin: Point
    label: Point = (0.0, 0.0)
    upright: bool = False


LYING = Measures((0.34, 0.19), 2.3, 1.15, 1.75, 0.62, 0.52, 0.3, (0.12, 0.32))
UPRIGHT = Measures((0.16, 0.36), 0.98, 0.62, 0.8, 0.98, 1.02, 0.45, (0.08, 0.58), upright=True)
# For many arcs: their labels lie one below the other, so that the arcs need less room.
UPRIGHT_DENSE = Measures((0.16, 0.3), 1.0, 0.9, 1.0, 0.9, 0.42, 0.4, (0.08, 0.62), (0.42, 1.2), upright=True)


@dataclasses.dataclass(frozen=True)
class Arrow:
    """An edge of a cell to draw.

    Attributes:
        source: a node.
        target: a node; `num_nodes` for the concatenated output.
        operation: its name.
        probability: of the operation, or None.
        weak: whether another operation is nearly as probable.
        side: 1 or -1 for an arc on that side of the middle line, 0 for a straight line.
        level: of the arc, from 1 on.
    """

    source: int
    target: int
    operation: str
    probability: float | None = None
    weak: bool = False
    side: int = 0
    level: int = 0


def node_names(cell: CellSpec) -> list[str]:
    """What the nodes are called, with the concatenated output as one more: as the papers of the spaces call them.

    A cell with two inputs has c_{k-2}, c_{k-1}, the nodes 0, 1, ... and the output c_{k}.
    """
    several = cell.num_inputs > 1
    inputs = [f"c_{{k-{back}}}" for back in range(cell.num_inputs, 0, -1)] if several else ["input"]
    output = "c_{k}" if several else "output"
    inner = [str(node - (cell.num_inputs if several else 0)) for node in cell.intermediate_nodes]
    return [*inputs, *inner[:-1], output] if cell.output == "last" else [*inputs, *inner, output]


def edge_name(edge: Edge, cell: CellSpec, between: str = " → ") -> str:
    """The names of both ends of an edge."""
    names = node_names(cell)
    return f"{names[edge.source]}{between}{names[edge.target]}"


class Layout:
    """The places of boxes, arcs and labels; points are (along, across) the flow.

    Args:
        cell: The cell.
        arrows: Its edges, without sides and levels.
        measures: Lengths.

    Attributes:
        labels: The middle of the label of each arrow.
    """

    def __init__(self, cell: CellSpec, arrows: Sequence[Arrow], measures: Measures):
        self.measures = measures
        self._stacked = cell.num_inputs == 2
        self._places = [0 if self._stacked and node < 2 else node - self._stacked for node in range(cell.num_nodes + 1)]
        self.arrows = self._bend(arrows)
        self.boxes = self._boxes(cell)
        self.labels = self._place_labels()

    @property
    def extent(self) -> tuple[Point, Point]:
        """Lowest and highest point along and across, the margin included."""
        measures = self.measures
        along = [point[0] for point in self.boxes]
        across = [point[1] for point in self.boxes] + [arrow.side * self.height(arrow) for arrow in self.arrows]
        (side, edge), half = measures.margin, measures.box[0]
        return (min(along) - half - side, max(along) + half + side), (min(across) - edge, max(across) + edge)

    def height(self, arrow: Arrow) -> float:
        """How far the label of an arc is from the middle line."""
        return self.measures.first_level + (arrow.level - 1) * self.measures.level if arrow.side else 0.0

    def ends(self, arrow: Arrow) -> tuple[Point, Point]:
        """Where an edge leaves its source and enters its target: arcs on points of their own."""
        start, stop = self.boxes[arrow.source], self.boxes[arrow.target]
        half_along, half_across = self.measures.box
        if not arrow.side:
            return (start[0] + half_along, start[1]), (stop[0] - half_along, stop[1])
        leave, enter = self._port(arrow, arrow.source), self._port(arrow, arrow.target)
        edge = arrow.side * half_across
        return (start[0] + leave, start[1] + edge), (stop[0] + enter, stop[1] + edge)

    def curve(self, arrow: Arrow) -> list[Point]:
        """Both ends of a straight line between neighbors, or the four points of a cubic arc."""
        start, stop = self.ends(arrow)
        if not arrow.side:
            return [start, stop]
        # With both controls at height h, the middle of a cubic arc is 3/4 h plus 1/8 of the heights of its ends.
        control = (arrow.side * self.height(arrow) - (start[1] + stop[1]) / 8) * 4 / 3
        reach = min(0.22 * (stop[0] - start[0]), LONGEST_REACH)  # long arcs are as steep as short ones
        return [start, (start[0] + reach, control), (stop[0] - reach, control), stop]

    def _place_labels(self) -> dict[Arrow, Point]:
        """Each label in the middle of its curve or, where another one lies, before or behind it."""
        (along, across), labels = self.measures.label, {}
        for arrow in self.arrows:
            places = [_on_curve(self.curve(arrow), share) for share in SHARES]
            free = (
                (x, y)
                for x, y in places
                if all(abs(x - other) >= along or abs(y - height) >= across for other, height in labels.values())
            )
            labels[arrow] = next(free, places[0])
        return labels

    def _port(self, arrow: Arrow, node: int) -> float:
        """Offset along the box: arcs that come in first, then those that leave; neither cross."""
        touching = [other for other in self.arrows if other.side == arrow.side and node in (other.source, other.target)]
        incoming = sorted((other for other in touching if other.target == node), key=lambda other: other.level)
        leaving = sorted((other for other in touching if other.source == node), key=lambda other: -other.level)
        order = [*incoming, *leaving]
        place = (order.index(arrow) + 0.5) / len(order)
        return (2 * place - 1) * 0.8 * self.measures.box[0]

    def _bend(self, arrows: Sequence[Arrow]) -> list[Arrow]:
        """Gives each edge its own arc: straight between neighbors, longer ones nested on both sides."""
        taken: dict[int, list[tuple[int, int, int]]] = {1: [], -1: []}
        bent = []
        for arrow in sorted(arrows, key=lambda arrow: (self._length(arrow), arrow.source)):
            from_input = self._stacked and arrow.source < 2
            if self._length(arrow) == 1 and not from_input:
                bent.append(arrow)
                continue
            start, stop = self._places[arrow.source], self._places[arrow.target]
            levels = {side: _free_level(start, stop, taken[side]) for side in (1, -1)}
            sides = ((1, -1)[arrow.source],) if from_input else (1, -1)
            side = min(sides, key=lambda side: (levels[side], len(taken[side])))
            taken[side].append((start, stop, levels[side]))
            bent.append(dataclasses.replace(arrow, side=side, level=levels[side]))
        return bent

    def _length(self, arrow: Arrow) -> int:
        return self._places[arrow.target] - self._places[arrow.source]

    def _boxes(self, cell: CellSpec) -> list[Point]:
        measures, along = self.measures, [0.0]
        straight = {self._places[arrow.source] for arrow in self.arrows if not arrow.side}
        nodes = cell.num_nodes + (cell.output == "concat")
        for place in range(max(self._places[:nodes])):
            gap = measures.gap if place in straight else measures.short_gap
            along.append(along[-1] + (max(gap, measures.input_gap) if place == 0 and self._stacked else gap))
        offsets = (measures.inputs, -measures.inputs) if self._stacked else (0.0,) * cell.num_inputs
        return [(along[self._places[node]], offsets[node] if node < cell.num_inputs else 0.0) for node in range(nodes)]


def _on_curve(points: Sequence[Point], share: float) -> Point:
    """The point of a Bezier curve at a share of its parameter, by the construction of de Casteljau."""
    while len(points) > 1:
        pairs = itertools.pairwise(points)
        points = [tuple((1 - share) * a + share * b for a, b in zip(*pair, strict=True)) for pair in pairs]
    return points[0]


def _free_level(start: int, stop: int, taken: list[tuple[int, int, int]]) -> int:
    """The first level above every arc that shares a stretch with this one."""
    below = [level for source, target, level in taken if source < stop and start < target]
    return max(below, default=0) + 1
