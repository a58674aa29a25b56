"""A reader: the probability of each character given all others, those before and those after it.

Two stacks of recurrent layers, one that reads the text from its beginning and one that reads it
from its end, are separate to the top and meet only in the output: the prediction of a character
comes from what the first knows before it and what the second knows after it. So no prediction can
see the character that it predicts, as it could through the second layer of a stacked
`nn.LSTM(bidirectional=True)`. Compare Berglund et al. 2015 (arXiv 1504.01575) and Baevski et al.
2019 (arXiv 1903.07785).

A reader is no LanguageModel: its probabilities do not multiply to that of a text. The sum of their
logarithms is a pseudo-log-likelihood (Besag 1975).

Axes: B texts, W positions read, V vocabulary entries, H hidden units. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.models.architecture import Architecture
from charrnn.models.interface import LogProbabilities, Tokens, log_sum_exp
from charrnn.models.numpy_layers import OutputLayers, RecurrentLayers, RNNState
from charrnn.text.vocabulary import EOS

PADDING = -1
"""Stands behind a text that is shorter than others of its batch."""


class Reader(Protocol):
    """Predicts each character of B texts from all others."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ids, UNK and EOS included."""

    def predict(self, texts: Tokens) -> LogProbabilities:
        """Log-probabilities (B, W - 2, V) of all but the first and last id of `texts` (B, W).

        A text begins and ends with EOS, or is cut off there; PADDING may follow. Predictions at
        padding, and of the last id before it, mean nothing.
        """


def reversal(texts: Tokens) -> Integers:
    """Where each id (B, W) of the reversed texts stands in `texts`; padding stays behind."""
    lengths = (texts >= 0).sum(1, keepdims=True)
    places = np.arange(texts.shape[1])
    return np.where(places < lengths, lengths - 1 - places, places)


class NumpyReader:
    """The reader of a bidirectional network, on a CPU.

    Args:
        architecture: of the network.
        weights: an array of float32 for every name in `architecture.shapes()`.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, Floats]) -> None:
        self._forward = RecurrentLayers(architecture, weights)
        self._backward = RecurrentLayers(architecture, weights, "backward")
        self._outputs = OutputLayers(architecture, weights, "reader")

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._forward.vocabulary_size

    def predict(self, texts: Tokens) -> LogProbabilities:
        """Log-probabilities (B, W - 2, V) of all but the first and last id of `texts` (B, W)."""
        before, after = self._read_both(texts)
        return self._meet(before[:-2], after[2:])

    def predict_with_insertions(
        self, texts: Tokens
    ) -> tuple[LogProbabilities, LogProbabilities]:
        """What `predict` gives, and what might stand between each id of `texts` and the next one.

        The latter is (B, W - 1, V): log-probabilities of a character there, if one is missing.
        """
        before, after = self._read_both(texts)
        return self._meet(before[:-2], after[2:]), self._meet(before[:-1], after[1:])

    def _read_both(self, texts: Tokens) -> tuple[Floats, Floats]:
        """The hidden states (W, B, H) after each id, read from the beginning, and from the end."""
        order = reversal(texts)
        given = np.where(texts < 0, EOS, texts)
        backwards = _read(self._backward, np.take_along_axis(given, order, 1))
        after = np.take_along_axis(backwards, order.T[..., None], 0)
        return _read(self._forward, given), after

    def _meet(self, before: Floats, after: Floats) -> LogProbabilities:
        logits = self._outputs.logits(np.concatenate([before, after], -1))  # (T, B, V)
        logits -= log_sum_exp(logits)
        predicted: LogProbabilities = logits.transpose(1, 0, 2)
        return predicted

    @property
    def parts(self) -> tuple[RecurrentLayers, RecurrentLayers, OutputLayers]:
        """The two stacks, and the output above them."""
        return self._forward, self._backward, self._outputs


def _read(layers: RecurrentLayers, texts: Tokens) -> Floats:
    """The hidden states (W, B, H) after each id of `texts` (B, W)."""
    state = layers.initial_state(len(texts))
    pieces = []
    for span in layers.spans(*texts.shape):
        hidden, state = layers.hidden(texts[:, span], state)
        pieces.append(hidden)
    return np.concatenate(pieces)


class Between:
    """Texts that differ only between what stands to the left and to the right of a place.

    So what each stack knows there is computed once.

    Args:
        reader: to predict with.
        left, right: (L,) and (R,) ids, at least one each; those of a whole text begin and end with
            EOS.
    """

    def __init__(self, reader: NumpyReader, left: Tokens, right: Tokens) -> None:
        self._forward, self._backward, self._outputs = reader.parts
        self._before = _state_after(self._forward, left)
        self._after = _state_after(self._backward, right[::-1])

    def sweep(
        self, middles: Integers, choose: Callable[[int, LogProbabilities], Integers]
    ) -> Integers:
        """Replace the ids of `middles` (B, M), one place after the other, and return them.

        `choose` gives the ids (B,) of a place, from its number and the log-probability of each id
        there (B, V), given all others as they are by then.
        """
        rows = np.zeros(len(middles), np.intp)
        state = self._backward.select(self._after, rows)
        after = []
        for column in reversed(middles.T):
            after.append(state[-1][0])
            state = self._backward.advance(column, state)
        state = self._forward.select(self._before, rows)
        replaced: Integers = middles.copy()
        for place, known in enumerate(reversed(after)):
            logits = self._outputs.logits(np.concatenate([state[-1][0], known], -1))
            logits -= log_sum_exp(logits)
            replaced[:, place] = choose(place, logits)
            state = self._forward.advance(replaced[:, place], state)
        return replaced


def _state_after(layers: RecurrentLayers, ids: Tokens) -> RNNState:
    """The state of one text, `ids` (T,), after its last id."""
    _, state = layers.hidden(ids[None], layers.initial_state(1))
    return state
