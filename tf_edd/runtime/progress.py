"""How far a run is: one line an epoch, and on a terminal a bar below the lines."""

import logging as standard_logging
import sys
import time
from collections.abc import Callable, Mapping

from absl import logging
from tqdm import tqdm

Values = Mapping[str, float] | Callable[[], Mapping[str, float]]

FORMAT = "{desc} {percentage:3.0f} % |{bar}| {remaining} left{postfix}"
LEAST_BAR = 4  # columns


class Progress:
    """Progress of `epochs` x `steps`, with values such as loss, entropy and temperature, images/s and the time left.

        with Progress("search", epochs=25, steps=78) as progress:
            for epoch in range(25):
                for batch in batches:
                    progress.step(images=64, values=lambda: {"loss": float(loss)})
                progress.end_epoch({"loss": mean_loss, "entropy": entropy})

    A callable for `values` is called only when the bar is about to be drawn, so that a GPU need not be waited for in
    every step. What is logged meanwhile stands above the bar.
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
        self._redirected: list[standard_logging.StreamHandler] = []

    def __enter__(self):
        if self._stream.isatty():
            # "smoothing" is low: an epoch's evaluation must not make the time left jump
            look = {"smoothing": 0.05, "dynamic_ncols": True, "bar_format": FORMAT, "leave": False}
            self._bar = tqdm(total=self._epochs * self._steps, initial=self._first, file=self._stream, **look)
            self._bar.set_description_str(self._title(), refresh=True)
            self._redirected = [handler for handler in _handlers() if handler.stream is self._stream]
            for handler in self._redirected:
                handler.setStream(_AboveBar(self._stream))
        return self

    def __exit__(self, *exception):
        for handler in self._redirected:
            handler.setStream(self._stream)
        self._redirected = []
        if self._bar is not None:
            self._bar.close()
            self._bar = None

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
        """Writes the values of a finished epoch; the next step begins the next epoch."""
        _write(self._stream, f"{self._title()}  {'  '.join(self._texts(values))}  {duration(self.seconds_left)} left")
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
        """Draws the bar with as many values as the terminal has room for."""
        self._bar.set_description_str(self._title(), refresh=False)
        columns = self._bar.format_dict["ncols"]  # None where the width is not known
        texts = self._texts(values)
        if columns:
            fixed = len(f"{self._title()} 100 % || 00:00:00 left") + LEAST_BAR
            while texts and fixed + sum(len(text) + 2 for text in texts) > columns:
                texts.pop()
        self._bar.set_postfix_str(", ".join(texts), refresh=True)

    def _texts(self, values: Values | None) -> list[str]:
        values = values() if callable(values) else values or {}
        texts = [f"{name} {value:.4g}" for name, value in values.items()]
        return [*texts, f"{self.images_per_second:.0f} images/s"] if self._images else texts


def announce(name: str, about: str, stream=None) -> None:
    """Shows what begins, before its first step is traced.

    Args:
        name: what runs.
        about: what it runs on, such as the data.
        stream: where a terminal may be; the standard error stream if None.
    """
    text = f"{name}: {about}; tracing the first step, which takes longest ..."
    _write(stream if stream is not None else sys.stderr, text)


def _write(stream, line: str) -> None:
    """A line that stays: on a terminal whatever the verbosity, elsewhere in the log."""
    if stream.isatty():
        tqdm.write(line, file=stream)
    else:
        logging.info("%s", line)


class _AboveBar:
    """A stream of a terminal whose lines stand above the bar, not behind it."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> None:
        """Writes a line that is complete with its end."""
        tqdm.write(text, file=self._stream, end="")

    def flush(self) -> None:
        """Flushes the terminal."""
        self._stream.flush()


def _handlers() -> list[standard_logging.StreamHandler]:
    """What writes log lines to a stream: absl's own handler, and those of the standard logging."""
    if not standard_logging.getLogger().handlers:
        standard_logging.basicConfig()  # as absl does with its first line, which would then go around the bar
    handlers = [logging.get_absl_handler().python_handler, *standard_logging.getLogger().handlers]
    return [handler for handler in handlers if isinstance(handler, standard_logging.StreamHandler)]


def describe_images(record: Mapping) -> str:
    """Name, size and classes of the images in a record of a run."""
    shape = "x".join(map(str, record["image_shape"]))
    return f"{record['name']}, images {shape}, {len(record['class_names'])} classes"


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
