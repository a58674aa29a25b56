"""Improve what is filled into a gap with a reader, which sees both sides of it. Knows ids only.

Gibbs sampling (Geman & Geman 1984): each missing character in turn is drawn from its probability
given all others, again and again; Berglund et al. 2015 (arXiv 1504.01575) fill gaps in this way.
Without random numbers each becomes the most probable one, until nothing changes.

Axes: B texts, M characters from the first missing one to the last, V vocabulary entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats, Integers
from charrnn.models.interface import LogProbabilities, Tokens
from charrnn.models.reader import Between, NumpyReader
from charrnn.text.vocabulary import EOS, UNK


class Polisher:
    """A reader, at a place of a text.

    Args:
        reader: predicts each character from all others.
        left, right: (L,) and (R,) ids on either side, with EOS where the text begins and ends.
        missing: (M,) which of the characters between are missing.
    """

    def __init__(
        self, reader: NumpyReader, left: Tokens, right: Tokens, missing: npt.NDArray[np.bool_]
    ) -> None:
        self._reader = reader
        self._left, self._right = left, right
        self._between = Between(reader, left, right)
        self._missing = missing

    def sample(
        self, middles: Integers, sweeps: int, temperature: float, chance: np.random.Generator
    ) -> Integers:
        """Draw the missing characters of `middles` (B, M), `sweeps` times each."""

        def draw(place: int, predicted: LogProbabilities) -> Integers:
            if not self._missing[place]:
                return middles[:, place]
            logits = predicted.astype(np.float64) / max(temperature, 1e-9)
            logits[:, [UNK, EOS]] = -np.inf
            # The largest sum with Gumbel noise is a draw from the softmax.
            chosen: Integers = (logits + chance.gumbel(size=logits.shape)).argmax(-1)
            return chosen

        for _ in range(sweeps):
            middles = self._between.sweep(middles, draw)
        return middles

    def climb(self, middles: Integers, sweeps: int) -> Integers:
        """Let each missing character be the most probable one, until nothing changes."""

        def best(place: int, predicted: LogProbabilities) -> Integers:
            if not self._missing[place]:
                return middles[:, place]
            predicted[:, [UNK, EOS]] = -np.inf
            chosen: Integers = predicted.argmax(-1)
            return chosen

        for _ in range(sweeps):
            before, middles = middles, self._between.sweep(middles, best)
            if np.array_equal(before, middles):
                break
        return middles

    def scores(self, middles: Integers) -> Floats:
        """The pseudo-log-likelihood (B,) of the missing characters, each given all others."""
        scores = np.zeros(len(middles), np.float32)

        def keep(place: int, predicted: LogProbabilities) -> Integers:
            if self._missing[place]:
                scores[:] += predicted[np.arange(len(middles)), middles[:, place]]
            kept: Integers = middles[:, place]
            return kept

        self._between.sweep(middles, keep)
        return scores

    def guess(self, middles: Integers) -> Integers:
        """A first guess in one pass (1, M): each as if no other character after it were missing."""
        guessed: Integers = middles.copy()
        left = self._left
        for place, missing in enumerate(self._missing):
            if missing:
                known = np.flatnonzero(~self._missing[place:])
                rest = middles[0, place:][known]
                right = np.concatenate([rest, self._right])
                found = np.zeros((1, 1), np.int64)
                Polisher(self._reader, left, right, np.ones(1, bool))._into(found)
                guessed[0, place] = found[0, 0]
            left = np.append(left, guessed[:, place])
        return guessed

    def _into(self, found: Integers) -> None:
        found[:] = self.climb(found, 1)
