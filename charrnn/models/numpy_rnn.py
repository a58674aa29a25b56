"""Inference of the recurrent network on a CPU, in NumPy. Knows nothing of training or of text.

For one character, where the cell allows it, the input and recurrent parts of a higher layer are one
product of a larger matrix; for the rest of what makes it fast, see numpy_layers.py.

Axes: B texts, T positions, V vocabulary entries, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from charrnn.arrays import Floats
from charrnn.models.architecture import Architecture
from charrnn.models.interface import LogProbabilities, Tokens, log_sum_exp
from charrnn.models.numpy_layers import OutputLayers, RecurrentLayers, RNNState


class NumpyRNN(RecurrentLayers):
    """The network as a LanguageModel.

    Args:
        architecture: its sizes.
        weights: an array of float32 for every name in `architecture.shapes()`.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, Floats]) -> None:
        super().__init__(architecture, weights)
        self._outputs = OutputLayers(architecture, weights)

    def step(self, tokens: Tokens, state: RNNState) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        after = self.advance(tokens, state)
        return self._predict(after[-1][0]), after

    def forward(self, tokens: Tokens, state: RNNState) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        predicted = np.empty((*tokens.shape, self.vocabulary_size), np.float32)
        for span in self.spans(*tokens.shape):
            hidden, state = self.hidden(tokens[:, span], state)
            predicted[:, span] = self._predict(hidden).transpose(1, 0, 2)
        return predicted, state

    def score(
        self, tokens: Tokens, targets: Tokens, state: RNNState
    ) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        chosen = np.empty(tokens.shape, np.float32)
        for span in self.spans(*tokens.shape):
            hidden, state = self.hidden(tokens[:, span], state)
            logits = self._logits(hidden)  # (T, B, V)
            wanted = targets[:, span].T[..., None].astype(np.intp)
            seen = np.take_along_axis(logits, wanted, -1) - log_sum_exp(logits)
            chosen[:, span] = seen[..., 0].T
        return chosen, state

    def _predict(self, hidden: Floats) -> LogProbabilities:
        logits = self._logits(hidden)
        logits -= log_sum_exp(logits)
        return logits

    def _logits(self, hidden: Floats) -> Floats:
        """From hidden states (..., H) to logits (..., V)."""
        return self._outputs.logits(hidden)
