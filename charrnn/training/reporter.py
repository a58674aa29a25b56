"""Emit step events at a rate that can be read and stored. Knows neither files nor terminals."""

from __future__ import annotations

from charrnn.training.clock import Clock
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.events import OnEvent, StepEvent
from charrnn.training.gradient_watch import GradientWatch
from charrnn.training.trainer import StepResult

STEP_EVENT_SECONDS = 0.5


class StepReporter:
    """Emits a step event about every STEP_EVENT_SECONDS, with means since the last one.

    Args:
        emit: receives the events.
        trainer: whose steps are reported.
        clock: of the run.
    """

    def __init__(self, emit: OnEvent, trainer: AnyTrainer, clock: Clock) -> None:
        self._emit = emit
        self._trainer = trainer
        self._clock = clock
        self._last: StepResult | None = None
        self._watch = GradientWatch(emit, trainer.settings.clip)
        self.restart()

    def restart(self) -> None:
        """Discard the steps not reported yet, and measure time from now on."""
        self._reported = self._clock.elapsed()
        self._loss = 0.0
        self._characters = 0
        self._steps = self._clipped = 0

    def add(self, result: StepResult) -> None:
        """Count a step, and emit an event if it is time."""
        self._loss += result.loss * result.characters
        self._characters += result.characters
        self._last = result
        self._steps += 1
        self._clipped += result.gradient_norm > self._trainer.settings.clip
        self._watch.add(result)
        if self._clock.elapsed() - self._reported >= STEP_EVENT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Emit an event for the steps not reported yet, if there are any."""
        if self._last is None or not self._characters:
            return
        now = self._clock.elapsed()
        settings, factor = self._trainer.settings, self._last.rate_factor
        self._emit(
            StepEvent(
                step=self._trainer.step,
                steps=self._trainer.schedule.total,
                nats_per_character=self._loss / self._characters,
                gradient_norm=self._last.gradient_norm,
                clipped=self._clipped / self._steps,
                rate=factor * settings.rate,
                muon_rate=factor * settings.muon_rate,
                characters_per_second=self._characters / max(1e-9, now - self._reported),
                seconds=now,
                pseudo=settings.bidirectional,
            )
        )
        self.restart()
