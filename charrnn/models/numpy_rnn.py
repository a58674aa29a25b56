"""Inference of the recurrent network on a CPU, in NumPy. Knows nothing of training or of text.

Two facts make it fast. The first layer's input part depends on the character alone, so it is a
table with a row per character. And over T known characters only the recurrent products are
sequential: the input parts of a whole layer are one matrix product.

Axes: B texts, T positions, V vocabulary entries, H hidden units, G gates.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS, Array, CellState
from charrnn.models.language_model import LogProbabilities, Rows, Tokens, log_sum_exp

RNNState: TypeAlias = tuple[CellState, ...]
"""One cell state per layer."""


class NumpyRNN:
    """The network as a LanguageModel.

    Args:
        architecture: its sizes.
        weights: an array of float32 for every name in `architecture.shapes()`.
    """

    def __init__(self, architecture: Architecture, weights: dict[str, Array]) -> None:
        self.architecture = architecture
        self._cell = CELLS[architecture.cell]
        scale = np.repeat(np.array(self._cell.gates, np.float32), architecture.hidden)  # (G*H,)
        self._input: list[Array] = []
        self._input_bias: list[Array] = []
        self._recurrent: list[Array] = []
        self._recurrent_bias: list[Array] = []
        for layer in range(architecture.layers):
            for name, kept in (("ih", self._input), ("hh", self._recurrent)):
                weight = weights[f"rnn.weight_{name}_l{layer}"] * scale[:, None]
                kept.append(np.ascontiguousarray(weight.T))  # (width, G*H)
            self._input_bias.append(weights[f"rnn.bias_ih_l{layer}"] * scale)
            self._recurrent_bias.append(weights[f"rnn.bias_hh_l{layer}"] * scale)
        self._table = weights["embedding.weight"] @ self._input[0] + self._input_bias[0]  # (V, G*H)
        self._output = np.ascontiguousarray(weights["output.weight"].T)  # (H, V)
        self._output_bias = weights["output.bias"]

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.architecture.vocabulary_size

    def initial_state(self, batch: int) -> RNNState:
        """Zeros for `batch` texts."""
        zeros = np.zeros((batch, self.architecture.hidden), np.float32)
        return ((zeros,) * self._cell.states,) * self.architecture.layers

    def select(self, state: RNNState, rows: Rows) -> RNNState:
        """The state of the texts `rows` alone."""
        return tuple(tuple(part[rows] for part in layer) for layer in state)

    def step(self, tokens: Tokens, state: RNNState) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        inputs = self._table[tokens]  # (B, G*H)
        states = [self._advance(0, inputs, state[0])]
        for layer in range(1, self.architecture.layers):
            inputs = states[-1][0] @ self._input[layer]
            inputs += self._input_bias[layer]
            states.append(self._advance(layer, inputs, state[layer]))
        return self._predict(states[-1][0]), tuple(states)

    def forward(self, tokens: Tokens, state: RNNState) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        hidden, state = self._hidden(tokens, state)
        return self._predict(hidden).transpose(1, 0, 2), state

    def score(
        self, tokens: Tokens, targets: Tokens, state: RNNState
    ) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        hidden, state = self._hidden(tokens, state)
        logits = self._logits(hidden)  # (T, B, V)
        chosen: Array = np.take_along_axis(logits, targets.T[..., None].astype(np.intp), -1)[..., 0]
        chosen = chosen - log_sum_exp(logits)[..., 0]
        return chosen.T, state

    def _hidden(self, tokens: Tokens, state: RNNState) -> tuple[Array, RNNState]:
        """The last layer's hidden states (T, B, H); time first keeps each step contiguous."""
        hidden, first = self._run_layer(0, self._table[tokens.T], state[0])
        states = [first]
        for layer in range(1, self.architecture.layers):
            inputs = hidden @ self._input[layer]  # (T, B, G*H)
            inputs += self._input_bias[layer]
            hidden, last = self._run_layer(layer, inputs, state[layer])
            states.append(last)
        return hidden, tuple(states)

    def _run_layer(self, layer: int, inputs: Array, state: CellState) -> tuple[Array, CellState]:
        """One layer over `inputs` (T, B, G*H) -> its hidden states (T, B, H), last state."""
        hidden = np.empty((*inputs.shape[:2], self.architecture.hidden), np.float32)
        for time, step_input in enumerate(inputs):
            state = self._advance(layer, step_input, state)
            hidden[time] = state[0]
        return hidden, state

    def _advance(self, layer: int, inputs: Array, state: CellState) -> CellState:
        recurrent: Array = state[0] @ self._recurrent[layer]
        recurrent += self._recurrent_bias[layer]
        return self._cell.step(inputs, recurrent, state)

    def _logits(self, hidden: Array) -> Array:
        logits: Array = hidden @ self._output
        logits += self._output_bias
        return logits

    def _predict(self, hidden: Array) -> LogProbabilities:
        logits = self._logits(hidden)
        logits -= log_sum_exp(logits)
        return logits
