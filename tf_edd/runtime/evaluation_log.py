"""Expensive measurements, kept one by one: a program that starts again reads them from here.

    {"settings": {"seed": 0, ...}}                                  what they depend on
    {"candidate": "|none~0|+...", "fitness": 0.53, ...}             one line a measurement, in the order of their making

A kill in the middle of a line costs that measurement only.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tf_edd.errors import UserError
from tf_edd.runtime import files
from tf_edd.runtime.record import differences

_FINITE = (-sys.float_info.max, sys.float_info.max)


class EvaluationLog:
    """`log(candidate, measure)` measures, or returns what an earlier process has measured at this place.

    The program must ask for the same candidates in the same order each time. With several workers all of them read
    the file and the chief alone writes.

    Args:
        path: the file; it is made with the first measurement.
        settings: JSON-able, what the measurements depend on; a file with other settings is refused.
        chief: whether this process writes.
        anew: takes nothing from a file that is there; the first measurement replaces it.

    Raises:
        UserError: a file that is damaged before its last line, or that belongs to other settings (the difference is
            shown).
    """

    def __init__(self, path, settings: Mapping, chief: bool = True, anew: bool = False):
        self._path, self._chief = Path(path), chief
        self._settings = json.loads(json.dumps(settings))  # as it will be read back: tuples are lists
        lines = files.read_appended(self._path) if self._path.exists() and not anew else []
        if lines:
            self._check_settings(lines[0])
        self._started = bool(lines)
        self._past = _checked(lines[1:], self._path)
        self._position = 0

    @property
    def left(self) -> int:
        """Measurements of earlier processes that were not asked for yet."""
        return len(self._past) - self._position

    def __call__(self, candidate: str, measure: Callable[[], float], **details) -> float:
        """The fitness of a candidate.

        Args:
            candidate: its text.
            measure: called where the log has no measurement left.
            **details: JSON-able, to be kept beside it.

        Raises:
            UserError: the log has another candidate at this place, a fitness that is not finite, a full disk.
        """
        if self.left:
            return self._recall(candidate)
        fitness = float(measure())
        if not math.isfinite(fitness):
            raise UserError(f"Expected a finite fitness. Received: {fitness} of {candidate}")
        if self._chief:
            self._append({"candidate": candidate, "fitness": fitness, **details})
        return fitness

    def check_read(self) -> None:
        """Refuses a log that has more measurements than the program has asked for.

        Raises:
            UserError: There are some.
        """
        if self.left:
            raise UserError(
                f"Expected {self._position} measurements in {self._path}. Received: {len(self._past)} (a damaged log; "
                "to measure anew, remove it)"
            )

    def _recall(self, candidate: str) -> float:
        record = self._past[self._position]
        self._position += 1
        if record["candidate"] != candidate:
            raise UserError(
                f"{self._path}, line {self._position + 1}: expected {candidate}. Received: {record['candidate']} "
                "(the log of another version; to start anew, remove it)"
            )
        return record["fitness"]

    def _append(self, record: dict) -> None:
        if not self._started:
            files.write_lines(self._path, [{"settings": self._settings}])
            self._started = True
        files.append_line(self._path, record)

    def _check_settings(self, line) -> None:
        if not isinstance(line, dict) or not isinstance(line.get("settings"), dict):
            raise UserError(f"{self._path}: expected settings in the first line. Received: {line}")
        if lines := differences(line["settings"], self._settings):
            raise UserError(
                f"Expected the settings that {self._path} was started with. Received: other ones\n"
                + "\n".join(lines)
                + "\nTo start anew, remove that file"
            )


def check_accuracies(path) -> None:
    """Refuses a log whose measurements are no accuracies; one that is not there is none.

    Raises:
        UserError: A fitness outside [0, 1], or a damaged file.
    """
    if Path(path).exists():
        _checked(files.read_appended(path)[1:], path, (0, 1))


def _checked(records: list, path, bounds: tuple[float, float] = _FINITE) -> list[dict]:
    """The measurements of a file, each with a candidate and a fitness within these bounds."""
    for number, record in enumerate(records, start=2):
        if not isinstance(record, dict) or not {"candidate", "fitness"} <= record.keys():
            raise UserError(f"{path}, line {number}: expected candidate and fitness. Received: {record}")
        fitness = record["fitness"]
        good = isinstance(fitness, (int, float)) and not isinstance(fitness, bool)
        if not good or not bounds[0] <= fitness <= bounds[1]:
            raise UserError(
                f"{path}, line {number}: expected a fitness from {bounds[0]:g} to {bounds[1]:g}. Received: {fitness!r} "
                "(a damaged log; to measure anew, remove it)"
            )
    return records
