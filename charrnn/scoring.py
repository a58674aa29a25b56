"""The probability of texts under a LanguageModel. Knows ids and spans, not characters or files.

Every text is read from EOS and a zero state. Texts of about one length are read side by side. A
long text is cut into segments that are read side by side too, each after CONTEXT characters that
are read but not scored; what a model remembers from farther back is below float32's precision
(measured in tests/benchmarks/README.md).

Axes: B segments side by side, T positions. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.corpus import Documents
from charrnn.models.language_model import LanguageModel
from charrnn.vocabulary import EOS, UNK

CONTEXT = 1024
SEGMENT = 2048
MAX_ROWS = 256
MAX_CHUNK = 128
MAX_CELLS = 1 << 23
"""B * T * V is at most this, or B = T = 1: 32 MiB of float32."""

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """How probable a text is.

    Attributes:
        log_probability: natural logarithm, in nats.
        characters: how many predictions that is the sum of; EOS is one where it counts.
        unknown_characters: how many of them were of UNK.
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
        """Perplexity per character; infinity beyond what a float holds."""
        try:
            return math.exp(self.nats_per_character)
        except OverflowError:
            return math.inf

    def figures(self) -> dict[str, float]:
        """The score under the keys used everywhere."""
        return {
            "log_probability": self.log_probability,
            "nats_per_character": self.nats_per_character,
            "bits_per_character": self.bits_per_character,
            "perplexity": self.perplexity,
            "characters": self.characters,
            "unknown_characters": self.unknown_characters,
        }


@dataclass(frozen=True)
class Scored:
    """Some predictions: ids[positions[i]], of a document, has log-probability values[i]."""

    documents: npt.NDArray[np.intp]
    positions: Positions
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
    """The log-probability of each character of each document."""
    values = [np.zeros(length) for length in documents.lengths]
    for scored in score_spans(model, documents):
        for which in np.unique(scored.documents):
            mine = scored.documents == which
            values[which][scored.positions[mine] - documents.starts[which]] = scored.values[mine]
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
    segments = _segments(documents)
    order = np.argsort(segments.begins - segments.stops, kind="stable")  # the longest first
    rows = max(1, min(MAX_ROWS, MAX_CELLS // model.vocabulary_size))
    for at in range(0, len(order), rows):
        yield from _score_group(model, documents, segments.take(order[at : at + rows]))


@dataclass(frozen=True)
class _Segments:
    """Spans of ids that are read; predictions count from `firsts` on. All (S,)."""

    documents: npt.NDArray[np.intp]
    begins: Positions
    firsts: Positions
    stops: Positions

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


def _score_group(
    model: LanguageModel, documents: Documents, segments: _Segments
) -> Iterator[Scored]:
    """Segments, the longest first, side by side; each leaves the batch at its end."""
    lengths = segments.stops - segments.begins
    state = model.initial_state(len(lengths))
    batch = len(lengths)
    at = 0
    while at < lengths[0]:
        active = int(np.count_nonzero(lengths > at))
        if active < batch:
            state = model.select(state, np.arange(active))
            batch = active
        chunk = min(MAX_CHUNK, max(1, MAX_CELLS // (batch * model.vocabulary_size)))
        width = int(min(chunk, lengths[0] - at))
        positions = segments.begins[:batch, None] + at + np.arange(width)  # (B, T)
        inside = positions < segments.stops[:batch, None]
        positions = np.where(inside, positions, 0)
        inputs = documents.ids[positions - 1]
        if at == 0:
            inputs[segments.begins[:batch] == documents.starts[segments.documents[:batch]], 0] = EOS
        values, state = model.score(inputs, documents.ids[positions], state)
        counted = inside & (positions >= segments.firsts[:batch, None])
        owners = np.broadcast_to(segments.documents[:batch, None], counted.shape)
        yield Scored(owners[counted], positions[counted], values[counted])
        at += width
