"""What a person watches while a model is trained: time left, speed, loss curves, latest sample.

Makes lines of text from events; knows nothing of terminals. All figures are the network's, so that
each can be compared with those before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from charrnn.cli.charts import averaged, curve, resampled
from charrnn.cli.layout import wrap
from charrnn.cli.terminal import visible
from charrnn.training.events import SampleEvent, StepEvent, ValidationEvent

Line: TypeAlias = tuple[str, str]
"""A line and its style: "" or "dim"."""
HINT = "Ctrl-C saves; run it again to go on"
MARGIN = "  | "
MOST_POINTS = 2048
"""Of more training losses, neighbours are averaged."""
WIDEST = 120
WIDE, LABEL = 60, 24
"""From WIDE columns on, the LABEL columns beside a curve have its figures."""
HIGH, CURVE = 20, 3
"""From HIGH lines on, a curve has CURVE lines, otherwise one."""
SAMPLE_LINES = 5
FIRST_SHARE = 0.2
"""The scale of the curves ignores this share of the run so far, whose losses are much higher."""


class Dashboard:
    """The state of a run, as its events tell it.

    Args:
        step, steps: updates so far, and in the whole run.
        blocks: whether block characters can be shown.
        raw: leave control characters in samples as they are.
    """

    def __init__(self, step: int, steps: int, blocks: bool = True, raw: bool = False) -> None:
        self._first, self._step, self._steps = step, step, steps
        self._blocks, self._raw = blocks, raw
        self._started: float | None = None
        self._seconds = 0.0
        self._speed = 0.0
        self._training: list[float] = []
        self._validation: list[float] = []
        self._best: tuple[float, float] | None = None
        self._sample: SampleEvent | None = None
        self._unit = "the network's loss, nats"

    def add_step(self, event: StepEvent) -> None:
        """Some steps were done."""
        if self._started is None:
            self._first, self._started = event.step, event.seconds
        self._step, self._steps, self._seconds = event.step, event.steps, event.seconds
        self._speed = event.characters_per_second
        if event.pseudo:
            self._unit = "the reader's loss, pseudo-nats"
        if math.isfinite(event.nats_per_character):
            self._training.append(event.nats_per_character)
        if len(self._training) > MOST_POINTS:
            self._training = averaged(self._training, MOST_POINTS // 2)

    def add_validation(self, event: ValidationEvent) -> None:
        """The network was measured."""
        self._seconds = event.seconds
        loss = event.nats_per_character
        if loss is not None:
            self._validation.append(loss)
            if event.best:
                self._best = loss, event.seconds

    def add_sample(self, event: SampleEvent) -> None:
        """The network wrote a text."""
        self._sample = event

    def frame(self, width: int, height: int) -> list[Line]:
        """The lines to show, at most `height` - 1 of at most `width` columns."""
        width = min(width, WIDEST)
        lines: list[Line] = [(self._progress(width), "")]
        lines += [(line, "") for line in self._curves(width, CURVE if height >= HIGH else 1)]
        lines += [(line, "dim") for line in self._written(width, height - len(lines) - 3)]
        # Last, and short: a terminal writes ^C behind it.
        return [*lines, (HINT[: width - 2], "dim")]

    def _progress(self, width: int) -> str:
        """Time left first, then a bar, share and speed, as far as there is room."""
        share = self._step / max(1, self._steps)
        left, percent = f"{self._time_left()} left", f"{share:4.0%}"
        speed = f"  {self._speed:,.0f} char/s" if width >= WIDE else ""
        room = width - len(left) - len(percent) - len(speed) - 4
        done = round(min(1.0, share) * room)
        bar = "━" * done + "─" * (room - done) if self._blocks else "#" * done + "." * (room - done)
        return f"{left}  {bar}  {percent}{speed}"

    def _time_left(self) -> str:
        done = self._step - self._first
        if self._started is None or done <= 0:
            return "?:??"
        per_step = (self._seconds - self._started) / done
        return duration(per_step * max(0, self._steps - self._step))

    def _curves(self, width: int, height: int) -> list[str]:
        lines = [f"{self._unit} per character"] if self._training else []
        later = [losses[int(FIRST_SHARE * len(losses)) :] for losses in self._losses()]
        values = [value for losses in later for value in losses]
        for name, losses, note in (
            ("training", self._training, ""),
            ("validation", self._validation, self._best_so_far()),
        ):
            if losses:
                figures = [f"{name} {losses[-1]:.4f}", *([note] if note else [])]
                chart = self._chart(losses, width, height, min(values), max(values))
                lines += _beside(chart, figures) if width >= WIDE else ["  ".join(figures), *chart]
        return [line[:width] for line in lines]

    def _losses(self) -> list[list[float]]:
        return [self._training, self._validation]

    def _chart(
        self, losses: Sequence[float], width: int, height: int, low: float, high: float
    ) -> list[str]:
        """A curve as far across the screen as the run has come."""
        if not self._blocks:
            return [""] * height if width >= WIDE else []
        room = width - LABEL - 2 if width >= WIDE else width
        columns = max(1, round(room * min(1.0, self._step / max(1, self._steps))))
        points = resampled(losses, columns)
        return [line.ljust(room) for line in curve(points, columns, height, low, high)]

    def _best_so_far(self) -> str:
        if self._best is None:
            return ""
        loss, seconds = self._best
        return f"best {loss:.4f}, {duration(self._seconds - seconds)} ago"

    def _written(self, width: int, room: int) -> list[str]:
        """The beginning of the latest sample, with a margin on every line."""
        if self._sample is None or room < 2:
            return []
        text = self._sample.text if self._raw else visible(self._sample.text)
        lines = [part for line in text.split("\n") for part in wrap(line, width - len(MARGIN))]
        shown = lines[: min(SAMPLE_LINES, room - 1)]
        return [f"sample at step {self._sample.step:,}", *(MARGIN + line for line in shown)]


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours if there are any: 1:05, 1:01:05."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _beside(chart: list[str], figures: list[str]) -> list[str]:
    """A curve with its figures to the right, as far as there are lines for them."""
    if len(chart) < len(figures):
        figures = figures[: len(chart)]
    labels = [*figures, *[""] * (len(chart) - len(figures))]
    return [f"{line}  {label}".rstrip() for line, label in zip(chart, labels, strict=True)]
