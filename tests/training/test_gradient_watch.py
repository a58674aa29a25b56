from __future__ import annotations

import pytest

from charrnn.training.events import Event, WarningEvent
from charrnn.training.gradient_watch import EXPLODED, LEARNT, STEPS, VANISHED, GradientWatch
from charrnn.training.trainer import StepResult


def warnings(*steps: tuple[int, float, float]) -> list[str]:
    """What is said of steps given as (how many, gradient norm, loss)."""
    events: list[Event] = []
    watch = GradientWatch(events.append, clip=1.0)
    for count, norm, loss in steps:
        for _ in range(count):
            watch.add(StepResult(loss, norm, 1.0, 100))
    assert all(isinstance(event, WarningEvent) for event in events)
    return [event.message.partition(":")[0] for event in events if isinstance(event, WarningEvent)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(10 * STEPS, 1.0, 2.0)], []),
        ([(STEPS, VANISHED / 2, 2.0)], ["gradients vanish"]),
        ([(STEPS - 1, VANISHED / 2, 2.0), (1, 1.0, 2.0), (1, VANISHED / 2, 2.0)], []),
        ([(STEPS, VANISHED / 2, LEARNT / 2)], []),  # nothing is left to learn
        ([(STEPS, 2 * EXPLODED, 2.0)], ["gradients explode"]),
        ([(STEPS - 1, 2 * EXPLODED, 2.0), (1, 1.0, 2.0), (STEPS - 1, 2 * EXPLODED, 2.0)], []),
        (
            [(STEPS, 2 * EXPLODED, 2.0), (STEPS, VANISHED / 2, 2.0), (9, 1.0, 2.0)] * 2,
            ["gradients explode", "gradients vanish"],
        ),
    ],
)
def test_what_lasts_is_told_once(
    steps: list[tuple[int, float, float]], expected: list[str]
) -> None:
    assert warnings(*steps) == expected
