from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args

import pytest

from charrnn.training.events import (
    NAMES,
    CheckpointEvent,
    DoneEvent,
    Event,
    InterruptedEvent,
    NetworkStartEvent,
    SampleEvent,
    StartEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
    as_json,
)

START = StartEvent("run", {"hidden": 8}, "--hidden 8", 100, 1, 20, 10, 3, 40, "cpu")
KEYS = {
    StartEvent: {
        *("event", "checkpoint", "settings", "flags", "characters", "unknown_characters"),
        *("vocabulary_size", "validation_characters", "seed", "steps", "device"),
    },
    StepEvent: {
        *("event", "step", "steps", "nats_per_character", "gradient_norm", "clipped", "rate"),
        *("muon_rate", "characters_per_second", "seconds"),
    },
}


def test_every_event_has_a_name_and_cannot_be_changed() -> None:
    kinds: tuple[Any, ...] = get_args(Event)
    for kind in kinds:
        with pytest.raises(FrozenInstanceError):
            kind.__new__(kind).message = "changed"
        assert kind in NAMES
    assert set(NAMES.values()) == {
        *("reading", "start", "from", "counting", "step", "validation", "sample", "checkpoint"),
        *("warning", "interrupted", "done"),
    }


@pytest.mark.parametrize(
    ("event", "record"),
    [
        (
            ValidationEvent(5, 2.0, None, best=True, seconds=1.5),
            {
                "event": "validation", "step": 5, "training_nats_per_character": 2.0,
                "nats_per_character": None, "best": True, "seconds": 1.5,
            },
        ),
        (SampleEvent(5, "a\n"), {"event": "sample", "step": 5, "text": "a\n"}),
        (CheckpointEvent(5, "x"), {"event": "checkpoint", "step": 5, "checkpoint": "x"}),
        (WarningEvent("mind"), {"event": "warning", "message": "mind"}),
        (InterruptedEvent("saved"), {"event": "interrupted", "message": "saved"}),
    ],
)
def test_an_event_makes_this_json(event: Event, record: dict[str, object]) -> None:
    assert as_json(event) == record


def test_only_a_mixture_has_figures_of_its_parts() -> None:
    alone = as_json(DoneEvent("run", 9, 5, None, 1.0))
    assert alone.keys() == {
        "event", "checkpoint", "step", "best_step", "nats_per_character", "seconds"
    }
    assert alone["nats_per_character"] is None
    mixed = as_json(DoneEvent("run", 9, 5, 1.0, 1.0, 1.5, 2.0))
    assert mixed.keys() - alone.keys() == {
        "network_nats_per_character", "ngram_nats_per_character"
    }


def test_start_and_step_have_the_keys_that_scripts_rely_on() -> None:
    assert as_json(START).keys() == KEYS[StartEvent]
    network = {each.name for each in fields(NetworkStartEvent)}
    assert network - KEYS[StartEvent] == {
        *("resumed", "step", "epochs", "parameters", "ngram_nats_per_character", "threads"),
        *("torch", "processes"),
    }
    assert {"event", *(each.name for each in fields(StepEvent))} == KEYS[StepEvent] | {"pseudo"}
