"""Search by the accuracies of a NAS-Bench-201 table: the baselines that train every cell that they look at."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tf_edd.architectures import table as tables
from tf_edd.errors import UserError
from tf_edd.part import checked
from tf_edd.selectors import Selector
from tf_edd.spaces import nas_bench_201

REPORTED = ("cifar10_test", "cifar100_test", "imagenet16_120_test")
ANY_CELL = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
IMAGE_SHAPE, NUM_CLASSES = (32, 32, 3), 10


@checked(module="tf_edd")
def table_search(
    table: str | os.PathLike | tables.NasBench201Table | tables.Table,
    selector: Selector,
    *,
    column: str = "cifar10_valid_12_epochs",
    reported: Sequence[str] = REPORTED,
    seeds: Sequence[int] = (0,),
) -> list[dict]:
    """What a selector finds if the accuracy of each cell is looked up, not inherited.

    The usual baselines of NAS-Bench-201 are `RandomSearch` and `RegularizedEvolution`: they choose by the validation
    accuracy of short trainings, and what is reported is the accuracy after 200 epochs. An evaluation stands for one
    short training.

    Args:
        table: An open table, or the path of one.
        selector: Chooses the cells.
        column: The accuracy that it sees.
        reported: The accuracies of the chosen cell that are returned.
        seeds: One search for each.

    Returns:
        For each seed {"seed", "genotype", "evaluations", the column that it saw and those reported}; percent.

    Raises:
        UserError: No such table or column, a table without some cell of the space, or no seed.

    Source: Dong and Yang, "NAS-Bench-201", ICLR 2020, arXiv 2001.00326, section 5 (random search and REA).
    """
    opened = tables.NasBench201Table(str(table)).load() if isinstance(table, (str, os.PathLike)) else table.load()
    if not seeds:
        raise UserError(f"Expected at least one seed. Received: seeds={seeds!r}")
    space = nas_bench_201()
    _check_columns(opened, (column, *reported))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            asked = []

            def fitness(genotype, asked=asked):
                asked.append(genotype)
                return opened.query(genotype)[column]

            prepared = selector.prepare(space, IMAGE_SHAPE, NUM_CLASSES, seed)
            # Not the chief: a look-up costs less than a line in a log.
            chosen = prepared(space, fitness, seed=seed, log_path=Path(folder) / "unused.jsonl", chief=False)
            row = opened.query(chosen)
            accuracies = {name: float(row[name]) for name in (column, *reported)}
            found.append({"seed": seed, "genotype": str(chosen), "evaluations": len(asked), **accuracies})
    return found


def _check_columns(table: tables.Table, names: Sequence[str]) -> None:
    """Raises UserError for an accuracy that the table does not have."""
    known = [name for name in table.query(ANY_CELL) if name in tables.ACCURACIES]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"Expected accuracies of the table, some of {', '.join(known)}. Received: {', '.join(unknown)}")
