"""How far a run is: a bar on a terminal, one log line an epoch elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping

from absl import logging
from tqdm import tqdm

Values = Mapping[str, float] | Callable[[], Mapping[str, float]]


class Progress:
    """Progress of `epochs` x `steps`, with values such as loss, entropy and temperature, images/s and the time left.

        with Progress("search", epochs=25, steps=78) as progress:
            for epoch in range(25):
                for batch in batches:
                    progress.step(images=64, values=lambda: {"loss": float(loss)})
                progress.end_epoch({"loss": mean_loss, "entropy": entropy})

    A callable for `values` is called only when the bar is about to be drawn, so that a GPU need not be waited for in
    every step.
    """

    def __init__(
        self,
        name: str,
        epochs: int,
        steps: int,
        first_step: int = 0,
        stream=None,
        interval: float = 0.5,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Starts counting.

        Args:
            name: what runs.
            epochs: all epochs of the run.
            steps: steps of an epoch.
            first_step: global step at which this process begins (more than 0 after a resume).
            stream: where the bar goes; the standard error stream if None.
            interval: seconds between two drawings.
            clock: seconds, for tests.
        """
        self._name, self._epochs, self._steps = name, epochs, steps
        self._first = self._step = first_step
        self._stream = stream if stream is not None else sys.stderr
        self._interval, self._clock = interval, clock
        self._begin = self._epoch_begin = self._drawn = clock()
        self._images = 0
        self._bar = None

    def __enter__(self):
        if self._stream.isatty():
            total = self._epochs * self._steps
            # "smoothing" is low: an epoch's evaluation must not make the time left jump
            self._bar = tqdm(total=total, initial=self._first, file=self._stream, smoothing=0.05, dynamic_ncols=True)
            self._bar.set_description(self._title(), refresh=True)
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.close()

    def step(self, images: int = 0, values: Values | None = None) -> None:
        """Counts one step of `images` images; `values` are shown."""
        self._step += 1
        self._images += images
        if self._bar is None:
            return
        self._bar.update(1)
        if self._clock() - self._drawn >= self._interval:
            self._drawn = self._clock()
            self._draw(values)

    def end_epoch(self, values: Values | None = None) -> None:
        """Shows the values of a finished epoch; the next step begins the next epoch."""
        if self._bar is not None:
            self._draw(values)
        else:
            shown = "  ".join(f"{name} {text}" for name, text in self._texts(values).items())
            logging.info("%s  %s  %s left", self._title(), shown, duration(self.seconds_left))
        self._images, self._epoch_begin = 0, self._clock()

    @property
    def images_per_second(self) -> float:
        """Images a second since the epoch began."""
        return self._images / max(self._clock() - self._epoch_begin, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Seconds to the end of the run at the mean speed of this process, evaluation included."""
        done = self._step - self._first
        return (self._clock() - self._begin) / max(done, 1) * (self._epochs * self._steps - self._step)

    def _title(self) -> str:
        epoch = min(max(-(-self._step // self._steps), 1), self._epochs)
        return f"{self._name} {epoch}/{self._epochs}"

    def _draw(self, values: Values | None) -> None:
        self._bar.set_description(self._title(), refresh=False)
        self._bar.set_postfix(self._texts(values), refresh=True)

    def _texts(self, values: Values | None) -> dict[str, str]:
        values = values() if callable(values) else values or {}
        texts = {name: f"{value:.4g}" for name, value in values.items()}
        return {**texts, "images/s": f"{self.images_per_second:.0f}"} if self._images else texts


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
