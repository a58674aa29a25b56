from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.errors import SettingsError, TrainingError
from charrnn.training.events import DoneEvent, Event, NetworkStartEvent, StepEvent
from tests.support import prose

TINY: dict[str, Any] = {
    **dict.fromkeys(("batch", "embedding"), 4),
    **dict.fromkeys(("chunk", "hidden"), 8),
    "layers": 1,
    "device": "cpu",
}


def train(**arguments: Any) -> charrnn.TrainedModel:
    Path("text.txt").write_text(prose(40))
    return charrnn.train("text.txt", **{**TINY, "steps": 3, **arguments})


def test_train_gives_a_trained_model() -> None:
    events: list[Event] = []
    model = train(on_event=events.append)
    assert model.path == Path("checkpoints/text")
    assert model.sample(length=10, seed=1) == charrnn.load("text").sample(length=10, seed=1)
    assert isinstance(events[0], NetworkStartEvent)
    assert isinstance(events[-1], DoneEvent)
    assert model.checkpoint.architecture is not None
    assert model.checkpoint.architecture.hidden == 8


def test_several_texts_can_be_lines() -> None:
    for name in ("a.txt", "b.txt"):
        Path(name).write_text(prose(40))
    model = charrnn.train([Path("a.txt"), "b.txt"], "run", lines=True, steps=1, **TINY)
    assert model.checkpoint.lines
    assert model.checkpoint.corpus["names"] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minutes": 1}, "give one of minutes, epochs and steps"),
        ({"steps": 0}, "steps must be a positive number, not 0"),
        ({"dropout": 2.0}, "dropout must be 0 to 0.95, not 2"),
        ({"hiden": 2}, "there is no setting 'hiden'; did you mean 'hidden'?"),
        ({"encoding": "klingon"}, "unknown encoding 'klingon'"),
        ({"min_count": 10_000}, "lower min_count"),
    ],
)
def test_errors_speak_of_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(charrnn.CharRNNError, match=message.replace("?", r"\?")) as raised:
        train(**arguments)
    assert "--" not in str(raised.value)


def test_a_finished_run_is_not_overwritten_silently() -> None:
    train()
    with pytest.raises(TrainingError, match="longer: more_minutes 5; elsewhere: output DIR"):
        train()
    assert train(fresh=True).path == Path("checkpoints/text")


@pytest.mark.fault(30)
def test_an_interrupted_run_is_saved_and_goes_on() -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, NetworkStartEvent) and not event.resumed:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        train(on_event=interrupt)
    events: list[Event] = []
    train(on_event=events.append)
    assert isinstance(events[0], NetworkStartEvent)
    assert events[0].resumed
    assert not any(isinstance(event, StepEvent) and event.step > 3 for event in events)


def test_settings_are_checked_before_the_text_is_read() -> None:
    with pytest.raises(SettingsError, match="layers must be 1 or more"):
        charrnn.train("missing.txt", steps=1, layers=0)
