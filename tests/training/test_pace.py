"""Keeping --minutes, on a clock that does what the test says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.text.reading import Reading
from charrnn.training import beginning, clock
from charrnn.training.clock import Clock
from charrnn.training.events import Event, WarningEvent
from charrnn.training.pace import Pace
from charrnn.training.plan import ClosingWork
from charrnn.training.request import Budget, TrainingRequest
from charrnn.training.session import train
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.trainer import Schedule, Trainer
from tests.faults.support import history, parts
from tests.support import prose

MINUTES = 5.0
SECONDS = 60 * MINUTES
STEPS = 3000  # planned, of 0.1 seconds each
Speed = Callable[[float], float]
"""Seconds that have passed -> seconds that the next step takes."""


class FakeClock:
    """Stands for `time` in charrnn.training.clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch)


class Course(NamedTuple):
    """How a simulated run went."""

    seconds: float
    ends: list[int]  # at each step
    warnings: list[str]


def simulate(
    fake: FakeClock, speed: Speed, validation: float = 0.0, most_steps: int = 10**9
) -> Course:
    """A run whose steps and validations do nothing but take their time."""
    settings = replace(DEFAULTS, steps=STEPS, validate_every=300)
    trainer: Any = SimpleNamespace(settings=settings, step=0, schedule=Schedule(STEPS))
    events: list[Event] = []
    pace = Pace(SECONDS, trainer, Clock(0.0), events.append, most_steps, ClosingWork())
    ends = []
    while trainer.step < trainer.schedule.total:
        fake.now += speed(fake.now)
        trainer.step += 1
        pace.add_step()
        ends.append(trainer.schedule.total)
        if trainer.step % 300 == 0 or trainer.step == trainer.schedule.total:
            fake.now += validation
            pace.add_validation(validation)
    assert all(isinstance(event, WarningEvent) for event in events)
    return Course(fake.now, ends, [event.message for event in events])  # type: ignore[union-attr]


def stall(at: float, seconds: float) -> Speed:
    return lambda now: seconds if at <= now < at + 0.1 else 0.097


SPEEDS: dict[str, Speed] = {
    "as planned": lambda now: 0.099,
    "twice as slow all along": lambda now: 0.2,
    "twice as fast all along": lambda now: 0.05,
    "twice as slow from the middle on": lambda now: 0.1 if now < SECONDS / 2 else 0.2,
    "five times as slow for the last fifth": lambda now: 0.1 if now < SECONDS * 0.8 else 0.5,
    "ever slower": lambda now: 0.08 + 0.1 * now / SECONDS,
    "a stall of ten seconds": stall(100.0, 10.0),
    "a stall near the end": stall(280.0, 6.0),
}


@pytest.mark.parametrize("speed", SPEEDS.values(), ids=SPEEDS.keys())
@pytest.mark.parametrize("validation", [0.0, 2.0])
def test_a_run_ends_when_its_minutes_are_over(
    speed: Speed, validation: float, fake: FakeClock
) -> None:
    assert simulate(fake, speed, validation).seconds == pytest.approx(SECONDS, rel=0.03)


def test_the_end_is_not_moved_beyond_what_the_text_is_worth(fake: FakeClock) -> None:
    course = simulate(fake, SPEEDS["twice as fast all along"], most_steps=STEPS)
    assert set(course.ends) == {STEPS}
    assert course.seconds == pytest.approx(SECONDS / 2, rel=0.03)
    assert course.warnings == []


def test_a_stall_moves_the_end_by_what_it_took_and_no_more(fake: FakeClock) -> None:
    course = simulate(fake, stall(100.0, 10.0))
    assert min(course.ends) > STEPS - 1.3 * 10.0 / 0.097


def test_the_user_is_warned_of_large_moves_of_the_end_only(fake: FakeClock) -> None:
    assert simulate(fake, SPEEDS["as planned"]).warnings == []
    fake.now = 0.0
    course = simulate(fake, SPEEDS["ever slower"])
    announced = STEPS
    for warning in course.warnings:
        numbers = re.findall(r"[0-9,]{3,}", warning)
        end, before = (int(number.replace(",", "")) for number in numbers)
        assert f"ends after {end:,} steps instead of {before:,}" in warning
        assert before == announced
        assert abs(end - before) > 0.03 * before
        assert end in course.ends
        announced = end
    assert len(course.warnings) > 2
    assert abs(course.ends[-1] - announced) <= 0.04 * announced


