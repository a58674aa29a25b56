"""How long a run has taken, all its sessions together. Knows nothing of steps or budgets."""

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
        """Seconds of the whole run so far."""
        return self.earlier + time.monotonic() - self.started
