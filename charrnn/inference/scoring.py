"""Compute the probability of texts under a LanguageModel. Knows ids and spans, not characters.

Every text is read from EOS and the initial state. Texts of similar length are read in one batch. A
long text is cut into segments that are read in one batch too, each after CONTEXT characters that
are read but not scored; the effect of earlier characters is below float32's precision (measured in
tests/benchmarks/README.md).

Axes: B segments in a batch, T positions, D documents, S segments. Logarithms are natural.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Integers
from charrnn.inference.html import table
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel, State
from charrnn.platform import release_pages
from charrnn.text.documents import Documents, join_documents
from charrnn.text.vocabulary import EOS, UNK

CONTEXT = 1024
SEGMENT = 2048
MAX_ROWS = 256
MAX_CHUNK = 128
MAX_JOINED = 1 << 22
"""Collections of together at most so many ids are read in one batch."""
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

    @classmethod
    def total(cls, scores: Sequence[Score]) -> Score:
        """The score of several texts together."""
        return cls(
            sum(score.log_probability for score in scores),
            sum(score.characters for score in scores),
            sum(score.unknown_characters for score in scores),
        )

    def figures(self) -> dict[str, float]:
        """The score by the names in FIGURES."""
        return {name: getattr(self, name) for name in FIGURES}

    def _repr_html_(self) -> str:
        return table(self.figures())


@dataclass(frozen=True)
class Scored:
    """Some predictions: ids[positions[i]], of a document, has log-probability values[i]."""

    documents: npt.NDArray[np.intp]
    positions: Integers
    values: npt.NDArray[np.float32]


class Stream(ABC):
    """A model that changes with what it scores, and so reads strictly in order."""

    @abstractmethod
    def read(self, documents: Documents) -> Iterator[Scored]:
        """Every prediction of every document, in order; learns from each after it is made."""

    @abstractmethod
    def frozen(self) -> LanguageModel:
        """The model as it is now, which learns nothing; for use until this one reads on."""

    @abstractmethod
    def updated(self, checkpoint: Checkpoint) -> Checkpoint:
        """`checkpoint`, which all this began with, with what a checkpoint can hold of the rest."""


Scorer: TypeAlias = LanguageModel | Stream


def score_documents(model: Scorer, documents: Documents) -> list[Score]:
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
    model: Scorer, documents: Documents
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


def evaluate_documents(model: Scorer, documents: Documents) -> Score:
    """The score of all documents together."""
    (score,) = evaluate_collections(model, [documents])
    return score


def evaluate_collections(
    model: Scorer,
    collections: Iterable[Documents],
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Score]:
    """The score of each collection of documents; small collections are read in one batch.

    `on_progress` is called with the characters that are done.
    """
    done = 0
    for group in _groups(collections):
        documents = join_documents(group)
        owners = np.repeat(np.arange(len(group)), [len(each.starts) for each in group])
        sums = np.zeros(len(group))
        unknown = np.zeros(len(group), np.int64)
        for scored in score_spans(model, documents):
            of = owners[scored.documents]
            sums += np.bincount(of, scored.values, len(group))
            unknown += np.bincount(of[documents.ids[scored.positions] == UNK], None, len(group))
            done += len(scored.values)
            if on_progress is not None:
                on_progress(done)
        for at, each in enumerate(group):
            yield Score(float(sums[at]), each.characters, int(unknown[at]))


def _groups(collections: Iterable[Documents]) -> Iterator[list[Documents]]:
    """Neighbours together, as long as their ids are few enough to be copied."""
    group: list[Documents] = []
    size = 0
    for each in collections:
        size += len(each.ids)
        if group and size > MAX_JOINED:
            yield group
            group, size = [], len(each.ids)
        group.append(each)
    if group:
        yield group


def most_probable(
    model: LanguageModel, documents: Documents
) -> list[list[tuple[int, float]]]:
    """For each predicted id of each document, the most probable id in its place, UNK aside.

    Returns:
        pairs of an id and its probability.
    """
    found = [[(EOS, 0.0)] * length for length in documents.lengths.tolist()]
    state: State = None
    for window in windows(documents, model.vocabulary_size):
        state = window.enter(model, state)
        predicted, state = model.forward(window.inputs, state)  # (B, T, V)
        predicted[..., UNK] = -np.inf
        best = predicted.argmax(-1)  # (B, T)
        values = np.exp(predicted.max(-1))
        for row, column in np.argwhere(window.counted).tolist():
            which = int(window.documents[row])
            at = int(window.positions[row, column] - documents.starts[which])
            found[which][at] = int(best[row, column]), float(values[row, column])
    return found


def score_spans(
    model: Scorer, documents: Documents, cells: int | None = None
) -> Iterator[Scored]:
    """Every prediction of every document, in pieces; in no particular order, but for a Stream.

    `cells` as in `windows`; None: as many as there are ids.
    """
    if isinstance(model, Stream):
        yield from model.read(documents)
        return
    state: State = None
    for window in windows(documents, cells or model.vocabulary_size):
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
        labelled: whether the first input is a label, to be read after EOS.
        documents: (B,) which document each row belongs to.
        inputs: (B, T) ids to read.
        positions: (B, T) index in the documents' ids of the id that follows each input.
        counted: (B, T) whether the prediction of that id is scored.
    """

    begins: bool
    labelled: bool
    documents: npt.NDArray[np.intp]
    inputs: npt.NDArray[Any]
    positions: Integers
    counted: npt.NDArray[np.bool_]

    def enter(self, model: LanguageModel, state: State) -> State:
        """The state before this window, given the state after the previous one."""
        rows = len(self.documents)
        if not self.begins:
            return model.select(state, np.arange(rows))
        state = model.initial_state(rows)
        return model.step(np.full(rows, EOS), state)[1] if self.labelled else state


