"""Measure how long a run has taken in all its sessions. Knows nothing of steps or budgets."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """The clock of one session of a run.

    Attributes:
        started: `time.monotonic()` when this session started.
        earlier: seconds that earlier sessions took.
    """

    started: float
    earlier: float = 0.0

    def elapsed(self) -> float:
        """Seconds that the run has taken so far, all sessions together."""
        return self.earlier + time.monotonic() - self.started
