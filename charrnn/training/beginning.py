"""How a session begins: a new run, one from another model, an interrupted one, or a longer one.

A finished run goes on (`--more-minutes`) with its last weights and optimisers; its learning rates
are warmed up again and decay to the new end.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from charrnn.errors import CharRNNError
from charrnn.text.reading import Reading
from charrnn.training.context import Context
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.plan import choose_settings
from charrnn.training.processes import Group, raise_together
from charrnn.training.request import TrainingRequest
from charrnn.training.run_directory import finished_request
from charrnn.training.settings import Settings
from charrnn.training.state import Record, SavedRun, restore, start_from
from charrnn.training.trainer import Schedule


def continued(request: TrainingRequest, group: Group) -> TrainingRequest:
    """With --more-minutes, the request that the finished run was started with; else `request`.

    Raises:
        CharRNNError: there is no such run, or an option contradicts it.
        Dismissed: in all processes but the first, if so.
    """
    if request.more_minutes is None:
        return request
    requested, error = None, None
    if group.rank == 0:
        try:
            requested = finished_request(request)
        except CharRNNError as caught:
            error = caught
    raise_together(group, error)
    return _with(request, group.share(requested))


def _with(request: TrainingRequest, requested: dict[str, Any]) -> TrainingRequest:
    names = asdict(Reading()).keys()
    reading = Reading(**{name: requested[name] for name in names if name in requested})
    settings = {name: requested[name] for name in Settings.names() if name in requested}
    return replace(
        request,
        reading=reading,
        requested=settings,
        origin=requested.get("from"),
        continued=requested,
    )


def begin(
    context: Context,
    device: str,
    environment: dict[str, Any],
    order: int | None,
    saved: SavedRun | None,
) -> tuple[Record, AnyTrainer]:
    """The record and the trainer of a session, before its first step.

    Args:
        context: of the run.
        device: to train on.
        environment: of this session.
        order: of the n-gram model, if there is one.
        saved: the run to go on with; None for a new one.
    """
    if saved is None:
        return _begin_new(context, device, environment, order)
    record, settings = saved.record, saved.settings
    if record.finished:
        record, settings = _longer(context, device, saved)
    trainer = context.data.trainer(settings, device)
    restore(trainer, saved)
    if saved.record.finished:
        trainer.schedule = Schedule(settings.steps, anchor_step=saved.step)
    return record, trainer


def _begin_new(
    context: Context, device: str, environment: dict[str, Any], order: int | None
) -> tuple[Record, AnyTrainer]:
    request, data = context.request, context.data
    chosen = {} if order is None else {"ngram_order": order}
    requested = {**chosen, **data.fixed_settings, **request.requested}
    elapsed = context.clock.elapsed()
    settings = choose_settings(requested, request.budget, data, device, elapsed)
    trainer = data.trainer(settings, device)
    record = Record(request.as_requested(), data.corpus.digest, environment)
    if data.origin is not None:
        start_from(trainer, data.origin.weights(data.corpus.vocabulary))
        record.origin = data.origin.digest
    return record, trainer


def _longer(context: Context, device: str, saved: SavedRun) -> tuple[Record, Settings]:
    """The record and the settings with which a finished run goes on."""
    request, record = context.request, saved.record
    fixed = asdict(saved.settings)
    for name in {"steps", "validate_every"} - request.requested.keys():
        del fixed[name]
    elapsed = context.clock.elapsed() - record.seconds
    chosen = choose_settings(fixed, request.budget, context.data, device, elapsed)
    settings = replace(chosen, steps=saved.step + chosen.steps)
    assert request.more_minutes is not None
    record = replace(
        record,
        finished=False,
        since_best=0,
        more_minutes=request.more_minutes,
        base_step=saved.step,
        base_seconds=record.seconds,
    )
    return record, settings
