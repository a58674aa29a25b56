"""Warn when a run's gradients keep vanishing or exploding. Knows neither files nor terminals."""

from __future__ import annotations

from charrnn.training.events import OnEvent, WarningEvent
from charrnn.training.trainer import StepResult

STEPS = 100
"""In a row, of one kind, before there is a warning."""
VANISHED, EXPLODED = 1e-4, 100.0
"""Norms below and above which there is reason for one; that of a network that learns is near 1."""
LEARNT = 0.1
"""Nats per character; where the loss is lower, a small gradient is a success."""


class GradientWatch:
    """Emits one warning, at most, for each of both troubles.

    Args:
        emit: receives the warnings.
        clip: the norm to which gradients are clipped.
    """

    def __init__(self, emit: OnEvent, clip: float) -> None:
        self._emit = emit
        self._clip = clip
        self._vanished = self._exploded = 0
        self._warned: set[str] = set()

    def add(self, result: StepResult) -> None:
        """Count a step."""
        norm = result.gradient_norm
        self._vanished = self._vanished + 1 if norm < VANISHED and result.loss > LEARNT else 0
        self._exploded = self._exploded + 1 if norm > EXPLODED else 0
        if self._vanished == STEPS:
            self._warn_once(
                "vanish",
                f"gradients vanish: their norm has been below {VANISHED:g} for {STEPS} steps, at a "
                f"loss of {result.loss:.2f} nats, so next to nothing is learnt; try --cell lstm, "
                "fewer --layers, or another --seed",
            )
        if self._exploded == STEPS:
            self._warn_once(
                "explode",
                f"gradients explode: their norm has been above {EXPLODED:g} for {STEPS} steps, and "
                f"is clipped to {self._clip:g}, which leaves little of them; try lower --rate and "
                "--muon-rate, a shorter --chunk, or --cell lstm",
            )

    def _warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._emit(WarningEvent(message))
