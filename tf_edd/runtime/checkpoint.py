"""Checkpoints of a whole run: variables and Python state in one write, restored from the newest intact one."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
import tensorflow as tf
from absl import logging

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.file_names import GENOTYPES

_INDEX = "checkpoint"  # TensorFlow's file of the names of all checkpoints
# What TensorFlow raises for truncated, altered or missing files, or for a checkpoint of another network.
_BROKEN = (tf.errors.OpError, ValueError, LookupError, RuntimeError, AssertionError)


class Stateful(Protocol):
    """An object whose state is a JSON-able dict."""

    def state_dict(self) -> dict:
        """The state to save."""

    def load_state_dict(self, state: dict) -> None:
        """Takes a saved state."""


@runtime_checkable
class HasVariables(Protocol):
    """A model, a layer, an optimizer, the architecture logits."""

    variables: Iterable


def variables_of(trackable: Any) -> list[tf.Variable]:
    """The TensorFlow variables of a model, a layer, an optimizer, one variable, or a list of these, in a fixed order.

    Args:
        trackable: anything with `.variables`, a `tf.Variable`, a `keras.Variable`, or an iterable of these.

    Returns:
        The variables; a Keras variable gives the TensorFlow variable it wraps.

    Raises:
        TypeError: something else.
    """
    if isinstance(trackable, keras.Variable):
        return [trackable.value]
    if isinstance(trackable, tf.Variable):
        return [trackable]
    if isinstance(trackable, HasVariables):
        return variables_of(list(trackable.variables))
    if isinstance(trackable, Mapping):
        return variables_of([trackable[key] for key in sorted(trackable)])
    if isinstance(trackable, Iterable):
        return [variable for element in trackable for variable in variables_of(element)]
    raise TypeError(f"Expected variables or an object that has some. Received: {type(trackable).__name__}")


class _Text(tf.train.experimental.PythonState):
    """A JSON text inside a TensorFlow checkpoint."""

    def __init__(self):
        self.text = "{}"

    def serialize(self):
        return self.text

    def deserialize(self, string_value):
        self.text = string_value


class Checkpointer:
    """Saves and restores a run; a kill at any moment leaves a directory that restores.

    Each checkpoint is `ckpt-<step>.index` and its data file, as `tf.train.CheckpointManager` names them, so that
    `tf.train.latest_checkpoint` and `tf.train.list_variables` work on the directory. The Python state travels as JSON
    inside the checkpoint: variables and state can never be of different moments.

    Optimizers must be built before (their slots are part of what is saved). With several workers every worker calls
    `save` (reading its variables may be a collective operation), and only the chief's files are kept.
    """

    def __init__(
        self,
        directory,
        trackables: Mapping[str, Any],
        python_state: Stateful,
        max_to_keep: int = 3,
        chief: bool = True,
    ):
        """Prepares saving; reads and writes nothing.

        Args:
            directory: where the checkpoints lie.
            trackables: name -> model, optimizer, variable or list of them.
            python_state: object with `state_dict()` and `load_state_dict(dict)`.
            max_to_keep: how many checkpoints are kept, at least 1.
            chief: whether this process writes.
        """
        if max_to_keep < 1:
            raise UserError(f"max_to_keep must be at least 1. Received: max_to_keep={max_to_keep}")
        self._directory = Path(directory)
        self._python_state = python_state
        self._text = _Text()
        self._max_to_keep = max_to_keep
        self._chief = chief
        groups = {name: variables_of(trackable) for name, trackable in trackables.items()}
        self._checkpoint = tf.train.Checkpoint(python_state=self._text, **groups)

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints in the directory, oldest first, intact or not."""
        matches = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in self._directory.glob("ckpt-*.index"))
        return sorted(int(match.group(1)) for match in matches if match)

    def save(self, step: int) -> None:
        """Writes `ckpt-<step>` and removes the oldest ones beyond `max_to_keep`.

        Raises:
            UserError: full disk or unwritable directory; older checkpoints are kept.
        """
        self._text.text = json.dumps(self._python_state.state_dict())
        if not self._chief:
            return self._write_and_forget()
        files.make_folder(self._directory)
        self._remove_leftovers()
        try:
            self._write_whole(int(step))
        except (tf.errors.OpError, OSError) as error:
            self._remove_leftovers()
            raise files.write_error(self._prefix(step), error) from error
        self._keep_newest()

    def restore(self) -> int | None:
        """Restores the newest intact checkpoint.

        Returns:
            Its step, or None if the directory has no checkpoint.

        Raises:
            UserError: there are checkpoints and none can be restored, or there were some and none is left.
        """
        if not self.steps:
            self._check_new()
        failures = {}
        for step in reversed(self.steps):
            try:
                state = self._read(step)
            except _BROKEN as error:
                failures[step] = _first_line(error)
                logging.warning("Checkpoint %s cannot be restored (%s)", self._prefix(step), failures[step])
                continue
            self._python_state.load_state_dict(state)
            self._set_aside(failures)
            logging.info("Restored %s", self._prefix(step))
            return step
        if failures:
            reasons = "\n".join(f"  ckpt-{step}: {reason}" for step, reason in failures.items())
            raise UserError(
                f"Expected an intact checkpoint in {self._directory}. Received: none that restores\n{reasons}"
            )
        return None

    def _check_new(self) -> None:
        """Refuses a directory whose checkpoints are gone: a run that starts again from zero would be another one."""
        log = self._directory / GENOTYPES
        epochs = files.read_text(log).count("\n") if log.is_file() else 0
        # The log of an epoch is written before its checkpoint, so one epoch alone may be without.
        if (self._directory / _INDEX).exists() or epochs > 1:
            told = f" ({GENOTYPES} has {epochs} epochs)" if epochs else ""
            raise UserError(
                f"Expected a checkpoint in {self._directory}, which had some{told}. Received: none is left. "
                "--overwrite starts anew"
            )

    def _prefix(self, step: int) -> Path:
        return self._directory / f"ckpt-{step}"

    def _read(self, step: int) -> dict:
        status = self._checkpoint.read(str(self._prefix(step)))
        status.assert_existing_objects_matched()
        status.assert_consumed()  # a variable of the checkpoint that nothing takes is a different network
        return json.loads(self._text.text)

    def _write_whole(self, step: int) -> None:
        # Written elsewhere and renamed, index last: a checkpoint whose index has its final name is complete.
        folder = Path(tempfile.mkdtemp(prefix=files.TEMPORARY, dir=self._directory))
        self._checkpoint.write(str(folder / f"ckpt-{step}"))
        for path in sorted(folder.iterdir()):  # "ckpt-1.data-..." sorts before "ckpt-1.index"
            path.replace(self._directory / path.name)
        folder.rmdir()

    def _write_and_forget(self) -> None:
        with files.temporary_folder() as folder:
            self._checkpoint.write(f"{folder}/ckpt")

    def _remove_leftovers(self) -> None:
        """Removes what an interrupted save has left: temporary folders, and data whose index never came."""
        for path in self._directory.glob("ckpt-*.data-*"):
            if not path.with_name(path.name.split(".data-")[0] + ".index").exists():
                path.unlink()
        for path in self._directory.glob(f"{files.TEMPORARY}*"):
            if path.is_dir():
                shutil.rmtree(path)

    def _keep_newest(self) -> None:
        steps = self.steps
        kept = steps[-self._max_to_keep :]
        for step in steps[: -self._max_to_keep]:
            self._prefix(step).with_suffix(".index").unlink()
            for path in self._directory.glob(f"ckpt-{step}.data-*"):
                path.unlink()
        lines = [f'model_checkpoint_path: "ckpt-{kept[-1]}"']
        lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in kept]
        files.write_lines(self._directory / _INDEX, lines)  # for tf.train.latest_checkpoint; never read here

    def _set_aside(self, failures: Mapping[int, str]) -> None:
        """Renames broken checkpoints, so that they neither count among the kept ones nor warn again."""
        if not self._chief:
            return
        for step in failures:
            for path in self._directory.glob(f"ckpt-{step}.*"):
                path.replace(path.with_name(f"broken-{path.name}"))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}"


