"""Expensive measurements, kept one by one: a program that starts again reads them from here.

    {"settings": {"seed": 0, ...}}                                  what they depend on
    {"candidate": "|none~0|+...", "fitness": 0.53, ...}             one line a measurement, in the order of their making

A kill in the middle of a line costs that measurement only.
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from tf_edd.errors import UserError
from tf_edd.runtime import files


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
        self._past = [self._checked(record, number) for number, record in enumerate(lines[1:], start=2)]
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
        before, now = _texts(line["settings"]), _texts(self._settings)
        if before != now:
            difference = difflib.unified_diff(before, now, "started with", "received", lineterm="", n=0)
            raise UserError(
                f"Expected the settings that {self._path} was started with. Received: other ones\n"
                + "\n".join(difference)
                + "\nTo start anew, remove that file"
            )

    def _checked(self, record, number: int) -> dict:
        if not isinstance(record, dict) or not {"candidate", "fitness"} <= record.keys():
            raise UserError(f"{self._path}, line {number}: expected candidate and fitness. Received: {record}")
        return record


def _texts(settings: Mapping) -> list[str]:
    return [f"{name}: {json.dumps(value, sort_keys=True)}" for name, value in sorted(settings.items())]
