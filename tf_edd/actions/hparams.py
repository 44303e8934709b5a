"""The configuration of a search as rows of TensorBoard's HParams page."""

import ast
import re
from collections.abc import Mapping

from tensorboard.plugins.hparams import api as hp
from tensorboard.plugins.hparams import api_pb2

Value = bool | int | float | str

# (tag, sub-folder of the search whose event files hold it)
METRICS = (
    ("accuracy/discretized", "valid"),
    ("accuracy/valid", "valid"),
    ("loss/valid", "valid"),
    ("loss/weights", "train"),
    ("arch/entropy", "train"),
    ("table/cifar10_test", "train"),
)
_BINDING = re.compile(r"([A-Za-z_][\w./]*)\s*=\s*(.*)", re.DOTALL)
_MACRO = re.compile(r"%([\w./]+)")


def flat_bindings(config: str) -> dict[str, Value]:
    """The bindings of a gin text: numbers, booleans and strings as they are, anything else as its text.

    A macro that is bound to a value is replaced by it.
    """
    texts = dict(found.groups() for found in map(_BINDING.fullmatch, _statements(config)) if found)
    return {name: _value(text, texts) for name, text in texts.items()}


def _statements(config: str) -> list[str]:
    """The statements, each on one line; lines that begin with a blank or a closing bracket continue the one before."""
    statements: list[str] = []
    for line in config.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if statements and line[0] in " \t)]}":
            statements[-1] = f"{statements[-1].removesuffix(chr(92)).rstrip()} {line.strip()}"
        else:
            statements.append(line.rstrip())
    return statements


def _value(text: str, texts: Mapping[str, str]) -> Value:
    text = text.strip()
    if (found := _MACRO.fullmatch(text)) and found.group(1) in texts:
        return _value(texts[found.group(1)], {})
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a reference such as @argmax(), which is a fine value for a table of trials
        return text
    return value if isinstance(value, Value) else text


class _Typed(hp.Domain):
    """A domain that only tells the type: the page filters other trials by any narrower one."""

    def __init__(self, value: Value):
        self._value = value
        self._dtype = bool if isinstance(value, bool) else str if isinstance(value, str) else float

    @property
    def dtype(self):
        """The type of the column; integers are numbers as any."""
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
    columns = [hp.HParam(name, _Typed(value)) for name, value in values.items()]
    hp.hparams_config(columns, [hp.Metric(tag, group=group) for tag, group in METRICS])
    hp.hparams(dict(values))
