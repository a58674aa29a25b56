"""Plan a run: sizes from the budget, number of steps from the machine's speed.

`plan_run` is a pure function of the budget, a few facts on the text and the speeds it asks for.
Knows nothing of files or of how a run proceeds. The result is plain Settings, so that the same
options repeat the run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch

from charrnn.errors import Parameter, SettingsError
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData
from charrnn.training.machine import Machine
from charrnn.training.mixing import cells_of_fit, choices_of_fit
from charrnn.training.request import Budget
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.sizes import (
    choose_networks,
    choose_recent,
    choose_sizes,
    default_steps,
    most_epochs,
)

MEASURED_SHARE = 0.005
"""Share of the budget for each measurement of speed, within MEASURED_LIMITS (seconds)."""
MEASURED_LIMITS = (0.3, 3.0)
MAX_ROUNDS, FASTER = 3, 2.0
"""A GPU does so many times more work per second on a wider network that the sizes are chosen again
with the speed of the wider one."""
VALIDATION_SHARE = 0.01
"""Share of the budget for all validations; saving takes half as long again."""
VALIDATIONS = (3, 20)
CLOSING_SECONDS = 0.4
"""For saving and exiting, after the last step."""
MIXING_SECONDS, CELL_SECONDS = 0.3, 2.5e-7
"""For fitting the mixture, in addition, and for each probability in the tables of the fit,"""
CHOICE_SECONDS = 8e-8
"""each of those among which the tables' are chosen if the vocabulary is large,"""
MIXING_VALIDATIONS = 2
"""and the time of so many validations: its predictions are of all characters."""
ACTIVATION_PENALTY = 1.0
"""Of LSTMs; a GRU alone is a little worse with it (tests/benchmarks/README.md)."""
CALIBRATION_SECONDS = 0.1
"""For fitting the temperature of a network alone, and the time of one validation."""


