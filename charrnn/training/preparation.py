"""Load the corpus of a run in all of its processes, and choose the device."""

from __future__ import annotations

import time
from dataclasses import replace

from charrnn.errors import Flag, SettingsError, TrainingError
from charrnn.text.corpus import load_corpus
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.events import OnEvent, ReadingEvent
from charrnn.training.origin import open_origin, with_characters_of
from charrnn.training.plan import choose_device
from charrnn.training.processes import Group, in_turn, raise_together
from charrnn.training.request import TrainingRequest
from charrnn.training.settings import DEFAULTS, Settings

SILENT_SECONDS = 1.0
"""The reading of a text is not reported before."""


def prepare(
    request: TrainingRequest, group: Group, on_event: OnEvent
) -> tuple[TrainingData, str]:
    """The corpus, ready for training, and the device to train on.

    The first process of each machine encodes the corpus; the others take it from the cache. The
    first process of all reports how far it has come.

    Raises:
        CharRNNError: the corpus, an option or the device does not allow it.
        Dismissed: in all processes but the first, one of them has failed.
    """
    data, device = in_turn(group, lambda: _prepare(request, group, on_event))
    digest = data.corpus.digest
    same = group.share(digest) == digest
    error = TrainingError("its corpus is not the first process's; give all of them the same text")
    raise_together(group, None if same else error)
    return data, device


def split_for(data: TrainingData, settings: Settings) -> TrainingData:
    """`data` as `settings` say: a run of an older charrnn has other defaults."""
    corpus = data.corpus
    if settings.min_count != corpus.min_count and "-" not in corpus.names:  # it is read once
        corpus = load_corpus(corpus.names, corpus.reading, settings.min_count)
        if data.origin is not None:
            corpus = with_characters_of(corpus, data.origin)
    elif settings.validation == data.held_out:
        return data
    again = prepare_data(corpus, settings.validation, settings.seed)
    return replace(again, group=data.group, origin=data.origin)


def _prepare(
    request: TrainingRequest, group: Group, on_event: OnEvent
) -> tuple[TrainingData, str]:
    if "-" in request.corpora and len(group.threads) > 1:
        raise SettingsError("several processes cannot share stdin; name a file as the corpus")
    if request.reading.labelled and request.requested.get("bidirectional"):
        raise SettingsError(
            Flag("bidirectional"), " and ", Flag("labelled"),
            " do not go together; train two models",
        )
    device = choose_device(request.device)
    min_count = request.requested.get("min_count")
    started = time.monotonic()

    def report(done: int, total: int) -> None:
        if group.rank == 0 and time.monotonic() - started > SILENT_SECONDS:
            on_event(ReadingEvent(done, total))

    origin = None
    if request.origin is not None:
        origin = open_origin(request.origin, request.reading, request.requested)
    corpus = load_corpus(request.corpora, request.reading, min_count, on_read=report)
    if origin is not None:
        corpus = with_characters_of(corpus, origin)
    seed = request.requested.get("seed", DEFAULTS.seed)
    data = prepare_data(corpus, request.requested.get("validation"), seed)
    return replace(data, group=group, origin=origin), device
