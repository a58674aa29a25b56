"""Build the n-gram model of a training text, for a mixture or, with `--cell none`, alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean

import torch

from charrnn.errors import CharRNNError, Parameter, SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_blocks import BLOCK
from charrnn.models.ngram_counter import NgramCounter, recent_first
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_tables import NgramTables
from charrnn.platform import handle_signals, share_freed_memory
from charrnn.training.closing import Closing
from charrnn.training.context import Context
from charrnn.training.data import SHORT_LINES
from charrnn.training.events import CountingEvent, StartEvent, WarningEvent
from charrnn.training.figures import Figures
from charrnn.training.labelling import fit_labelling
from charrnn.training.ngram_plan import ALWAYS_COUNTED, NgramPlan, plan_ngram
from charrnn.training.run_directory import FITTED_FILE, NGRAM_FILE
from charrnn.training.settings import DEFAULTS, recorded
from charrnn.training.signals import Interrupted, StopRequest, StopRequested
from charrnn.training.state import TRAINING_FILE
from charrnn.training.two_texts import count_both, earlier_text

MAX_COUNTS = 4_000_000
"""A model of more n-grams is stored as tables: three times as large, but opened at once."""
COUNTED_FILES = FITTED_FILE, NGRAM_FILE
MAX_THREADS = 4
"""Each thread that counts takes about 200 MB."""
EVALUATED = 200_000
"""The n-gram model's own figure is measured on at most this many characters."""


@dataclass(frozen=True)
class CountedNgrams:
    """The n-gram model of a training text.

    Attributes:
        plan: by which they were counted; the order of a small model may be lower.
        model: the model.
        distant: the same without what is beside the held-out text, and makes that too easy. Of a
            short text, `model` itself.
        nats_per_character: the mean of both models on held-out text; None where there is none.
        characters: how many were counted.
        total: how many there are.
        earlier_share: how much of the text of the model that the run starts from is counted, too;
            None if none can be.
    """

    plan: NgramPlan
    model: NgramModel
    distant: NgramModel
    nats_per_character: float | None
    characters: int
    total: int
    earlier_share: float | None = None

    @property
    def versions(self) -> tuple[NgramModel, ...]:
        """With which the mixture is fitted."""
        return (self.model,) if self.distant is self.model else (self.model, self.distant)

    def warning(self) -> WarningEvent | None:
        """What to tell if not all of the text was counted."""
        if self.characters >= self.total:
            return None
        which = "the last ones and others, " if self.plan.recent else ""
        most = self.plan.most
        remedy = "" if most and self.characters >= most else "; with more --minutes it counts more"
        return WarningEvent(
            f"the n-gram model counts {self.characters:,} of {self.total:,} characters, "
            f"{which}evenly spread{remedy}"
        )


def _plan(context: Context, order: int | None = None) -> NgramPlan:
    request = context.request
    data, minutes = context.data, request.budget.minutes
    wanted = request.requested.get("ngram_order", order)
    return plan_ngram(len(data.training), wanted, minutes, data.is_one_document)


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
    for name in COUNTED_FILES:
        (context.request.output / name).unlink(missing_ok=True)


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
    ids, size = context.data.ngram_text(), context.data.ids
    if len(ids) > ALWAYS_COUNTED:
        share_freed_memory()
    elif (both := _count_both(context, plan)) is not None:
        return both
    counter = NgramCounter(
        ids,
        plan.order,
        size,
        max_ngrams=max(plan.max_ngrams, size),
        directory=context.request.output,
        block=min(BLOCK, plan.step),
        step=plan.step,
    )
    recent, others, beside = recent_first(len(ids), plan.step, plan.recent, plan.gap)
    threads = min(MAX_THREADS, torch.get_num_threads())

    def first() -> Generator[int, None, None]:
        yield from counter.count(threads, recent)
        yield from counter.count(threads, others, plan.cutoff)

    total = len(context.data.training)
    counting = _Counting(context, check, total - len(ids))  # labels that are left out
    counting.take(first(), plan.seconds, plan.most)
    distant = _model(context, counter.finish(max_cutoff=plan.max_cutoff))
    counting.take(counter.count(threads, beside))
    model = _model(context, counter.finish(max_cutoff=plan.max_cutoff)) if beside else distant
    loss = _loss(context, {model, distant})
    return CountedNgrams(plan, model, distant, loss, counting.characters, total)


