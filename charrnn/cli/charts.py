"""Draw numbers with block characters. Knows neither colours nor what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

EIGHTHS = " ▁▂▃▄▅▆▇█"
LEVELS = len(EIGHTHS) - 1


def sparkline(values: Sequence[float], width: int, low: float, high: float) -> str:
    """The `values` from left to right as bars of one line; at most `width` of them.

    A bar for `low` has one eighth of the line's height, one for `high` all of it.
    """
    return "".join(curve(values, width, 1, low, high))


def curve(values: Sequence[float], width: int, height: int, low: float, high: float) -> list[str]:
    """The `values` from left to right as bars of `height` lines, from the top to the bottom.

    More values than `width` are averaged in groups.
    """
    steps = [_eighths(value, height * LEVELS, low, high) for value in averaged(values, width)]
    return [
        "".join(EIGHTHS[min(LEVELS, max(0, each - LEVELS * line))] for each in steps)
        for line in reversed(range(height))
    ]


def averaged(values: Sequence[float], count: int) -> list[float]:
    """At most `count` values: means of as many neighbours as are needed for that."""
    if len(values) <= count:
        return list(values)
    bounds = [len(values) * number // count for number in range(count + 1)]
    groups = [values[start:stop] for start, stop in pairwise(bounds)]
    return [sum(group) / len(group) for group in groups]


def resampled(values: Sequence[float], count: int) -> list[float]:
    """Exactly `count` values, if there are any: means of neighbours, or the same ones repeated."""
    if len(values) >= count or not values:
        return averaged(values, count)
    return [values[number * len(values) // count] for number in range(count)]


def _eighths(value: float, most: int, low: float, high: float) -> int:
    """The height of a bar, in eighths of a line: 1 to `most`."""
    share = (value - low) / (high - low) if high > low else 0.0
    return 1 + round(min(1.0, max(0.0, share)) * (most - 1))
