"""Cut the training text into batches for a reader, in the order of training. Knows ids only.

A reader sees each text from both sides, so nothing is carried from batch to batch: a row is a
window with margins on both sides that are read, but not predicted, unless the text begins or ends
there. As in batches.py, every batch is a pure function of the seed and its number.

Axes: B rows (windows), W positions read, T of them predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Integers
from charrnn.models.reader import PADDING
from charrnn.platform import release_pages
from charrnn.text.documents import Ids
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import IGNORED, RELEASE_EVERY, Batch, LineBatches

MARGIN = 16
"""Characters on either side of a window that are read, but not predicted."""
WIDER = 2
"""A window has so many times `chunk` characters to predict, and a batch as many times fewer rows:
so less is read that is not predicted."""


@dataclass(frozen=True)
class ReaderBatch(Batch):
    """One step's windows.

    Attributes:
        inputs: (B, W) ids from EOS to EOS, or cut off; then PADDING.
        targets: (B, W - 1) the id after each input, or IGNORED. EOS is for the network that
            predicts the next character; the reader predicts only what is between.
        fresh: (B,) true.
    """

    @property
    def characters(self) -> int:
        """How many ids the reader predicts; at least 1, as it divides."""
        return max(1, int(((self.targets != IGNORED) & (self.targets != EOS)).sum()))


class WindowBatches:
    """Batches of windows of long documents, in a new order in each epoch.

    Args:
        ids: (N,) ids of the training text.
        starts: (D,) positions where documents begin.
        batch, chunk: B and T are these, but see WIDER.
        seed: of the order.
    """

    def __init__(self, ids: Ids, starts: Integers, batch: int, chunk: int, seed: int) -> None:
        self._ids = ids
        self._starts = starts
        self._rows = max(1, batch // WIDER)
        self._width = min(chunk * WIDER, len(ids))
        self._seed = seed
        self._count = len(ids) // self._width + 1  # windows of an epoch, the outer ones in part

    @property
    def per_epoch(self) -> float:
        """How many batches read the text once."""
        return self._count / self._rows

    def __getitem__(self, number: int) -> ReaderBatch:
        """Batch `number`, 0 or more."""
        if number % RELEASE_EVERY == 0:
            release_pages(self._ids)
        firsts = np.array(
            [self._place(number * self._rows + row) for row in range(self._rows)], np.int64
        )
        middles = np.clip(firsts + self._width // 2, 0, len(self._ids) - 1)
        which = np.searchsorted(self._starts, middles, "right") - 1  # (B,)
        lows = self._starts[which][:, None]
        highs = np.append(self._starts, len(self._ids))[which + 1][:, None]
        begins = np.maximum(lows - 1, firsts[:, None] - MARGIN - 1)
        positions = begins + np.arange(self._width + 2 * MARGIN + 2)  # (B, W)
        inside = positions < np.minimum(highs, firsts[:, None] + self._width + MARGIN + 1)
        inputs = np.where(inside, self._ids[np.where(inside, positions, 0)].astype(np.int64), 0)
        inputs[positions < lows] = EOS
        inputs[~inside] = PADDING
        wanted = (positions >= firsts[:, None]) & (positions < firsts[:, None] + self._width)
        return _batch(inputs, wanted)

    def _place(self, number: int) -> int:
        """Where a window begins to predict: each once in an epoch, spread over the text.

        Multiples of a number that has no factor in common with the count come by every window; so
        the order of a long text need not be stored.
        """
        epoch, number = divmod(number, self._count)
        random = np.random.default_rng((self._seed, epoch))
        factor = int(random.integers(self._count))
        while math.gcd(factor, self._count) > 1:
            factor = (factor + 1) % self._count
        shift = int(random.integers(self._width))
        begin = int(random.integers(self._count))
        return (begin + number * factor) % self._count * self._width - shift


class ReaderLineBatches:
    """The lines of LineBatches, read from both sides; a long one is cut into pieces with margins.

    Args:
        lines: the batches of a network.
    """

    def __init__(self, lines: LineBatches) -> None:
        self._lines = lines

    @property
    def per_epoch(self) -> float:
        """How many batches read the text once, about."""
        return self._lines.per_epoch

    def __getitem__(self, number: int) -> ReaderBatch:
        """Batch `number`."""
        given = self._lines[number]
        inputs = np.concatenate([given.inputs[:, :1], given.targets], 1)  # (B, W)
        lengths = (inputs != PADDING).sum(1, keepdims=True)
        ended = np.take_along_axis(inputs, lengths - 1, 1) == EOS
        places = np.arange(inputs.shape[1])
        wanted = (places > MARGIN) | given.fresh[:, None]
        wanted &= (places < lengths - 1 - MARGIN) | ended
        return _batch(inputs, wanted)


def _batch(inputs: Integers, wanted: npt.NDArray[np.bool_]) -> ReaderBatch:
    """The batch that reads `inputs` (B, W) and predicts those `wanted` (B, W).

    The last id of a text that is cut off has nothing after it to predict it from.
    """
    following = np.append(inputs[:, 1:], np.full((len(inputs), 1), PADDING), 1)
    predicted = wanted & (inputs != PADDING) & ((following != PADDING) | (inputs == EOS))
    targets = np.where(predicted, inputs, IGNORED)[:, 1:]
    return ReaderBatch(inputs, targets, np.full(len(inputs), True))
