"""Learn what a mixture misjudges after each context, while a text is read.

To the log-probabilities of the mixture a number is added for each character and for each context
that the text ends with: its last 1 to 6 characters. After each character x,
b[context, c] += rate / sqrt(n) (1[c = x] - p(c)), the gradient of log p(x), at the n-th occasion of
the context. That is a log-linear n-gram model with hashed contexts, trained on line beside the
others, as the direct connections of Mikolov et al. 2011 (Strategies for training large scale neural
network language models) are beside a network.

Axes: V vocabulary entries, K lengths of context, R rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from charrnn.arrays import Floats, Integers

LENGTHS = 6
"""K: contexts have 1 to 6 characters."""
CELLS = 1 << 24
"""At most so many numbers, 64 MiB; those of contexts that were never read take no memory."""
MAX_ROWS = 1 << 16
MULTIPLIER = 0x9E3779B97F4A7C15
"""Spreads the keys of contexts (Knuth 1998, section 6.4)."""
MASK = (1 << 64) - 1


class OnlineBias:
    """What is added to the log-probabilities after each context.

    Args:
        vocabulary_size: V.
        rate: of learning; with 0 nothing is ever added.
    """

    def __init__(self, vocabulary_size: int, rate: float) -> None:
        wanted = CELLS // (LENGTHS * vocabulary_size)
        self._rows = min(MAX_ROWS, 1 << max(0, wanted.bit_length() - 1))
        self._shift = 64 - self._rows.bit_length() + 1
        self._bias = np.zeros((LENGTHS * self._rows, vocabulary_size), np.float32)
        self._occasions = np.zeros(LENGTHS * self._rows, np.float32)
        self._rate = np.float32(rate)

    def rows(self, latest: Iterable[int]) -> Integers:
        """The rows (K,) of a text's contexts; `latest`: its K last characters, the last one first.

        Different contexts may share a row.
        """
        key, found = 0, []
        for length, character in enumerate(latest):
            key = ((key ^ (character + 1)) * MULTIPLIER) & MASK
            found.append(length * self._rows + (key >> self._shift))
        return np.array(found)

    def bias(self, rows: Integers) -> Floats:
        """What is added to the log-probabilities (V,)."""
        added: Floats = self._bias.take(rows, 0).sum(0)
        return added

    def learn(self, rows: Integers, probabilities: Floats, character: int) -> None:
        """Learn from `character`, where `probabilities` (V,) were predicted."""
        occasions = self._occasions[rows] + 1
        self._occasions[rows] = occasions
        steps = self._rate / np.sqrt(occasions)
        change = np.multiply.outer(-steps, probabilities)
        change[:, character] += steps
        self._bias[rows] += change
