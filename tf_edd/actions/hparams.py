"""The record of a search as a row of TensorBoard's HParams page."""

from collections.abc import Mapping

from tensorboard.plugins.hparams import api as hp
from tensorboard.plugins.hparams import api_pb2

from tf_edd.runtime.record import flatten

Value = bool | int | float | str

LONGEST = 200  # characters; longer texts are no columns
# (tag, sub-folder of the search whose event files hold it)
METRICS = (
    ("accuracy/discretized", "valid"),
    ("accuracy/valid", "valid"),
    ("loss/valid", "valid"),
    ("loss/weights", "train"),
    ("arch/entropy", "train"),
    ("table/cifar10_test", "train"),
)


def columns(record: Mapping) -> dict[str, Value]:
    """The values of a record by their dotted names, the parts before what they were made of.

    None is written as text, and texts of more than 200 characters are left out.
    """
    values = {name: "None" if value is None else value for name, value in flatten(record).items()}
    short = [(name, value) for name, value in values.items() if not (isinstance(value, str) and len(value) > LONGEST)]
    return dict(sorted(short, key=lambda item: item[0].count(".")))


class _Typed(hp.Domain):
    """A domain that states the type alone: TensorBoard would hide other trials outside any narrower one."""

    def __init__(self, value: Value):
        self._value = value
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


def write(values: Mapping[str, Value]) -> None:
    """Writes the values of this trial and declares the metrics, to the default summary writer."""
    typed = [hp.HParam(name, _Typed(value)) for name, value in values.items()]
    hp.hparams_config(typed, [hp.Metric(tag, group=group) for tag, group in METRICS])
    hp.hparams(dict(values))
