"""Measure how long a run has taken in all its sessions. Knows nothing of steps or budgets."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

FIXED_DATE = "SOURCE_DATE_EPOCH"
"""The variable by which programs that write reproducible files are told what date it is:
https://reproducible-builds.org/specs/source-date-epoch/"""


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


def date_and_duration(seconds: float) -> dict[str, Any]:
    """When a model was saved, in ISO 8601, and the `seconds` it was trained for, as recorded in it.

    If the date is fixed by SOURCE_DATE_EPOCH, the duration is left out, so that equal runs give
    equal files.
    """
    fixed = os.environ.get(FIXED_DATE, "")
    if fixed.isdecimal():
        return {"saved": _iso(float(fixed))}
    return {"saved": _iso(time.time()), "seconds": round(seconds, 1)}


def _iso(date: float) -> str:
    return datetime.fromtimestamp(date, timezone.utc).isoformat(timespec="seconds")
