"""Where the metrics of a search stand in TensorBoard: run and tag of each, and which of them say nothing.

TensorBoard sorts its cards by tag and opens the first two groups, the texts before the first slash. `accuracy` and
`loss` come first, so nothing that a search writes sorts between or before them.
"""

from collections.abc import Mapping

from tf_edd.architectures.genotype import COLLAPSE_OPERATIONS
from tf_edd.spaces.space import CellSpec, Space

SUPERNET, DISCRETIZED = "", "discretized"  # the runs, as folders within that of the search
RUNS = (SUPERNET, DISCRETIZED)
TICKS = "ticks"  # the run of a search with `Method.ticks`, whose x axis is the step
ACCURACY = "accuracy/search"  # of both runs: two lines of one chart

_PLACES = {
    "accuracy/valid": (SUPERNET, ACCURACY),
    "accuracy/discretized": (DISCRETIZED, ACCURACY),
    "accuracy/train": (SUPERNET, "search/accuracy_weights"),
    "accuracy/arch": (SUPERNET, "search/accuracy_arch"),
}
_GROUPS = {"arch/": "search/", "speed/": "search/", "weights/": "search/weight_", "gradient/": "search/gradient_"}
_GROUPS |= {"images/": "search/image_"}


def place(metrics: Mapping[str, float], space: Space) -> dict[str, dict[str, float]]:
    """Run -> tag -> value of the metrics of an epoch, named as in `state.history`.

    Left out are the entropies and counts of a cell type where there is only one, and in a chain, whose cells are single
    edges; and the counts of operations that no genotype of the space can hold.
    """
    silent = _silent(space)
    placed: dict[str, dict[str, float]] = {run: {} for run in RUNS}
    for name, value in metrics.items():
        if name not in silent:
            run, tag = _PLACES.get(name) or (SUPERNET, _renamed(name))
            placed[run][tag] = value
    return placed


def _renamed(name: str) -> str:
    for before, after in _GROUPS.items():
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name


def _silent(space: Space) -> set[str]:
    """Names of metrics that repeat others or never change."""
    several = len(space.cells) > 1 and not space.is_chain
    silent = set() if several else {f"arch/entropy_{cell.cell_type}" for cell in space.cells}
    for operation in COLLAPSE_OPERATIONS:
        count = f"arch/{operation.removesuffix('_connect')}_count"
        without = [cell for cell in space.cells if not _may_choose(cell, operation)]
        silent |= {f"{count}_{cell.cell_type}" for cell in (without if several else space.cells)}
        if len(without) == len(space.cells):
            silent.add(count)
    return silent


def _may_choose(cell: CellSpec, operation: str) -> bool:
    named = operation not in cell.excluded and any(operation in edge.primitives for edge in cell.edges)
    return named or (cell.optional_edges and operation == "none")
