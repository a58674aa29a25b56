"""Mix predictions with weights that are learnt while a text is read.

The mixture is log-linear, as `models/mixture.py` has it: p(c) is proportional to the product of
p_i(c) ** w_i. After each character x, w_i += rate (log p_i(x) - E[log p_i]), the gradient of
log p(x), where E is the expectation under p. The weights are sums: those that the mixture was made
with, and a set of learnt ones for each thing known of a place: the lengths of the contexts that are
known, the character before it, the character that the first member expects (context mixing with
selected sets of weights, as in paq: Mahoney 2005).

Axes: M members, V vocabulary entries, S sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats
from charrnn.models.interface import log_sum_exp


class Blend(NamedTuple):
    """A prediction of the mixture.

    Attributes:
        predictions: (M, V) of its members; like all here, log-probabilities in nats.
        mixed: (V,) of the mixture.
        places: which of the learnt weights it was made with.
    """

    predictions: Floats
    mixed: Floats
    places: tuple[int, ...]


class OnlineMixture:
    """The learnt weights, and how to mix with them.

    Args:
        members: M.
        sizes: (S,) of how many weights each set selects one row (M,).
        rate: of learning; with 0 the weights remain as they are given.
    """

    def __init__(self, members: int, sizes: Sequence[int], rate: float) -> None:
        self._sets = [np.zeros((size, members), np.float32) for size in sizes]
        self._rate = np.float32(rate)

    def mix(self, predictions: Floats, weights: Floats, places: tuple[int, ...]) -> Blend:
        """The prediction of the mixture.

        Args:
            predictions: (M, V) log-probabilities.
            weights: (M,) as trained.
            places: (S,) which row of each set counts here.
        """
        for learnt, place in zip(self._sets, places, strict=True):
            weights = weights + learnt[place]
        # Not a product of matrices, so that what is not learnt is the static mixture bit for bit.
        mixed: Floats = predictions[0] * weights[0]
        for prediction, weight in zip(predictions[1:], weights[1:], strict=True):
            mixed += prediction * weight
        mixed -= log_sum_exp(mixed)
        return Blend(predictions, mixed, places)

    def learn(self, blend: Blend, character: int) -> None:
        """Learn from `character`, which came where `blend` was predicted."""
        predictions, mixed, places = blend
        gradient = predictions[:, character] - predictions.dot(np.exp(mixed))  # (M,)
        gradient *= self._rate
        for learnt, place in zip(self._sets, places, strict=True):
            learnt[place] += gradient
