"""Build the n-gram model of a training text, for a mixture or, with `--cell none`, alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from charrnn.errors import CharRNNError, Parameter, SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_blocks import BLOCK
from charrnn.models.ngram_counter import STEP, NgramCounter
from charrnn.models.ngram_tables import NgramTables
from charrnn.platform import handle_signals, share_freed_memory
from charrnn.training.context import Context
from charrnn.training.events import CountingEvent, StartEvent, WarningEvent
from charrnn.training.ngram_plan import ALWAYS_COUNTED, NgramPlan, plan_ngram
from charrnn.training.run_directory import NGRAM_FILE
from charrnn.training.settings import DEFAULTS, recorded
from charrnn.training.signals import Interrupted, StopRequest, StopRequested
from charrnn.training.state import TRAINING_FILE

MAX_COUNTS = 4_000_000
"""A model of more n-grams is stored as tables: three times as large, but opened at once."""
MAX_THREADS = 4
"""Each thread that counts takes about 200 MB."""
EVALUATED = 200_000
"""The n-gram model's own figure is measured on at most this many characters."""


@dataclass(frozen=True)
class CountedNgrams:
    """The n-gram model of a training text.

    Attributes:
        order: the planned one; that of a small model may be lower.
        model: the model.
        nats_per_character: of it alone, on held-out text; None where there is none.
        characters: how many were counted.
        total: how many there are.
    """

    order: int
    model: NgramModel
    nats_per_character: float | None
    characters: int
    total: int

    def warning(self) -> WarningEvent | None:
        """What to tell if there was not enough time for all of the text."""
        if self.characters >= self.total:
            return None
        return WarningEvent(
            f"the n-gram model counts {self.characters:,} of {self.total:,} characters, evenly "
            "spread; with more --minutes it counts more"
        )


def _plan(context: Context, order: int | None = None) -> NgramPlan:
    request = context.request
    wanted = request.requested.get("ngram_order", order)
    return plan_ngram(len(context.data.training), wanted, request.budget.minutes)


def build_ngram(context: Context, order: int | None) -> CountedNgrams | None:
    """Count the n-grams of the training text, or take what an unfinished run has counted.

    Args:
        order: of the resumed run; None for a new one.

    Returns:
        None if none is wanted, or without held-out text to fit the mixture on.

    Raises:
        Interrupted: a signal stopped it; nothing was trained.
        OutputError: there is no space for what was counted.
    """
    plan = _plan(context, order)
    if not (plan.order and context.data.validation.characters):
        return None
    if len(context.data.training) <= ALWAYS_COUNTED:
        return _count(context, plan, lambda: None)
    found = _saved(context, plan)
    if found is None:
        with _interruptible() as stop:
            found = _count(context, plan, stop.check)
        _save(context, found)
    return found


def forget_counted(context: Context) -> None:
    """Remove what was counted: the run is finished."""
    (context.request.output / NGRAM_FILE).unlink(missing_ok=True)


@contextmanager
def _interruptible() -> Iterator[StopRequest]:
    """Signals end what is done here immediately: it can be repeated."""
    stop = StopRequest()
    stop.at_once = True
    with handle_signals(stop.receive):
        try:
            yield stop
        except StopRequested:
            assert stop.status is not None
            raise Interrupted(
                stop.status, "interrupted while counting n-grams; nothing was changed"
            ) from None


def _count(context: Context, plan: NgramPlan, check: Callable[[], None]) -> CountedNgrams:
    """Count until the planned time is over; `check` is called now and then."""
    ids, vocabulary = context.data.training, context.data.corpus.vocabulary
    if len(ids) > ALWAYS_COUNTED:
        share_freed_memory()
    counter = NgramCounter(
        ids,
        plan.order,
        len(vocabulary),
        max_ngrams=max(plan.max_ngrams, len(vocabulary)),
        directory=context.request.output,
        block=min(BLOCK, STEP),
        step=STEP,
    )
    started, counted = time.monotonic(), 0
    counting = counter.count(min(MAX_THREADS, torch.get_num_threads()))
    for characters in counting:
        check()
        counted += characters
        if len(ids) > ALWAYS_COUNTED:
            context.emit.try_to_show(CountingEvent(counted, len(ids), time.monotonic() - started))
        if plan.seconds is not None and time.monotonic() - started > plan.seconds:
            break
    counting.close()
    counts = counter.finish(max_cutoff=plan.max_cutoff)
    large = sum(counts.ngrams) > MAX_COUNTS
    model = NgramModel(NgramTables.from_counts(counts) if large else counts)
    return CountedNgrams(plan.order, model, _loss(context, model), counted, len(ids))


def _loss(context: Context, model: NgramModel) -> float | None:
    held_out = context.data.validation
    if not held_out.characters:
        return None
    return evaluate_documents(model, held_out.subsample(EVALUATED)).nats_per_character


def _save(context: Context, found: CountedNgrams) -> None:
    corpus = context.data.corpus
    facts = {
        "nats_per_character": found.nats_per_character,
        "characters": found.characters,
        "order": found.order,
        "requested": context.request.as_requested(),
    }
    checkpoint = Checkpoint(
        vocabulary=corpus.vocabulary,
        lines=corpus.reading.lines,
        architecture=None,
        weights={},
        ngram=found.model.source,
        training=facts,
        corpus={"digest": corpus.digest},
    )
    save_checkpoint(context.request.output / NGRAM_FILE, checkpoint)


def _saved(context: Context, plan: NgramPlan) -> CountedNgrams | None:
    """What this run has counted before; None if there is nothing, or it is of another run."""
    request, data = context.request, context.data
    if request.fresh:
        return None
    try:
        found = load_checkpoint(request.output / NGRAM_FILE)
    except CharRNNError:
        return None
    facts = found.training
    same = (
        found.corpus.get("digest") == data.corpus.digest
        and facts.get("requested") == request.as_requested()
        and facts.get("order") == plan.order
        and type(facts.get("characters")) is int
    )
    if not same or found.ngram is None:
        return None
    loss = facts.get("nats_per_character")
    model, characters = NgramModel(found.ngram), facts["characters"]
    return CountedNgrams(plan.order, model, loss, characters, len(data.training))


def train_ngram_alone(context: Context) -> None:
    """Train, save and report an n-gram model without a network.

    Raises:
        SettingsError: there is to be no n-gram model either.
        ListenerError: an event could not be logged or shown.
        Interrupted: a signal stopped it; nothing was trained.
    """
    request, data, emit = context.request, context.data, context.emit
    plan = _plan(context)
    requested = {"ngram_order": plan.order, **request.requested}
    settings = replace(DEFAULTS, **{"validation": data.held_out, **requested})
    if not settings.ngram_order:
        raise SettingsError(
            Parameter("cell"),
            " none trains an n-gram model alone; give it an ",
            Parameter("ngram_order"),
        )
    emit(StartEvent(**context.start_facts(settings), steps=0, device="cpu"))
    with _interruptible() as stop:
        found = _count(context, plan, stop.check)
    loss = found.nats_per_character
    figures = {"nats_per_character": loss, "ngram_nats_per_character": loss}
    emit.commit()
    warning = found.warning()
    if warning is not None:
        emit(warning)
    context.save_model(
        {"settings": recorded(settings), "requested": request.as_requested(), **figures},
        ngram=found.model,
    )
    (request.output / TRAINING_FILE).unlink(missing_ok=True)  # of the run that --fresh replaces
    emit(context.saved(step=0))
    emit(context.done(0, 0, figures))
