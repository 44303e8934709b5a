"""One cell from several searches: the one that the others agree with most."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tf_edd.actions.figures import save_drawings
from tf_edd.actions.records import rounded
from tf_edd.analysis import pictures
from tf_edd.architectures.genotype import Genotype, from_text
from tf_edd.errors import UserError
from tf_edd.part import checked
from tf_edd.runtime import files, folder_lock
from tf_edd.runtime.file_names import GENOTYPE, RESULTS, SPACE
from tf_edd.runtime.local_folder import local_folder
from tf_edd.runtime.model_dir import open_model_dir, read_record
from tf_edd.search.recorded import finished_space, recorded_probs
from tf_edd.search.result import PROBS, SearchResult
from tf_edd.spaces import Space

PHASE = "search"  # so that a retraining in the same model_dir takes the voted cell


@checked(module="tf_edd")
def vote(
    model_dir: str | os.PathLike,
    searches: Sequence[str | os.PathLike],
    *,
    overwrite: bool = False,
) -> SearchResult:
    """The cell of that one among several finished searches with which the others agree most.

        beta = 1/K sum_k beta^(k),   result = argmax_k sum_e ln beta_e,o(e, k)

    beta^(k) are the last probabilities of search k, and o(e, k) is the operation of its cell on edge e. Equal searches
    with other seeds end in cells that differ on some edges, and their own accuracies do not tell which is the better
    one; this leaves out the odd one. Each edge by itself is not voted on: two cells may lead their skip connections
    along different ways, and the majority of each edge then has none at all.

    Writes `search/` in `model_dir`, from where `retrain` takes the cell: the genotype, drawings, and `results.json`
    with the votes.

    Args:
        model_dir: Where the result is written; not the one of a search.
        searches: The model_dir of each search. They must be finished, in one space, and keep `genotypes.jsonl`.
        overwrite: Vote anew where a vote exists.

    Returns:
        The result, with an empty history.

    Raises:
        UserError: Fewer than two searches, one that is not finished, different spaces, or a model_dir of something
            else.
    """
    model_dir, folders = local_folder(model_dir), [local_folder(path) / PHASE for path in searches]
    space, ballots = _space(folders), [recorded_probs(folder) for folder in folders]
    mean = {name: np.mean([np.asarray(probs[name]) for probs in ballots], axis=0) for name in space.logit_shapes}
    candidates = [_candidate(folder) for folder in folders]
    cells = [candidate["genotype"] for candidate in candidates]
    genotype = max((from_text(cell, space) for cell in cells), key=lambda cell: _agreement(cell, mean, space))
    with folder_lock.released_after(model_dir, True):
        folder = open_model_dir(model_dir, PHASE, {"vote": candidates}, overwrite=overwrite)
        files.write_json(folder / SPACE, files.read_json(folders[0] / SPACE))
        files.write_json(folder / GENOTYPE, genotype.to_json())
        save_drawings(pictures.draw_architecture(genotype, space, mean), folder, "cell")
        found = {"genotype": str(genotype), "searches": candidates, "votes": votes(cells, space)}
        files.write_json(folder / RESULTS, {**found, PROBS: rounded(mean)})
    return SearchResult(genotype, (), folder)


def votes(cells: Sequence[str], space: Space) -> dict[str, list[dict]]:
    """Cell type -> for each node and source that any of the cells connects, how many of them chose which operation."""
    counts: dict[str, dict[tuple[int, int], Counter]] = {cell.cell_type: {} for cell in space.cells}
    for text in cells:
        for cell_type, nodes in from_text(text, space).cells:
            first = space.cell(cell_type).num_inputs
            for target, node in enumerate(nodes, start=first):
                for operation, source in node:
                    counts[cell_type].setdefault((target, source), Counter())[operation] += 1
    return {
        cell_type: [
            {"from": source, "to": target, "votes": dict(counter.most_common())}
            for (target, source), counter in sorted(edges.items())
        ]
        for cell_type, edges in counts.items()
    }


def _space(folders: Sequence[Path]) -> Space:
    """That of all searches."""
    if len(folders) < 2:
        raise UserError(f"A vote takes at least two searches. Received: {len(folders)}")
    spaces = [finished_space(folder) for folder in folders]
    for folder, other in zip(folders, spaces, strict=True):
        if other != spaces[0]:
            raise UserError(
                f"Expected searches in one space, of one size. Received: {folders[0].parent} and {folder.parent}, "
                f"whose files {SPACE} differ"
            )
    return spaces[0]


def _agreement(genotype: Genotype, mean: Mapping[str, np.ndarray], space: Space) -> float:
    """Sum of the logarithms of the mean probabilities of its operations."""
    chosen = genotype.one_hot(space)
    return sum(float(np.log(mean[name][np.asarray(chosen[name]) > 0]).sum()) for name in mean)


def _candidate(folder: Path) -> dict:
    record = read_record(folder)
    return {"seed": record.get("seed"), "genotype": files.read_object(folder / RESULTS)["genotype"]}
