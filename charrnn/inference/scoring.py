"""Compute the probability of texts under a LanguageModel. Knows ids and spans, not characters.

Every text is read from EOS and the initial state. Texts of similar length are read in one batch. A
long text is cut into segments that are read in one batch too, each after CONTEXT characters that
are read but not scored; the effect of earlier characters is below float32's precision (measured in
tests/benchmarks/README.md).

Axes: B segments in a batch, T positions, D documents, S segments. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Integers
from charrnn.models.interface import LanguageModel, State
from charrnn.platform import release_pages
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS, UNK

CONTEXT = 1024
SEGMENT = 2048
MAX_ROWS = 256
MAX_CHUNK = 128
MAX_CELLS = 1 << 23
"""B * T * V is at most this, or B = T = 1: 32 MiB of float32."""

FIGURES = (
    "log_probability",
    "nats_per_character",
    "bits_per_character",
    "perplexity",
    "characters",
    "unknown_characters",
)
"""The attributes of a Score that are shown everywhere, in this order and under these names."""


@dataclass(frozen=True)
class Score:
    """How probable a text is.

    Attributes:
        log_probability: natural logarithm, in nats.
        characters: the number of predictions it sums, including EOS where that is predicted.
        unknown_characters: how many of the predicted ids are UNK.
    """

    log_probability: float
    characters: int
    unknown_characters: int

    @property
    def nats_per_character(self) -> float:
        """Cross-entropy in nats; 0 for a text without predictions."""
        return -self.log_probability / self.characters if self.characters else 0.0

    @property
    def bits_per_character(self) -> float:
        """Cross-entropy in bits."""
        return self.nats_per_character / math.log(2)

    @property
    def perplexity(self) -> float:
        """Perplexity per character; infinity if it is too large for a float."""
        try:
            return math.exp(self.nats_per_character)
        except OverflowError:
            return math.inf

    def figures(self) -> dict[str, float]:
        """The score by the names in FIGURES."""
        return {name: getattr(self, name) for name in FIGURES}


@dataclass(frozen=True)
class Scored:
    """Some predictions: ids[positions[i]], of a document, has log-probability values[i]."""

    documents: npt.NDArray[np.intp]
    positions: Integers
    values: npt.NDArray[np.float32]


def score_documents(model: LanguageModel, documents: Documents) -> list[Score]:
    """The score of each document."""
    totals = np.zeros(len(documents.starts))
    unknown = np.zeros(len(documents.starts), np.int64)
    for scored in score_spans(model, documents):
        np.add.at(totals, scored.documents, scored.values.astype(np.float64))
        np.add.at(unknown, scored.documents, documents.ids[scored.positions] == UNK)
    return [
        Score(float(total), int(length), int(count))
        for total, length, count in zip(totals, documents.lengths, unknown, strict=True)
    ]


def score_characters(
    model: LanguageModel, documents: Documents
) -> list[npt.NDArray[np.float64]]:
    """The log-probability (nats) of each predicted id of each document: arrays (length,)."""
    values = [np.zeros(length) for length in documents.lengths]
    for scored in score_spans(model, documents):
        for which in np.unique(scored.documents):
            selected = scored.documents == which
            values[which][scored.positions[selected] - documents.starts[which]] = (
                scored.values[selected]
            )
    return values


def evaluate_documents(model: LanguageModel, documents: Documents) -> Score:
    """The score of all documents together."""
    total = 0.0
    unknown = 0
    for scored in score_spans(model, documents):
        total += float(scored.values.sum(dtype=np.float64))
        unknown += int(np.count_nonzero(documents.ids[scored.positions] == UNK))
    return Score(total, documents.characters, unknown)


def score_spans(model: LanguageModel, documents: Documents) -> Iterator[Scored]:
    """Every prediction of every document, in pieces, in no particular order."""
    state: State = None
    for window in windows(documents, model.vocabulary_size):
        state = window.enter(model, state)
        targets = documents.ids[window.positions]
        values, state = model.score(window.inputs, targets, state)
        owners = np.broadcast_to(window.documents[:, None], window.counted.shape)
        counted = window.counted
        yield Scored(owners[counted], window.positions[counted], values[counted])


@dataclass(frozen=True)
class Window:
    """Some positions of B segments that are read in one batch.

    Attributes:
        begins: whether the segments begin here; otherwise they continue the previous window, of
            which only the first B rows are still active.
        documents: (B,) which document each row belongs to.
        inputs: (B, T) ids to read.
        positions: (B, T) index in the documents' ids of the id that follows each input.
        counted: (B, T) whether the prediction of that id is scored.
    """

    begins: bool
    documents: npt.NDArray[np.intp]
    inputs: npt.NDArray[Any]
    positions: Integers
    counted: npt.NDArray[np.bool_]

    def enter(self, model: LanguageModel, state: State) -> State:
        """The state before this window, given the state after the previous one."""
        rows = len(self.documents)
        return model.initial_state(rows) if self.begins else model.select(state, np.arange(rows))


def windows(documents: Documents, vocabulary_size: int) -> Iterator[Window]:
    """The windows to read so that each id of `documents` is predicted once."""
    segments = _segments(documents)
    order = np.argsort(segments.begins - segments.stops, kind="stable")  # the longest first
    rows = max(1, min(MAX_ROWS, MAX_CELLS // vocabulary_size))
    for at in range(0, len(order), rows):
        yield from _read_group(documents, segments.take(order[at : at + rows]), vocabulary_size)
        release_pages(documents.ids)


@dataclass(frozen=True)
class _Segments:
    """Spans ids[begin:stop] to read; predictions are scored from `firsts` on. All (S,)."""

    documents: npt.NDArray[np.intp]
    begins: Integers
    firsts: Integers
    stops: Integers

    def take(self, which: npt.NDArray[np.intp]) -> _Segments:
        return _Segments(
            self.documents[which], self.begins[which], self.firsts[which], self.stops[which]
        )


def _segments(documents: Documents) -> _Segments:
    counts = np.maximum(1, -(-(documents.lengths - CONTEXT) // SEGMENT))  # (D,)
    which = np.repeat(np.arange(len(counts)), counts)  # (S,)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = documents.starts[which]
    ends = starts + documents.lengths[which]
    begins = starts + number * SEGMENT
    firsts = np.where(number == 0, starts, begins + CONTEXT)
    stops = np.minimum(ends, begins + CONTEXT + SEGMENT)
    return _Segments(which, begins, firsts, stops)


def _read_group(
    documents: Documents, segments: _Segments, vocabulary_size: int
) -> Iterator[Window]:
    """Read `segments`, sorted from the longest, in one batch that each leaves at its end."""
    lengths = segments.stops - segments.begins
    at = 0
    while at < lengths[0]:
        active = int(np.count_nonzero(lengths > at))
        chunk = min(MAX_CHUNK, max(1, MAX_CELLS // (active * vocabulary_size)))
        width = int(min(chunk, lengths[0] - at))
        owners, begins = segments.documents[:active], segments.begins[:active]
        positions = begins[:, None] + at + np.arange(width)  # (B, T)
        inside = positions < segments.stops[:active, None]
        positions = np.where(inside, positions, 0)
        inputs = documents.ids[positions - 1]
        if at == 0:
            inputs[begins == documents.starts[owners], 0] = EOS
        counted = inside & (positions >= segments.firsts[:active, None])
        yield Window(at == 0, owners, inputs, positions, counted)
        at += width
