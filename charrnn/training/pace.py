"""Keep a run within its --minutes by changing its number of steps as the machine's speed changes.

Knows clocks and the schedule; not how a step is computed. A resumed run keeps the saved schedule
until it has measured its own speed.
"""

from __future__ import annotations

import statistics
from collections import deque

from charrnn.training.clock import Clock
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.events import OnEvent, WarningEvent
from charrnn.training.plan import VALIDATION_SHARE, ClosingWork, closing_seconds

BLOCK_SHARE = 0.03
"""Speed is measured over blocks of steps that take this share of the remaining time."""
FEWEST_STEPS = 3
"""Minimum steps in a block."""
BLOCKS = 3
"""The speed is the median of this many blocks, so that a stall in one of them has no effect."""
NOTABLE_CHANGE = 0.01
"""As a share of the remaining steps: a smaller change is ignored."""
LARGE_CHANGE = 0.1
"""As a share of all steps: the user is warned of each larger change since the last warning,"""
WARNING_SHARE = 0.1
"""and at most once in this share of the run's time."""


class Pace:
    """Measures a run's speed and changes its number of steps.

    Args:
        seconds: available for the whole run.
        trainer: whose schedule is kept up to date.
        clock: of the run.
        emit: receives warnings.
        most_steps: the number of steps is not raised above it.
        closing: what is to be done after the last step.
    """

    def __init__(
        self,
        seconds: float,
        trainer: AnyTrainer,
        clock: Clock,
        emit: OnEvent,
        most_steps: int,
        closing: ClosingWork,
    ) -> None:
        self._closing = closing
        settings = trainer.settings
        self._most_steps = max(most_steps, trainer.schedule.total)
        self._seconds = seconds
        self._trainer = trainer
        self._clock = clock
        self._emit = emit
        self._blocks: deque[float] = deque(maxlen=BLOCKS)  # seconds per step
        self._first_step: int | None = None  # of the block that is being measured
        self._block_started = 0.0
        # Seconds of a validation: about the planned ones, until one has been measured.
        self._validation = VALIDATION_SHARE * seconds * settings.validate_every / settings.steps
        self._last_reported = trainer.schedule.total
        self._last_warning = 0.0

    @property
    def _available(self) -> float:
        """Seconds of the whole run until its last step."""
        settings = self._trainer.settings
        return self._seconds - closing_seconds(settings, self._validation, self._closing)

    def add_validation(self, seconds: float) -> None:
        """Record that a validation, with sample and saving, took `seconds`."""
        self._validation = seconds
        self._block_started += seconds

    def add_step(self) -> None:
        """Record a step; change the number of steps if enough has been measured.

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
            self._report(now)

    def _move_end(self, step: int, left: float) -> None:
        """Let the run end after `left` more seconds."""
        per_step = statistics.median_low(self._blocks)
        per_step += self._validation / self._trainer.settings.validate_every
        possible = max(1, int((left - self._validation) / per_step))  # the run ends with one
        possible = min(possible, self._most_steps - step)
        schedule = self._trainer.schedule
        if step >= schedule.total or (
            abs(step + possible - schedule.total) <= NOTABLE_CHANGE * possible
        ):
            return
        schedule.end_at(step + possible, step)

    def _report(self, now: float) -> None:
        total, reported = self._trainer.schedule.total, self._last_reported
        due = now - self._last_warning >= WARNING_SHARE * self._available
        if due and abs(total - reported) > LARGE_CHANGE * reported:
            slower = "slower" if total < reported else "faster"
            self._emit(
                WarningEvent(
                    f"steps are {slower} than expected: the run ends after {total:,} steps instead "
                    f"of {reported:,}, to keep --minutes"
                )
            )
            self._last_reported, self._last_warning = total, now