def read_part(directory, trackables: Mapping[str, Any]) -> dict:
    """Restores some of what the newest intact checkpoint of a directory holds; nothing there is changed.

    Args:
        directory: where a `Checkpointer` saves.
        trackables: name -> object, those of the `Checkpointer` that are wanted.

    Returns:
        The Python state.

    Raises:
        UserError: no checkpoint, or none whose variables of these names are those of the objects.
    """
    failures = []
    text, groups = _Text(), {name: variables_of(trackable) for name, trackable in trackables.items()}
    reader = tf.train.Checkpoint(python_state=text, **groups)
    for step in reversed(Checkpointer(directory, {}, None).steps):
        prefix = str(Path(directory) / f"ckpt-{step}")
        try:
            _check_part(prefix, groups)
            reader.read(prefix).assert_existing_objects_matched().expect_partial()
            return json.loads(text.text)
        except _BROKEN as error:
            failures.append(f"  ckpt-{step}: {_first_line(error)}")
    reasons = "\n".join(["none that fits" if failures else "none", *failures])
    raise UserError(f"Expected an intact checkpoint of {', '.join(groups)} in {directory}. Received: {reasons}")


def _check_part(prefix: str, groups: Mapping[str, list]) -> None:
    """Refuses a checkpoint with more variables of these names than there are objects for."""
    names = [name for name, _ in tf.train.list_variables(prefix)]
    for group, variables in groups.items():
        saved = sum(name.startswith(f"{group}/") for name in names)
        if saved != len(variables):
            raise ValueError(f"it has {saved} variables of {group}, the network {len(variables)}")
