"""Plan a run and train nothing: what `train --dry-run` reports.

Uses the functions that plan a run. Touches no run directory.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.errors import Parameter, SettingsError
from charrnn.models.ngram import NgramModel
from charrnn.training.clock import Clock
from charrnn.training.data import TrainingData
from charrnn.training.machine import Machine
from charrnn.training.memory import estimate_memory
from charrnn.training.ngram_plan import FINISHING_SHARE, NgramPlan, plan_ngram
from charrnn.training.plan import ClosingWork, Plan, Text, closing_seconds, describe, plan_run
from charrnn.training.preparation import prepare
from charrnn.training.processes import Alone
from charrnn.training.request import TrainingRequest
from charrnn.training.settings import NO_NETWORK

TIMED_CHARACTERS = 500_000
"""The time of counting is estimated from so many characters."""
TIMED_STEP = 1.0
"""Seconds in which a step is measured if the plan did not need its time."""


@dataclass(frozen=True)
class Forecast:
    """A planned run.

    Attributes:
        device: to train on.
        characters, unknown_characters, vocabulary_size, validation_characters: of the corpus.
        parameters: number of the network's.
        steps, epochs: updates; passes through the training text.
        ngram_order: of the n-gram model; 0 for none.
        memory: bytes at most, about.
        seconds: of each part of the run, about, in order.
        settings: every field of Settings.
        flags: the options that repeat the run.
    """

    device: str
    characters: int
    unknown_characters: int
    vocabulary_size: int
    validation_characters: int
    parameters: int
    steps: int
    epochs: float
    ngram_order: int
    memory: int
    seconds: Mapping[str, float]
    settings: Mapping[str, Any]
    flags: str


def dry_run(request: TrainingRequest) -> Forecast:
    """What `train` would do with `request`, if its run directory were empty.

    Raises:
        CharRNNError: the request or the corpus does not allow it.
    """
    if request.requested.get("cell") == NO_NETWORK:
        raise SettingsError(
            Parameter("dry_run"), " plans a network, and ", Parameter("cell"), " none trains none"
        )
    clock = Clock(request.started)
    requested = request.requested
    data, device = prepare(request, Alone(), lambda event: None)
    reading = clock.elapsed()
    order, minutes = requested.get("ngram_order"), request.budget.minutes
    ngram = plan_ngram(len(data.training), order, minutes, data.is_one_document)
    counted, counting = _counting(data, ngram)
    text, machine = Text.of(data), Machine(data, device)
    started = clock.elapsed()
    plan = plan_run(
        {"ngram_order": ngram.order, **data.fixed_settings, **requested},
        request.budget,
        text,
        machine,
        lambda: clock.elapsed() - started + reading + counting,
    )
    planning = clock.elapsed() - started
    seconds = {"reading": reading, "counting": counting, "planning": planning}
    return _forecast(data, device, _timed(plan, machine), counted, seconds)


def _counting(data: TrainingData, plan: NgramPlan) -> tuple[int, float]:
    """About how many characters are counted for the n-gram model, and the seconds it takes."""
    if not (plan.order and data.validation.characters):
        return 0, 0.0
    total = min(len(data.training), plan.most or len(data.training))
    sample = data.training[:TIMED_CHARACTERS]
    started = time.monotonic()
    NgramModel.build(sample, plan.order, data.ids)
    per_character = (time.monotonic() - started) / len(sample)
    if plan.seconds is None:
        return total, total * per_character
    counted = min(total, int(plan.seconds / per_character))
    return counted, counted * per_character / (1 - FINISHING_SHARE)


def _timed(plan: Plan, machine: Machine) -> Plan:
    """`plan` with its times, measured if they are not yet known."""
    if plan.step is not None:
        return plan
    settings = plan.settings
    return Plan(settings, machine.step(settings, TIMED_STEP), machine.validation(settings))


def _forecast(
    data: TrainingData, device: str, plan: Plan, counted: int, before: Mapping[str, float]
) -> Forecast:
    settings, corpus = plan.settings, data.corpus
    step, validation = plan.step or 0.0, plan.validation or 0.0
    validations = -(-settings.steps // settings.validate_every)
    closing = closing_seconds(settings, validation, ClosingWork.of(data))
    seconds = {
        **before,
        "training": settings.steps * step,
        "validating": validations * validation,
        "closing": closing,
    }
    seconds["all"] = sum(seconds.values())
    ngram = settings.ngram_order if data.validation.characters else 0
    architecture = data.architecture(settings)
    return Forecast(
        device=device,
        characters=corpus.characters,
        unknown_characters=corpus.unknown_characters,
        vocabulary_size=len(corpus.vocabulary),
        validation_characters=data.validation.characters,
        parameters=settings.networks * architecture.parameters,
        steps=settings.steps,
        epochs=settings.steps / data.batches(settings).per_epoch,
        ngram_order=ngram,
        memory=estimate_memory(settings, architecture, counted),
        seconds=seconds,
        settings=asdict(settings),
        flags=describe(settings, corpus.reading),
    )
