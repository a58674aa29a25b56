"""The n-gram model of a training text, beside a network or, with `--cell none`, alone."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from charrnn.errors import SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Ids
from charrnn.training.context import Context
from charrnn.training.data import TrainingData
from charrnn.training.events import StartEvent
from charrnn.training.settings import DEFAULTS
from charrnn.training.state import TRAINING_FILE

MAX_COUNTED = 20_000_000
"""At most this many characters are counted, which takes 60 bytes of memory for each; more would
not fit MAX_NGRAMS anyway."""
STRETCHES = 20
"""A longer text is counted in so many stretches, evenly spread over all of it."""


def build_ngram(data: TrainingData, order: int) -> tuple[NgramModel, float | None]:
    """The n-gram model of the training text, and its nats per character on what is held out."""
    ids = spread_stretches(data.training, MAX_COUNTED, STRETCHES)
    ngram = NgramModel.build(ids, order, len(data.corpus.vocabulary))
    if not data.validation.characters:
        return ngram, None
    return ngram, evaluate_documents(ngram, data.validation).nats_per_character


def spread_stretches(ids: Ids, most: int, stretches: int) -> Ids:
    """All `ids` (N,) if they are at most `most`; otherwise the beginnings of equal parts."""
    if len(ids) <= most:
        return ids
    length = most // stretches
    starts = [len(ids) * number // stretches for number in range(stretches)]
    return np.concatenate([ids[start : start + length] for start in starts])


def train_ngram_alone(context: Context) -> None:
    """Count, save and finish.

    Raises:
        SettingsError: the n-gram model is left out, too.
        ListenerError: an event could not be logged or shown.
    """
    request, data, emit = context.request, context.data, context.emit
    settings = replace(DEFAULTS, **{"validation": data.held_out, **request.requested})
    if not settings.ngram_order:
        raise SettingsError("--cell none leaves the n-gram model alone; give it an --ngram-order")
    emit(StartEvent(**context.start_facts(settings), steps=0, device="cpu"))
    ngram, loss = build_ngram(data, settings.ngram_order)
    figures = {"nats_per_character": loss, "ngram_nats_per_character": loss}
    emit.commit()
    context.save_model(
        {"settings": asdict(settings), "requested": request.as_requested(), **figures}, ngram=ngram
    )
    (request.output / TRAINING_FILE).unlink(missing_ok=True)  # of a run that --fresh gave up
    emit(context.saved(step=0))
    emit(context.done(0, 0, loss, figures))
