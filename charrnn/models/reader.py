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

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.models.architecture import Architecture
from charrnn.models.interface import LogProbabilities, Tokens, log_sum_exp
from charrnn.models.numpy_layers import OutputLayers, RecurrentLayers
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
        order = reversal(texts)
        given = np.where(texts < 0, EOS, texts)
        before = _read(self._forward, given)[:-2]
        backwards = _read(self._backward, np.take_along_axis(given, order, 1))
        after = np.take_along_axis(backwards, order.T[..., None], 0)[2:]
        logits = self._outputs.logits(np.concatenate([before, after], -1))  # (W - 2, B, V)
        logits -= log_sum_exp(logits)
        predicted: LogProbabilities = logits.transpose(1, 0, 2)
        return predicted


def _read(layers: RecurrentLayers, texts: Tokens) -> Floats:
    """The hidden states (W, B, H) after each id of `texts` (B, W)."""
    state = layers.initial_state(len(texts))
    pieces = []
    for span in layers.spans(*texts.shape):
        hidden, state = layers.hidden(texts[:, span], state)
        pieces.append(hidden)
    return np.concatenate(pieces)
