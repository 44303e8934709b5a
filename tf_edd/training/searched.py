"""What a retraining takes from the search in the same model_dir: its space and its cell."""

from pathlib import Path

from tf_edd.architectures import genotype as genotypes
from tf_edd.architectures.genotype import Genotype
from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPE, GENOTYPES, SPACE
from tf_edd.runtime.model_dir import RECORD, has_results, read_record
from tf_edd.spaces import Space, space_from_json

SEARCH = "search"


def searched_space(model_dir) -> Space:
    """The space of the search in `model_dir`, at the size of the search.

    Raises:
        UserError: There is no search.
    """
    path = Path(model_dir) / SEARCH / SPACE
    if not path.is_file():
        raise UserError(
            f"Expected a space to retrain in, or a model_dir whose search has one. Received: no space, and {model_dir} "
            f"({path} is not there)"
        )
    return space_from_json(files.read_json(path))


def find_genotype(given: Genotype | str | None, model_dir, space: Space) -> Genotype:
    """The cell to train: the given one, or that of the finished search in `model_dir`.

    Raises:
        UserError: No such cell, one of another space, or a search that is not finished.
    """
    if isinstance(given, Genotype):
        return given.check(space)
    if given:
        return genotypes.load(str(given), space)
    folder = Path(model_dir) / SEARCH
    _check_finished(folder)
    return genotypes.load(str(folder / GENOTYPE), space)


def _check_finished(folder: Path) -> None:
    if has_results(folder) or not (folder / RECORD).is_file():
        return
    history = folder / GENOTYPES
    done = len(files.read_lines(history)) if history.is_file() else 0
    advice = "Continue it with the command that started it"
    if (folder / GENOTYPE).is_file():
        advice += f", or pass --genotype={folder / GENOTYPE} to train its cell all the same"
    raise UserError(
        f"The search in {folder.parent} has finished {done} of {read_record(folder).get('epochs', 'its')} epochs and "
        f"has no result yet. {advice}"
    )
