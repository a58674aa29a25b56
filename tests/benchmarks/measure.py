"""Two ways to do one thing, timed in turn, and what their comparison is called in the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

Side = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Median seconds of what is measured and of what it is compared with.

    Attributes:
        measured, reference: seconds.
        speed_up: median over the rounds of reference / measured.
    """

    measured: float
    reference: float
    speed_up: float

    @property
    def slow_down(self) -> float:
        return 1 / self.speed_up


@dataclass(frozen=True)
class Row:
    """One line of the table: `value` is to be at least, or at most, `target`."""

    name: str
    measured: str
    reference: str
    value: float
    unit: str = "x"
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def record(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "met": self.met}

    def cells(self) -> tuple[str, ...]:
        """For the table."""
        target = "" if self.target is None else f"{'<=' if self.at_most else '>='} {self.target:g}"
        met = {None: "", True: "yes", False: "NO"}[self.met]
        value = f"{self.value:.2f} {self.unit}"
        return self.name, self.measured, self.reference, value, target, met, self.note


COLUMNS = ("benchmark", "measured", "reference", "value", "target", "met", "")


def seconds(side: Side) -> float:
    """How long it takes once."""
    started = time.perf_counter()
    side()
    return time.perf_counter() - started


def paired(measured: Side, reference: Side, rounds: int, warm: bool = True) -> Pair:
    """Time both in turn; `warm`: run each once untimed before each timing, so that threads that
    the other side left spinning have come to rest."""
    times = []
    for _ in range(rounds):
        pair = []
        for side in (measured, reference):
            if warm:
                side()
            pair.append(seconds(side))
        times.append(pair)
    return Pair(
        statistics.median(pair[0] for pair in times),
        statistics.median(pair[1] for pair in times),
        statistics.median(pair[1] / pair[0] for pair in times),
    )


def micro(duration: float) -> str:
    return f"{duration * 1e6:,.0f} us"


def rate(characters: float, duration: float) -> str:
    return f"{characters / duration:,.0f} char/s"
