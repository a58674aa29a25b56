"""Learn what a mixture misjudges after each context, while a text is read.

To the log-probabilities of the mixture a number is added for each character and for each context
that the text ends with: its last 1 to 6 characters, and their column. After each character x,
b[context, c] += rate / sqrt(n) (1[c = x] - p(c)), along the gradient of log p(x), at the n-th
occasion of the context. That is a log-linear n-gram model with hashed contexts, trained on line
beside the others, as the direct connections of Mikolov et al. 2011 (Strategies for training large
scale neural network language models) are beside a network.

Axes: V vocabulary entries, K contexts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.text.vocabulary import EOS

LENGTHS = 6
"""Contexts have 1 to 6 characters."""
CONTEXTS = LENGTHS + 1
"""K: those, and the column."""
RATES = np.array([1.0] * LENGTHS + [2.0], np.float32)
"""Of the contexts (K,), as multiples of the rate."""
COLUMNS = 64
"""Those further to the right count as the last one."""
CELLS = 1 << 24
"""At most so many numbers, 64 MiB; those of contexts that were never read take no memory."""
MAX_ROWS = 1 << 16
MULTIPLIER = 0x9E3779B97F4A7C15
"""Spreads the keys of contexts (Knuth 1998, section 6.4)."""
MASK = (1 << 64) - 1


class Place(NamedTuple):
    """Where a text has come to.

    Attributes:
        latest: its last LENGTHS characters, the last one first.
        column: how many characters its last line has.
    """

    latest: tuple[int, ...] = (EOS,) * LENGTHS
    column: int = 0

    def after(self, character: int, newline: int) -> Place:
        """The place after one more character; `newline` is the one that ends a line."""
        column = 0 if character in (newline, EOS) else self.column + 1
        return Place((character, *self.latest[:-1]), column)


class OnlineBias:
    """What is added to the log-probabilities after each context.

    Args:
        vocabulary_size: V.
        rate: of learning; with 0 nothing is ever added.
    """

    def __init__(self, vocabulary_size: int, rate: float) -> None:
        wanted = CELLS // (CONTEXTS * vocabulary_size)
        self._rows = min(MAX_ROWS, 1 << max(0, wanted.bit_length() - 1))
        self._shift = 64 - self._rows.bit_length() + 1
        self._bias = np.zeros((CONTEXTS * self._rows, vocabulary_size), np.float32)
        self._occasions = np.zeros(CONTEXTS * self._rows, np.float32)
        self._rates = RATES * np.float32(rate)

    def rows(self, place: Place) -> Integers:
        """The rows (K,) of the contexts at `place`; different contexts may share one."""
        key, found = 0, []
        for length, character in enumerate(place.latest):
            key = ((key ^ (character + 1)) * MULTIPLIER) & MASK
            found.append(length * self._rows + (key >> self._shift))
        found.append(LENGTHS * self._rows + min(place.column, COLUMNS - 1, self._rows - 1))
        return np.array(found)

    def bias(self, rows: Integers) -> Floats:
        """What is added to the log-probabilities (V,)."""
        added: Floats = self._bias.take(rows, 0).sum(0)
        return added

    def learn(self, rows: Integers, probabilities: Floats, character: int) -> None:
        """Learn from `character`, where `probabilities` (V,) were predicted."""
        occasions = self._occasions[rows] + 1
        self._occasions[rows] = occasions
        steps = self._rates / np.sqrt(occasions)
        change = np.multiply.outer(-steps, probabilities)
        change[:, character] += steps
        self._bias[rows] += change
