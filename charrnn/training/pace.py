"""Keeps a run within its --minutes by moving its end as the machine's speed changes.

Knows clocks and the schedule; not how a step is computed. A resumed run goes on with the schedule
that was saved, until it has measured its own speed.
"""

from __future__ import annotations

import statistics
from collections import deque

from charrnn.training.clock import Clock
from charrnn.training.events import OnEvent, WarningEvent
from charrnn.training.plan import VALIDATION_SHARE, closing_seconds
from charrnn.training.trainer import Trainer

BLOCK_SHARE = 0.03
"""Speed is measured over blocks of steps that take this share of the time that is left."""
FEWEST_STEPS = 3
"""In a block."""
BLOCKS = 3
"""The median of so many blocks counts, so that a stall within one of them changes nothing."""
NOTABLE_CHANGE = 0.01
"""Of the steps left: a smaller change does not move the end."""
LARGE_CHANGE = 0.03
"""Of all steps: the user is warned whenever the end has moved by more since the last warning."""


class Pace:
    """Measures a run's speed and moves its end.

    Args:
        seconds: that the whole run may take.
        trainer: whose schedule is kept up to date.
        clock: of the run.
        emit: where warnings go.
    """

    def __init__(self, seconds: float, trainer: Trainer, clock: Clock, emit: OnEvent) -> None:
        settings = trainer.settings
        self._available = seconds - closing_seconds(settings)
        self._trainer = trainer
        self._clock = clock
        self._emit = emit
        self._blocks: deque[float] = deque(maxlen=BLOCKS)  # seconds per step
        self._first_step: int | None = None  # of the block that is being measured
        self._block_started = 0.0
        # Until a validation has been measured, it takes what the plan allows it.
        self._validation = VALIDATION_SHARE * seconds * settings.validate_every / settings.steps
        self._last_reported = trainer.schedule.total

    def add_validation(self, seconds: float) -> None:
        """A validation, with what belongs to it, took `seconds`."""
        self._validation = seconds
        self._block_started += seconds

    def add_step(self) -> None:
        """A step was done; move the end if enough has been measured.

        Raises:
            ListenerError: a warning could not be shown.
        """
        now, step = self._clock.elapsed(), self._trainer.step
        if self._first_step is None:  # a session's first step is slower than the others
            self._first_step, self._block_started = step, now
            return
        steps, seconds = step - self._first_step, now - self._block_started
        if steps < FEWEST_STEPS or seconds < BLOCK_SHARE * (self._available - now) or seconds <= 0:
            return
        self._blocks.append(seconds / steps)
        self._first_step, self._block_started = step, now
        if len(self._blocks) > 1:
            self._move_end(step, self._available - now)

    def _move_end(self, step: int, left: float) -> None:
        """Let the run end when the `left` seconds are over."""
        per_step = statistics.median_low(self._blocks)
        per_step += self._validation / self._trainer.settings.validate_every
        possible = max(1, int((left - self._validation) / per_step))  # one ends every run
        schedule = self._trainer.schedule
        if step >= schedule.total or (
            abs(step + possible - schedule.total) <= NOTABLE_CHANGE * possible
        ):
            return
        schedule.end_at(step + possible, step)
        if abs(schedule.total - self._last_reported) > LARGE_CHANGE * self._last_reported:
            self._emit(
                WarningEvent(
                    f"the machine's speed has changed: the run ends after {schedule.total:,} steps "
                    f"instead of {self._last_reported:,}, to keep --minutes"
                )
            )
            self._last_reported = schedule.total
