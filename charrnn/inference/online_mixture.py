"""Mix predictions with weights that are learnt while a text is read.

The mixture is log-linear, as `models/mixture.py` has it: p(c) is proportional to the product of
p_i(c) ** w_i. After each character x, w_i += rate (log p_i(x) - E[log p_i]), the gradient of
log p(x), where E is the expectation under p. The weights are sums: those that the mixture was made
with, and a set of learnt ones for each thing known of a place: the lengths of the contexts that are
known, the character before it, the character that the first member expects (context mixing with
selected sets of weights, as in paq: Mahoney 2005). What `online_bias` has learnt is added.

Axes: M members, V vocabulary entries, S sets, K contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.inference.online_bias import OnlineBias, Place
from charrnn.models.interface import log_sum_exp

BEGINNING = Place()


class Blend(NamedTuple):
    """A prediction of the mixture.

    Attributes:
        predictions: (M, V) of its members; like all here, log-probabilities in nats.
        mixed: (V,) of the mixture.
        places: (S,) which of the learnt weights it was made with.
        rows: (K,) which of the learnt biases.
    """

    predictions: Floats
    mixed: Floats
    places: Integers
    rows: Integers


class OnlineMixture:
    """The learnt weights, and how to mix with them.

    Args:
        members: M.
        sizes: (S,) of how many weights each set selects one row (M,).
        rates: (S,) of learning; with 0 the weights remain as they are given.
        bias: what is learnt besides; None: nothing.
    """

    def __init__(
        self,
        members: int,
        sizes: Sequence[int],
        rates: Sequence[float],
        bias: OnlineBias | None = None,
    ) -> None:
        # The rows of all sets stand in one table.
        self._first: Integers = np.cumsum([0, *sizes[:-1]])
        self._learnt = np.zeros((sum(sizes), members), np.float32)
        self._rates = np.array(rates, np.float32)[:, None]
        self._bias = bias

    def mix(
        self,
        predictions: Floats,
        weights: Floats,
        places: Sequence[int],
        place: Place = BEGINNING,
    ) -> Blend:
        """The prediction of the mixture.

        Args:
            predictions: (M, V) log-probabilities.
            weights: (M,) as trained.
            places: (S,) which row of each set counts here.
            place: where the text has come to.
        """
        chosen = self._first + np.asarray(places)
        mixed: Floats = (weights + self._learnt.take(chosen, 0).sum(0)).dot(predictions)
        rows: Integers = chosen[:0]
        if self._bias is not None:
            rows = self._bias.rows(place)
            mixed += self._bias.bias(rows)
        mixed -= log_sum_exp(mixed)
        return Blend(predictions, mixed, chosen, rows)

    def learn(self, blend: Blend, character: int) -> None:
        """Learn from `character`, which came where `blend` was predicted."""
        predictions, mixed, places, rows = blend
        probabilities = np.exp(mixed)
        gradient = predictions[:, character] - predictions.dot(probabilities)  # (M,)
        self._learnt[places] += self._rates * gradient
        if self._bias is not None:
            self._bias.learn(rows, probabilities, character)
