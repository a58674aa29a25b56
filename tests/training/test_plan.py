from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from charrnn.errors import SettingsError
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import (
    TrainingData,
    prepare_data,
    validation_for,
)
from charrnn.training.plan import choose_device, choose_settings, describe, most_steps
from charrnn.training.request import Budget
from charrnn.training.settings import Settings
from tests.support import prose

SMALL: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch": 4, "chunk": 8, "precision": "float32",
    "dropout": 0.0,
}


def text_of(text: str, lines: bool = False, validation: float | None = 0.1) -> TrainingData:
    Path("corpus.txt").write_text(text)
    return prepare_data(load_corpus(["corpus.txt"], Reading(lines=lines)), validation)


def choose(
    data: TrainingData, requested: dict[str, Any] | None = None, **budget: Any
) -> Settings:
    return choose_settings({**SMALL, **(requested or {})}, Budget(**budget), data, "cpu", 0.0)


@pytest.mark.parametrize(
    "budget", [{}, {"minutes": 1.0, "steps": 5}, {"minutes": 1.0, "epochs": 1.0, "steps": 5}]
)
def test_one_budget_is_given(budget: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="give one of --minutes, --epochs and --steps"):
        Budget(**budget)


@pytest.mark.parametrize("name", ["minutes", "epochs", "steps"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_budget_is_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"--{name} must be a positive number, not {value}"):
        Budget(**{name: value})  # type: ignore[arg-type]


def test_the_fraction_is_chosen_only_if_it_is_not_given() -> None:
    chosen = text_of(prose(200), validation=None)
    assert chosen.held_out == validation_for(chosen.corpus.characters)
    given = text_of(prose(200), validation=0.3)
    assert given.held_out == 0.3
    for text in (chosen, given):
        assert choose(text, steps=1).validation == text.held_out


def test_steps_are_as_asked_for() -> None:
    settings = choose(text_of(prose(50)), steps=100)
    assert settings.steps == 100
    assert 1 <= settings.validate_every <= 100
    assert settings.hidden == 8


@pytest.mark.parametrize("epochs", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("lines", [False, True])
def test_epochs_are_readings_of_the_text(epochs: float, lines: bool) -> None:
    text = text_of(prose(50), lines)
    settings = choose(text, epochs=epochs)
    assert settings.steps == max(1, round(epochs * text.batches(settings).per_epoch))


@pytest.mark.parametrize("budget", [{"steps": 10}, {"epochs": 1.0}, {"minutes": 0.05}])
def test_what_was_requested_is_kept(budget: dict[str, Any]) -> None:
    requested = {"seed": 9, "validate_every": 7, "rate": 0.5, "clip": 3.0}
    settings = choose(text_of(prose(50)), requested, **budget)
    for name, value in {**SMALL, **requested}.items():
        assert getattr(settings, name) == value


def test_minutes_are_measured_and_become_steps() -> None:
    text = text_of(prose(10_000))  # long enough to be worth reading all the time
    short = choose(text, minutes=0.1)
    assert short.steps >= 1
    # ten times as long a run has many more steps, on however busy a machine
    assert choose(text, minutes=1.0).steps > 2 * short.steps


def test_the_flags_of_a_run_say_all_its_settings() -> None:
    settings = Settings(hidden=7, muon_rate=0.5, cell="gru")
    words = describe(settings, Reading()).split()
    flags = dict(zip(words[::2], words[1::2], strict=True))
    assert flags["--hidden"] == "7"
    assert flags["--muon-rate"] == "0.5"
    assert flags["--cell"] == "gru"
    assert len(flags) == len(Settings.__dataclass_fields__) + len(["--encoding", "--errors"])


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(SettingsError, match="finds no GPU here; use --device cpu"):
        choose_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_lines_are_among_the_flags_of_a_run() -> None:
    assert describe(Settings(), Reading(lines=True, errors="replace")).startswith(
        "--lines --encoding utf-8 --errors replace "
    )


def test_a_short_text_is_not_read_for_hours() -> None:
    """67 entries, 13,000 characters: 5 (13,000 / 67 / 16) ^ (1/8) = 7.3 readings at most."""
    text = text_of(prose(500))
    settings = choose(text, minutes=10_000.0)
    epochs = settings.steps / text.batches(settings).per_epoch
    characters = len(text.training) / len(text.corpus.vocabulary)
    assert epochs == pytest.approx(5 * (characters / 16) ** (1 / 8), rel=0.02)
    assert settings.steps == most_steps(settings, text)
    assert settings.steps // settings.validate_every >= 19, "its best is found among many"


def test_without_a_clock_nothing_limits_the_steps() -> None:
    assert choose(text_of(prose(20)), steps=10**6).steps == 10**6
