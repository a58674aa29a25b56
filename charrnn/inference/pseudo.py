"""The pseudo-log-likelihood of texts under a Reader. Knows ids and spans, not characters.

It is the sum of the log-probability of each character given all others (Besag 1975), which is no
probability of the text. Ends of texts are given, so they are not predicted. A long text is read in
windows, each with MARGIN characters on both sides that are read but not predicted.

Axes: B windows in a batch, W positions read, T of them predicted, S windows in all. Logarithms are
natural.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats, Integers
from charrnn.inference.scoring import Score
from charrnn.models.interface import LogProbabilities, Tokens
from charrnn.models.reader import PADDING, Reader
from charrnn.platform import release_pages
from charrnn.text.documents import Documents, Ids
from charrnn.text.vocabulary import EOS, UNK

MARGIN = 64
WINDOW = 256
MAX_ROWS = 64
MAX_CELLS = 1 << 22
"""B * W * V is at most this, or B = 1."""


@dataclass(frozen=True)
class Window:
    """Some windows that are read in one batch.

    Attributes:
        documents: (B,) which document each is of.
        inputs: (B, W) ids to read, with PADDING behind.
        positions: (B, W - 2) index in the documents' ids of each id that is predicted.
        counted: (B, W - 2) whether it counts.
    """

    documents: Integers
    inputs: Tokens
    positions: Integers
    counted: npt.NDArray[np.bool_]


def pseudo_scores(
    reader: Reader,
    collections: Iterable[Documents],
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Score]:
    """The pseudo-log-likelihood of each collection of documents, as a Score.

    `on_progress` is called with the characters that are done.
    """
    done = 0
    for documents in collections:
        total, count, unknown = 0.0, 0, 0
        for window in reader_windows(documents, reader.vocabulary_size):
            targets = documents.ids[window.positions]
            values = scores_of(reader.predict(window.inputs), targets)[window.counted]
            total += float(values.sum(dtype=np.float64))
            count += len(values)
            unknown += int((targets[window.counted] == UNK).sum())
            done += len(values)
            if on_progress is not None:
                on_progress(done)
        yield Score(total, count, unknown)


def scores_of(predicted: LogProbabilities, targets: Ids) -> Floats:
    """The log-probability (B, T) of `targets` (B, T) among `predicted` (B, T, V)."""
    wanted = targets[..., None].astype(np.intp)
    scores: Floats = np.take_along_axis(predicted, wanted, -1)[..., 0]
    return scores


def reader_windows(documents: Documents, vocabulary_size: int) -> Iterator[Window]:
    """The windows to read so that each character of `documents` is predicted once."""
    starts, lengths = documents.starts, documents.lengths
    ended = documents.ids[np.maximum(starts + lengths - 1, 0)] == EOS
    lengths = lengths - (ended & (lengths > 0))
    counts = -(-lengths // WINDOW)  # (D,)
    which = np.repeat(np.arange(len(counts)), counts)  # (S,)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    lows = starts[which]
    highs = lows + lengths[which]
    firsts = lows + number * WINDOW
    begins = np.maximum(lows, firsts - MARGIN) - 1
    ends = np.minimum(highs, firsts + WINDOW + MARGIN) + 1
    order = np.argsort(begins - ends, kind="stable")  # the longest first
    rows = max(1, min(MAX_ROWS, MAX_CELLS // (vocabulary_size * (WINDOW + 2 * MARGIN))))
    for at in range(0, len(order), rows):
        some = order[at : at + rows]
        edges = (part[some][:, None] for part in (lows, highs, firsts, begins, ends))
        yield _window(documents.ids, which[some], *edges)
        release_pages(documents.ids)


def _window(
    ids: Ids,
    documents: Integers,
    lows: Integers,
    highs: Integers,
    firsts: Integers,
    begins: Integers,
    ends: Integers,
) -> Window:
    """The windows ids[begin:end] (B, 1) of texts ids[low:high], predicted from `firsts` on."""
    positions = begins + np.arange(int((ends - begins).max()))  # (B, W)
    inside = (positions >= lows) & (positions < highs) & (positions < ends)
    inputs = np.where(inside, ids[np.where(inside, positions, 0)].astype(np.int64), EOS)
    inputs[positions >= ends] = PADDING
    counted = inside & (positions >= firsts) & (positions < firsts + WINDOW)
    predicted = np.where(counted, positions, 0)[:, 1:-1]
    return Window(documents, inputs, predicted, counted[:, 1:-1])