class _Counting:
    """How far counting is; `check` is called after every step."""

    def __init__(self, context: Context, check: Callable[[], None], characters: int) -> None:
        self._emit, self._check = context.emit, check
        self._total = len(context.data.training)
        self._started = time.monotonic()
        self.characters = characters

    def take(
        self,
        steps: Generator[int, None, None],
        seconds: float | None = None,
        most: int | None = None,
    ) -> None:
        """Count until `seconds` since the beginning are over, or `most` characters are counted."""
        for characters in steps:
            self._check()
            self.characters += characters
            elapsed = time.monotonic() - self._started
            if self._total > ALWAYS_COUNTED:
                self._emit.try_to_show(CountingEvent(self.characters, self._total, elapsed))
            if seconds is not None and elapsed > seconds:
                break
            if most is not None and self.characters >= most:
                break
        steps.close()


def _count_both(context: Context, plan: NgramPlan) -> CountedNgrams | None:
    """Count the text and that of the model that the run starts from; None if there is none."""
    data = context.data
    ids, vocabulary = data.training, data.corpus.vocabulary
    earlier = None if data.origin is None else earlier_text(data.origin, vocabulary)
    if earlier is None:
        return None
    found = count_both(earlier, ids, data.validation, plan, len(vocabulary))
    model = _model(context, found.counts)
    loss = _loss(context, {model})
    return CountedNgrams(plan, model, model, loss, len(ids), len(ids), found.share)


def _model(context: Context, counts: NgramCounts) -> NgramModel:
    large = sum(counts.ngrams) > MAX_COUNTS
    source = NgramTables.from_counts(counts) if large else counts
    return NgramModel(source, context.data.label_count)


def _loss(context: Context, models: set[NgramModel]) -> float | None:
    """The mean of `models`, in nats per character of held-out text; None where there is none."""
    held_out = context.data.validation
    if not held_out.characters:
        return None
    sample = held_out.subsample(EVALUATED)
    return fmean(evaluate_documents(each, sample).nats_per_character for each in models)


def _save(context: Context, found: CountedNgrams) -> None:
    corpus = context.data.corpus
    facts = {
        "nats_per_character": found.nats_per_character,
        "characters": found.characters,
        "order": found.plan.order,
        "requested": context.request.as_requested(),
    }
    models = {FITTED_FILE: found.distant, NGRAM_FILE: found.model}
    if found.distant is found.model:
        del models[FITTED_FILE]
    for name, model in models.items():
        checkpoint = Checkpoint(
            vocabulary=corpus.vocabulary,
            lines=corpus.reading.lines,
            architecture=None,
            weights={},
            ngram=model.source,
            training=facts,
            corpus={"digest": corpus.digest},
            labels=corpus.labels,
        )
        save_checkpoint(context.request.output / name, checkpoint)


def _saved(context: Context, plan: NgramPlan) -> CountedNgrams | None:
    """What this run has counted before; None if there is nothing, or it is of another run."""
    request, data = context.request, context.data
    if request.fresh:
        return None
    try:
        found = load_checkpoint(request.output / NGRAM_FILE)
        distant = load_checkpoint(request.output / FITTED_FILE) if plan.gap else found
    except CharRNNError:
        return None
    facts = found.training
    same = (
        found.corpus.get("digest") == data.corpus.digest
        and facts.get("requested") == request.as_requested()
        and facts.get("order") == plan.order
        and type(facts.get("characters")) is int
        and (distant.corpus, distant.training) == (found.corpus, facts)
    )
    if not same or found.ngram is None or distant.ngram is None:
        return None
    model = NgramModel(found.ngram, data.label_count)
    return CountedNgrams(
        plan,
        model,
        NgramModel(distant.ngram, data.label_count) if plan.gap else model,
        facts.get("nats_per_character"),
        facts["characters"],
        len(data.training),
    )


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
    chosen = {"validation": data.held_out, "min_count": data.corpus.min_count}
    settings = replace(DEFAULTS, **{**chosen, **requested})
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
    figures: Figures = {"nats_per_character": loss, "ngram_nats_per_character": loss}
    labelling = fit_labelling(found.model, found.model.order, data)
    figures |= Closing(labelling=labelling).figures()
    emit.commit()
    if data.looks_like_lines():
        emit(WarningEvent(SHORT_LINES))
    warning = found.warning()
    if warning is not None:
        emit(warning)
    context.save_model(
        {"settings": recorded(settings), "requested": request.as_requested(), **figures},
        ngram=found.model,
        labelling=labelling,
    )
    (request.output / TRAINING_FILE).unlink(missing_ok=True)  # of the run that --fresh replaces
    emit(context.saved(step=0))
    emit(context.done(0, 0, figures))
