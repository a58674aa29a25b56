from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from charrnn.errors import Parameter, SettingsError
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import (
    TrainingData,
    prepare_data,
    validation_for,
)
from charrnn.training.plan import (
    CHOICE_SECONDS,
    ClosingWork,
    Text,
    choose_settings,
    closing_seconds,
    describe,
    most_steps,
    plan_run,
)
from charrnn.training.request import Budget
from charrnn.training.settings import Settings
from charrnn.training.sizes import most_epochs
from tests.support import REPOSITORY, prose

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
    with pytest.raises(SettingsError, match="give one of minutes, epochs and steps"):
        Budget(**budget)


@pytest.mark.parametrize("name", ["minutes", "epochs", "steps"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_budget_is_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be a positive number, not {value}"):
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
    switches = {name for name, value in vars(Settings()).items() if value is False}
    named = {Parameter(name).option for name in vars(settings).keys() - switches}
    assert flags.keys() == named | {"--encoding", "--errors"}


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


# --- plans for machines of other speeds


@dataclass(frozen=True)
class FakeMachine:
    """Takes a fixed time for each operation, or at least `overhead` for a step."""

    speed: float  # multiplications a second
    overhead: float = 0.0

    def precision(self) -> str:
        return "float32"

    def step(self, settings: Settings, seconds: float) -> float:
        return max(self.overhead, 3 * self._work(settings) / self.speed)

    def validation(self, settings: Settings) -> float:
        return self.step(settings, 0.0)

    def _work(self, settings: Settings) -> float:
        hidden = settings.hidden
        layers = 8 * hidden**2 * settings.layers - 4 * hidden * (hidden - settings.embedding)
        return settings.networks * settings.batch * settings.chunk * (layers + 65 * hidden)


TWO_CORES = FakeMachine(40e9)
MANY_CORES = FakeMachine(1e12)
GPU = FakeMachine(20e12, overhead=4e-3)


def long_text(characters: int, vocabulary: int = 65) -> Text:
    return Text(
        characters, vocabulary, 0.005, 1, lambda each: characters / (each.batch * each.chunk)
    )


def planned(minutes: float, text: Text, machine: FakeMachine, **requested: Any) -> Settings:
    return plan_run(requested, Budget(minutes=minutes), text, machine, lambda: 0.0).settings


@pytest.mark.parametrize(
    ("minutes", "characters", "machine", "layers", "hidden"),
    [
        (0.5, 1_000_000, TWO_CORES, 2, 128),
        (2.33, 1_000_000, TWO_CORES, 2, 192),
        (5, 1_000_000, TWO_CORES, 2, 256),
        (60, 10_000_000, TWO_CORES, 2, 384),
        (5, 1_000_000, MANY_CORES, 2, 512),
        (60, 10_000_000, MANY_CORES, 3, 1024),
        (60, 100_000, MANY_CORES, 2, 192),  # the text limits it
        (5, 1_000_000, GPU, 2, 512),  # likewise
        (5, 100_000_000, GPU, 3, 1024),
        (60, 20_000_000, GPU, 3, 2048),
        (600, 1_000_000_000, GPU, 3, 2048),
    ],
)
def test_width_grows_with_time_text_and_speed(
    minutes: float, characters: int, machine: FakeMachine, layers: int, hidden: int
) -> None:
    settings = planned(minutes, long_text(characters), machine, networks=1)
    assert (settings.layers, settings.hidden) == (layers, hidden)


@pytest.mark.parametrize("machine", [TWO_CORES, MANY_CORES, GPU])
@pytest.mark.parametrize("minutes", [0.5, 5.0, 60.0])
@pytest.mark.parametrize("characters", [20_000, 1_000_000, 1_000_000_000])
def test_a_plan_keeps_its_minutes(
    minutes: float, characters: int, machine: FakeMachine
) -> None:
    text = long_text(characters)
    plan = plan_run({}, Budget(minutes=minutes), text, machine, lambda: 3.0)
    settings = plan.settings
    assert plan.step is not None
    assert plan.validation is not None
    validations = -(-settings.steps // settings.validate_every)
    takes = 3.0 + settings.steps * plan.step + validations * plan.validation
    takes += closing_seconds(settings, plan.validation, text.closing)
    assert takes <= minutes * 60 + plan.step
    epochs = settings.steps / text.per_epoch(settings)
    most = most_epochs(characters, text.vocabulary)
    assert epochs >= 0.99 * most or takes > 0.97 * minutes * 60


def test_the_fit_of_a_large_vocabulary_is_in_the_budget() -> None:
    text, work = long_text(1_000_000, 20_000), ClosingWork(cells=1 << 20, choices=1 << 28)
    small, large = (
        plan_run({}, Budget(minutes=1), replace(text, closing=each), TWO_CORES, lambda: 0.0)
        for each in (replace(work, choices=0), work)
    )
    assert large.step is not None
    saved = (small.settings.steps - large.settings.steps) * large.step
    assert saved == pytest.approx(CHOICE_SECONDS * work.choices, abs=2 * large.step)


def test_a_slow_machine_validates_less_rather_than_not_train() -> None:
    slow = FakeMachine(1e9)
    settings = planned(0.5, long_text(100_000, 20_000), slow, validation=0.1)
    assert settings.steps > 1


@pytest.mark.parametrize(
    ("minutes", "characters", "networks"),
    [
        (2.33, 1_000_000, 1),
        (5, 1_000_000, 2),
        (10, 1_000_000, 2),
        (30, 1_000_000, 3),
        (60, 60_000_000, 1),
        (0.5, 20_000, 1),  # too few steps
    ],
)
def test_what_would_be_read_again_and_again_is_read_by_several_networks(
    minutes: float, characters: int, networks: int
) -> None:
    text, machine = long_text(characters), FakeMachine(80e9)
    settings = planned(minutes, text, machine)
    assert settings.networks == networks
    alone = planned(minutes, text, machine, networks=1)
    assert planned(minutes, replace(text, processes=2), machine) == alone
    assert planned(minutes, text, machine, bidirectional=True).networks == 1
    assert planned(minutes, text, machine, networks=3).networks == 3


@pytest.mark.parametrize(
    ("requested", "penalty"),
    [
        ({}, 1.0),
        ({"cell": "gru"}, 0.0),
        ({"bidirectional": True}, 0.0),
        ({"cell": "gru", "activation_penalty": 0.1}, 0.1),
        ({"activation_penalty": 0}, 0.0),
    ],
)
@pytest.mark.parametrize("budget", [Budget(steps=10), Budget(minutes=1)])
def test_activations_are_penalised_where_it_helps(
    requested: dict[str, Any], penalty: float, budget: Budget
) -> None:
    text, machine = long_text(1_000_000), FakeMachine(80e9)
    plan = plan_run(requested, budget, text, machine, lambda: 0.0)
    assert plan.settings.activation_penalty == penalty


def test_of_one_long_document_the_network_reads_the_end() -> None:
    text = replace(long_text(10**9), one_document=True)
    assert planned(5, text, TWO_CORES).recent == 60_000_000
    assert planned(5, text, TWO_CORES, recent=0).recent == 0
    assert planned(5, text, TWO_CORES, recent=5_000).recent == 5_000
    for other in (replace(text, one_document=False), replace(text, characters=1_000_000)):
        assert planned(5, other, TWO_CORES).recent == 0
    longer = planned(60, text, GPU)
    assert longer.recent == longer.steps * longer.batch * longer.chunk > 60_000_000


def test_equal_speeds_give_equal_plans() -> None:
    plans = [planned(5, long_text(1_000_000), GPU) for _ in range(2)]
    assert plans[0] == plans[1]


def test_what_is_requested_is_measured_and_kept() -> None:
    settings = planned(5, long_text(100_000_000), GPU, hidden=100, batch=7)
    assert (settings.hidden, settings.batch) == (100, 7)


def test_the_table_for_the_reader_is_what_is_chosen() -> None:
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    row = re.compile(r"\| [0-9,]+ (\| \d.* times )+\|")
    rows = [line.split("|")[1:-1] for line in lines if row.fullmatch(line)]
    assert len(rows) == 4
    columns = [(0.5, TWO_CORES), (5, TWO_CORES), (60, TWO_CORES), (5, GPU), (60, GPU)]
    for first, *cells in rows:
        text = long_text(int(first.replace(",", "")))
        for (minutes, machine), cell in zip(columns, cells, strict=True):
            settings = planned(minutes, text, machine)
            epochs = settings.steps / text.per_epoch(settings)
            several = f"{settings.networks} of " if settings.networks > 1 else ""
            assert cell.strip() == f"{several}{settings.hidden}, {epochs:.2g} times"