def test_an_unsteady_machine_is_not_reported_all_the_time(fake: FakeClock) -> None:
    """At most once in a tenth of the run, however the speed jumps about."""
    speed = np.random.default_rng(1).choice([0.05, 0.2], 300)
    course = simulate(fake, lambda now: float(speed[int(now / 9)]))
    assert 0 < len(course.warnings) <= 10
    assert course.seconds == pytest.approx(SECONDS, rel=0.1)


# --- in a run


RUN = Path("run")
SMALL: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch": 4, "chunk": 8, "precision": "float32",
    "dropout": 0.2, "validation": 0.1, "ngram_order": 0, "patience": 0,
}


def run(output: Path, fake: FakeClock, on_event: Callable[[Event], None]) -> None:
    Path("corpus.txt").write_text(prose(30))
    budget = Budget(minutes=0.5)
    train(
        TrainingRequest(
            ("corpus.txt",), Reading(), budget, output, SMALL, device="cpu", started=fake.now
        ),
        on_event,
    )


@pytest.fixture
def slowing(fake: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Half a minute is planned to be 300 steps; but each takes longer than the one before."""
    planned = Settings(**SMALL, steps=300, validate_every=60)
    monkeypatch.setattr(beginning, "choose_settings", lambda *_: planned)
    step = Trainer.train_step

    def train_step(trainer: Trainer) -> Any:
        fake.now += 0.08 + 0.0008 * trainer.step
        return step(trainer)

    monkeypatch.setattr(Trainer, "train_step", train_step)
    return fake


def schedule_of(output: Path) -> dict[str, Any]:
    description = parts((output / "training.safetensors").read_bytes())[1]
    return dict(description["schedule"])


def step_of(output: Path) -> int:
    return int(parts((output / "training.safetensors").read_bytes())[1]["step"])


def test_a_run_on_a_machine_that_slows_down_keeps_its_minutes(slowing: FakeClock) -> None:
    events: list[Event] = []
    run(RUN, slowing, events.append)
    assert slowing.now == pytest.approx(30.0, rel=0.03)
    assert any("steps are slower" in getattr(event, "message", "") for event in events)
    assert schedule_of(RUN)["anchor_step"] > 100


def test_an_interrupted_run_goes_on_with_the_end_that_was_saved(
    slowing: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the corrections of the first session, and the same ones after it, bit for bit."""
    moves: dict[int, int] = {}
    end_at = Schedule.end_at

    def note_move(schedule: Schedule, total: int, step: int) -> None:
        end_at(schedule, total, step)
        moves[step] = schedule.total

    with monkeypatch.context() as patch:
        patch.setattr(Schedule, "end_at", note_move)
        run(Path("whole"), slowing, lambda event: None)
    assert len([step for step in moves if step < 150]) >= 2
    assert len([step for step in moves if step > 150]) >= 2

    def repeat_moves(pace: Pace) -> None:
        trainer = pace._trainer
        if trainer.step in moves:
            trainer.schedule.end_at(moves[trainer.step], trainer.step)

    def stop(event: Event) -> None:
        if getattr(event, "step", 0) >= 150:  # one of the next few: events are not of every step
            raise OSError("nobody listens")

    monkeypatch.setattr(Pace, "add_step", repeat_moves)
    slowing.now = 0.0
    with pytest.raises(Exception, match="cannot report progress"):
        run(RUN, slowing, stop)
    saved, step = schedule_of(RUN), step_of(RUN)
    assert 150 <= step < 170
    assert saved["anchor_step"] == max(at for at in moves if at <= step)
    assert saved["total"] == moves[saved["anchor_step"]]
    run(RUN, slowing, lambda event: None)
    whole = Path("whole/model.safetensors")
    assert history(RUN / "model.safetensors") == history(whole)
    assert (RUN / "model.safetensors").read_bytes() == whole.read_bytes()


def test_the_seconds_of_earlier_sessions_count(
    slowing: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(event: Event) -> None:
        if getattr(event, "step", 0) == 120:
            raise OSError("nobody listens")

    with pytest.raises(Exception, match="cannot report progress"):
        run(RUN, slowing, interrupt)
    first = slowing.now
    slowing.now += 1000.0  # between the sessions
    run(RUN, slowing, lambda event: None)
    assert slowing.now - 1000.0 == pytest.approx(30.0, rel=0.03)
    assert first < 20
