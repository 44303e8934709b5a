"""A run as a row of TensorBoard's HParams page: what was composed, and what came of it.

Search and retraining of one `model_dir` are two sessions of one row. TensorBoard takes the list of columns from the
first run that it finds, and shows the first five of those that `differs` marks, by their names.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tensorboard.plugins.hparams import api as hp
from tensorboard.plugins.hparams import api_pb2

from tf_edd.actions.event_tags import ACCURACY, DISCRETIZED, SUPERNET
from tf_edd.errors import UserError
from tf_edd.runtime.model_dir import read_record
from tf_edd.runtime.record import KIND, flatten

Value = bool | int | float | str

LEADING = ("data", "method", "relaxation", "seed", "temperature")  # five at most
PARTS = ("relaxation", "edge_weights", "temperature", "step", "decisions", "discretizer", "selector")
SIZES = ("epochs", "batch_size")
LONGEST = 200  # characters; longer texts are no columns
# Settings that are the same in every method of this package, and the rate that a schedule replaces.
_LEFT_OUT = ("optimizer.beta_2", "optimizer.epsilon", "optimizer.learning_rate", "running_statistics")
RETRAINED = "accuracy/retrain"
# (tag, sub-folder of the session whose event files hold it, name of the column)
METRICS = (
    (ACCURACY, DISCRETIZED, "discretized accuracy"),
    (ACCURACY, SUPERNET, "supernet accuracy"),
    (RETRAINED, "", "retrained, test accuracy"),
    ("table/cifar10_test", "", "table, CIFAR-10 test accuracy"),
    ("search/entropy", "", "entropy"),
    ("loss/valid", "", "validation loss"),
)


def columns(record: Mapping) -> dict[str, Value]:
    """The columns of a run from the record of its search: the leading ones, its sizes, and the settings of its method.

    "method" is its composition, such as "Softmax + FixedTemperature + FirstOrder + Argmax". Settings are named as in
    the record, without `method.`. Those that are None, and long texts, are left out.
    """
    method = _mapping(record.get("method"))
    kinds = {name: _kind(method.get(name)) for name in PARTS}
    lists = [method.get(name) for name in ("edges", "regularizers")]
    others = [_kind(part) for parts in lists if isinstance(parts, (list, tuple)) for part in parts]
    values = {
        "data": _data(record),
        "method": " + ".join(kind for kind in [*kinds.values(), *others] if kind),
        "relaxation": kinds["relaxation"],
        "seed": record.get("seed"),
        "space": _mapping(record.get("space")).get("name"),
        "temperature": kinds["temperature"],
        **{name: record.get(name) for name in SIZES},
        **{name: value for name, value in flatten(method).items() if name and not _left_out(name)},
    }
    return {name: value for name, value in values.items() if _is_column(value)}


def of_phase(model_dir: Path, phase: str) -> dict[str, Value]:
    """The columns of a phase of a run, "search" or "retrain", from its record; empty where none can be read.

    A retraining needs the record of the search for nothing else, so a damaged one must not end it.
    """
    try:
        return columns(read_record(model_dir / phase))
    except UserError:
        return {}


def trial(model_dir: Path) -> str:
    """The name of a row: the last two folders of `model_dir`, and four digits that tell folders of one name apart."""
    path = Path(model_dir).resolve()
    return f"{'/'.join(path.parts[1:][-2:])} {hashlib.sha256(str(path).encode()).hexdigest()[:4]}"


def write(values: Mapping[str, Value], model_dir: Path) -> None:
    """Writes a session of the row of `model_dir` and declares columns and metrics, to the default summary writer.

    Args:
        values: The columns; all sessions of a row need the same.
        model_dir: The folder of the run.
    """
    typed = [hp.HParam(name, _Typed(value, name in LEADING)) for name, value in values.items()]
    metrics = [hp.Metric(tag, group=group, display_name=name) for tag, group, name in METRICS]
    hp.hparams_config(typed, metrics)
    hp.hparams(dict(values), trial_id=trial(model_dir))


class _Typed(hp.Domain):
    """A domain that states the type alone: TensorBoard would hide other trials outside any narrower one."""

    def __init__(self, value: Value, leads: bool):
        self._value, self._leads = value, leads
        self._dtype = bool if isinstance(value, bool) else str if isinstance(value, str) else float

    @property
    def dtype(self):
        """The type of the column; integers are floats too."""
        return self._dtype

    def sample_uniform(self, rng=None) -> Value:
        """The value of this trial, the only one that is known."""
        return self._value

    def update_hparam_info(self, hparam_info) -> None:
        """Fills the description that TensorBoard stores."""
        types = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING, float: api_pb2.DATA_TYPE_FLOAT64}
        hparam_info.type = types[self._dtype]
        hparam_info.differs = self._leads


def _mapping(value) -> Mapping:
    """A part of a record; empty for what is none, which only a damaged record has."""
    return value if isinstance(value, Mapping) else {}


def _kind(part) -> str | None:
    """The class of a part in a record, without the module of one from outside this package."""
    return str(_mapping(part).get(KIND, "")).rpartition(".")[2] or None


def _data(record: Mapping) -> str | None:
    images = _mapping(record.get("images"))
    return images["name"] if "name" in images else _kind(record.get("data"))


def _left_out(name: str) -> bool:
    return any(part in name for part in _LEFT_OUT)


def _is_column(value) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST and value not in ("", "[]")
    return isinstance(value, (bool, int, float))