def windows(documents: Documents, cells: int) -> Iterator[Window]:
    """The windows to read so that each id of `documents` is predicted once.

    `cells`: values that the model holds for each position of a window; they limit its size.
    """
    segments = _segments(documents)
    order = np.argsort(segments.begins - segments.stops, kind="stable")  # the longest first
    rows = max(1, min(MAX_ROWS, MAX_CELLS // cells))
    for at in range(0, len(order), rows):
        yield from _read_group(documents, segments.take(order[at : at + rows]), cells)
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
    if documents.labels is not None:  # a label may be remembered to the end
        counts = np.ones_like(counts)
    which = np.repeat(np.arange(len(counts)), counts)  # (S,)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = documents.starts[which]
    ends = starts + documents.lengths[which]
    begins = starts + number * SEGMENT
    firsts = np.where(number == 0, starts, begins + CONTEXT)
    stops = np.minimum(ends, begins + CONTEXT + SEGMENT) if documents.labels is None else ends
    return _Segments(which, begins, firsts, stops)


def _read_group(
    documents: Documents, segments: _Segments, cells: int
) -> Iterator[Window]:
    """Read `segments`, sorted from the longest, in one batch that each leaves at its end."""
    lengths = segments.stops - segments.begins
    at = 0
    while at < lengths[0]:
        active = int(np.count_nonzero(lengths > at))
        chunk = min(MAX_CHUNK, max(1, MAX_CELLS // (active * cells)))
        width = int(min(chunk, lengths[0] - at))
        owners, begins = segments.documents[:active], segments.begins[:active]
        positions = begins[:, None] + at + np.arange(width)  # (B, T)
        inside = positions < segments.stops[:active, None]
        positions = np.where(inside, positions, begins[:, None])  # never that of a label
        inputs = documents.ids[positions - 1]
        if at == 0:
            first = EOS if documents.labels is None else documents.labels[owners]
            inputs[:, 0] = np.where(begins == documents.starts[owners], first, inputs[:, 0])
        counted = inside & (positions >= segments.firsts[:active, None])
        labelled = documents.labels is not None
        yield Window(at == 0, labelled, owners, inputs, positions, counted)
        at += width
