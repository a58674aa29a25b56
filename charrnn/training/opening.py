"""What a run that trains a network reports before its first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from charrnn.training.context import Context
from charrnn.training.data import SHORT_LINES, TrainingData
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.events import NetworkStartEvent, WarningEvent
from charrnn.training.ngram_run import CountedNgrams
from charrnn.training.settings import Settings


def start_event(
    context: Context,
    trainer: AnyTrainer,
    environment: Mapping[str, Any],
    counted: CountedNgrams | None,
    resumed: bool,
) -> NetworkStartEvent:
    """The event that reports the start of a session."""
    total, settings = trainer.schedule.total, trainer.settings
    return NetworkStartEvent(
        **context.start_facts(settings),
        **environment,
        resumed=resumed,
        step=trainer.step,
        steps=total,
        epochs=total / context.data.batches(settings).per_epoch,
        parameters=settings.networks * trainer.network.architecture.parameters,
        ngram_nats_per_character=counted.nats_per_character if counted else None,
    )


def warnings(
    data: TrainingData,
    settings: Settings,
    counted: CountedNgrams | None,
    *,
    resumed: bool,
    gives_time_back: bool,
) -> Iterator[WarningEvent]:
    """The warnings, in order.

    Args:
        data: to train on.
        settings: of the run.
        counted: the n-gram model; None if there is none.
        resumed: whether the run has begun before.
        gives_time_back: whether it will end before its time.
    """
    if not resumed and data.looks_like_lines():
        yield WarningEvent(SHORT_LINES)
    if gives_time_back:
        yield WarningEvent("the text is too short to fill --minutes: more readings would not help")
    if counted is not None and (warning := counted.warning()):
        yield warning
    if settings.ngram_order and counted is None:
        yield WarningEvent(
            "without held-out text the n-gram model's weight cannot be fitted: left out"
        )
