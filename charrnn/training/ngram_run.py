"""Build the n-gram model of a training text, for a mixture or, with `--cell none`, alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn.errors import SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Ids
from charrnn.training.context import Context
from charrnn.training.data import TrainingData
from charrnn.training.events import StartEvent
from charrnn.training.settings import DEFAULTS, recorded
from charrnn.training.state import TRAINING_FILE

MAX_COUNTED = 20_000_000
"""At most this many characters are counted, at 60 bytes of memory each; more would exceed
MAX_NGRAMS anyway."""
SECTIONS = 20
"""Of a longer text, this many sections are counted, evenly spread over it."""


def build_ngram(data: TrainingData, order: int) -> tuple[NgramModel, float | None]:
    """The n-gram model of the training text, and its nats per character on the held-out text."""
    ids = evenly_spread_sections(data.training, MAX_COUNTED, SECTIONS)
    ngram = NgramModel.build(ids, order, len(data.corpus.vocabulary))
    if not data.validation.characters:
        return ngram, None
    return ngram, evaluate_documents(ngram, data.validation).nats_per_character


def evenly_spread_sections(ids: Ids, most: int, sections: int) -> Ids:
    """All `ids` (N,) if there are at most `most`, else the beginnings of equal parts of them."""
    if len(ids) <= most:
        return ids
    length = most // sections
    starts = [len(ids) * number // sections for number in range(sections)]
    return np.concatenate([ids[start : start + length] for start in starts])


def train_ngram_alone(context: Context) -> None:
    """Train, save and report an n-gram model without a network.

    Raises:
        SettingsError: there is to be no n-gram model either.
        ListenerError: an event could not be logged or shown.
    """
    request, data, emit = context.request, context.data, context.emit
    settings = replace(DEFAULTS, **{"validation": data.held_out, **request.requested})
    if not settings.ngram_order:
        raise SettingsError("--cell none trains an n-gram model alone; give it an --ngram-order")
    emit(StartEvent(**context.start_facts(settings), steps=0, device="cpu"))
    ngram, loss = build_ngram(data, settings.ngram_order)
    figures = {"nats_per_character": loss, "ngram_nats_per_character": loss}
    emit.commit()
    facts = {"settings": recorded(settings), "requested": request.as_requested(), **figures}
    context.save_model(facts, ngram=ngram)
    (request.output / TRAINING_FILE).unlink(missing_ok=True)  # of the run that --fresh replaces
    emit(context.saved(step=0))
    emit(context.done(0, 0, loss, figures))