def choose_device(wanted: str) -> str:
    """The torch device for --device `wanted`; `auto` never chooses Apple's, which is not tested.

    Raises:
        SettingsError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise _no_device("cuda", "GPU")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise _no_device("mps", "Apple GPU")
    return "cuda" if wanted == "auto" and available else wanted.replace("auto", "cpu")


def _no_device(wanted: str, kind: str) -> SettingsError:
    name = Parameter("device")
    return SettingsError(name, f" {wanted}: torch finds no {kind} here; use ", name, " cpu")


class Speeds(Protocol):
    """What a plan has to know of a machine; see `Machine`."""

    def precision(self) -> str:
        """The best number format of the matrix products."""

    def step(self, settings: Settings, seconds: float) -> float:
        """Seconds of a training step with `settings`, measured in about `seconds`."""

    def validation(self, settings: Settings) -> float:
        """Seconds of a validation with `settings`."""


@dataclass(frozen=True)
class ClosingWork:
    """What is to be done with the held-out text after the last step.

    Attributes:
        classified: how often it is read to classify its lines.
        cells: probabilities in each model's table when the mixture is fitted.
        choices: those of each model among which these are chosen; 0 if all are taken.
    """

    classified: float = 0.0
    cells: int = 0
    choices: int = 0

    @classmethod
    def of(cls, data: TrainingData) -> ClosingWork:
        """With prepared data."""
        size = data.validation.characters, data.ids
        return cls(data.times_classified, cells_of_fit(*size), choices_of_fit(*size))


@dataclass(frozen=True)
class Text:
    """The facts on a text that a plan depends on.

    Attributes:
        characters: of the training text.
        vocabulary: V.
        held_out: the fraction that is held out.
        min_count: how often a character has to occur to be in the vocabulary.
        per_epoch: how many batches read it once, given the settings.
        closing: what is to be done at the end.
        processes: that train together.
        one_document: see TrainingData.is_one_document.
    """

    characters: int
    vocabulary: int
    held_out: float
    min_count: int
    per_epoch: Callable[[Settings], float]
    closing: ClosingWork = ClosingWork()
    processes: int = 1
    one_document: bool = False

    @classmethod
    def of(cls, data: TrainingData) -> Text:
        """The facts on prepared data."""
        return cls(
            len(data.training),
            len(data.corpus.vocabulary),
            data.held_out,
            data.corpus.min_count,
            lambda settings: data.batches(settings).per_epoch,
            ClosingWork.of(data),
            len(data.group.threads),
            data.is_one_document,
        )


@dataclass(frozen=True)
class Plan:
    """A planned run.

    Attributes:
        settings: of the run.
        step: seconds of an update; None if the plan did not need it.
        validation: seconds of a validation; likewise.
    """

    settings: Settings
    step: float | None = None
    validation: float | None = None


def choose_settings(
    requested: Mapping[str, Any], budget: Budget, data: TrainingData, device: str, elapsed: float
) -> Settings:
    """The settings of `plan_run` on this machine; `elapsed` seconds have passed already."""
    started = time.monotonic()
    return plan_run(
        requested,
        budget,
        Text.of(data),
        Machine(data, device),
        lambda: elapsed + time.monotonic() - started,
    ).settings


def plan_run(
    requested: Mapping[str, Any],
    budget: Budget,
    text: Text,
    machine: Speeds,
    elapsed: Callable[[], float],
) -> Plan:
    """Fill what was not `requested` from the budget, the text and the machine's speed.

    Args:
        requested: fields of Settings given by the user.
        budget: how long to train.
        text: to train on.
        machine: to train with.
        elapsed: seconds that the command has taken so far.
    """
    precision = requested.get("precision") or machine.precision()
    chosen = {
        "precision": precision, "validation": text.held_out, "min_count": text.min_count
    }
    settings = replace(DEFAULTS, **{**chosen, **requested})
    settings = replace(settings, **{**_penalty(settings), **requested})
    if budget.minutes is None:
        steps = budget.steps or max(1, round((budget.epochs or 0) * text.per_epoch(settings)))
        every = max(1, steps // VALIDATIONS[1])
        return Plan(replace(settings, **{"steps": steps, "validate_every": every, **requested}))
    seconds = budget.minutes * 60
    settings, step = _sized(settings, requested, text, machine, seconds)
    validation = machine.validation(settings)
    left = seconds - elapsed() - closing_seconds(settings, validation, text.closing)
    validations = _validations(seconds, left, validation)
    possible = int((left - validations * validation) / step)
    steps = max(1, min(possible, _most_steps(settings, text)))
    every = math.ceil(steps / validations)
    recent = _recent(settings, steps, text)
    chosen = {"steps": steps, "validate_every": every, "recent": recent}
    return Plan(replace(settings, **{**chosen, **requested}), step, validation)


def _penalty(settings: Settings) -> dict[str, float]:
    """The penalty on activations that makes networks of this kind better."""
    if settings.cell != "lstm" or settings.bidirectional:
        return {}
    return {"activation_penalty": ACTIVATION_PENALTY}


def _sized(
    settings: Settings,
    requested: Mapping[str, Any],
    text: Text,
    machine: Speeds,
    seconds: float,
) -> tuple[Settings, float]:
    """`settings` with the sizes that suit a budget of `seconds`, and the seconds of a step."""
    low, high = MEASURED_LIMITS
    measured = min(high, max(low, seconds * MEASURED_SHARE))
    step = machine.step(settings, measured)
    for _ in range(MAX_ROUNDS):
        possible = default_steps(seconds / step, settings, text.vocabulary)
        settings = replace(settings, networks=_networks(settings, requested, text, possible))
        share = possible / settings.networks
        sizes = choose_sizes(share, text.characters, text.vocabulary)
        settings = replace(settings, **{**sizes.settings(), **requested})
        step = machine.step(settings, measured)
        if default_steps(seconds / step, settings, text.vocabulary) < FASTER * possible:
            break
    return settings, step


def _recent(settings: Settings, steps: int, text: Text) -> int:
    """How many characters at the end of the text the network should read; 0: all."""
    budget = steps * settings.batch * settings.chunk
    return choose_recent(budget, text.characters) if text.one_document else 0


def _networks(
    settings: Settings, requested: Mapping[str, Any], text: Text, possible: float
) -> int:
    """How many networks to train with the work of so many steps of the default network."""
    if text.processes > 1 or settings.bidirectional:
        return int(requested.get("networks", 1))
    chosen = choose_networks(possible, text.characters, text.vocabulary)
    return int(requested.get("networks", chosen))


def _validations(seconds: float, left: float, validation: float) -> int:
    """How many validations, each of so many seconds; fewer than usual only if time is short."""
    fewest, most = VALIDATIONS
    wanted = min(most, max(fewest, round(VALIDATION_SHARE * seconds / max(validation, 1e-3))))
    return max(1, min(wanted, int(left / 2 / max(validation, 1e-3))))


def most_steps(settings: Settings, data: TrainingData) -> int:
    """How long a run by the clock may be: more readings of its text would make it worse."""
    return _most_steps(settings, Text.of(data))


def _most_steps(settings: Settings, text: Text) -> int:
    return math.ceil(most_epochs(text.characters, text.vocabulary) * text.per_epoch(settings))


def closing_seconds(settings: Settings, validation: float, work: ClosingWork) -> float:
    """Seconds needed after the last step, where a validation takes `validation` of them."""
    fitting = CALIBRATION_SECONDS + validation
    if settings.ngram_order:
        tables = CELL_SECONDS * work.cells + CHOICE_SECONDS * work.choices
        fitting = MIXING_SECONDS + tables + MIXING_VALIDATIONS * validation
    each_alone = validation if settings.networks > 1 else 0.0
    return CLOSING_SECONDS + fitting + each_alone + work.classified * validation


def describe(settings: Settings, reading: Reading) -> str:
    """The options that repeat a run with `settings` exactly on the same machine."""
    shown = {"encoding": reading.encoding, "errors": reading.errors, **asdict(settings)}
    flags = [
        Parameter(name).option if value is True else f"{Parameter(name).option} {value}"
        for name, value in shown.items()
        if value is not False
    ]
    documents = "--labelled" if reading.labelled else "--lines"
    return " ".join([documents, *flags] if reading.lines else flags)
