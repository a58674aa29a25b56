"""Inference of the recurrent network on a CPU, in NumPy. Knows nothing of training or of text.

Three things make it fast. The input part of the first layer depends only on the character: it is a
table with a row per character. For T known characters only the recurrent products are sequential:
the input parts of a whole layer are one matrix product. For one character, where the cell allows
it, the input and recurrent parts of a higher layer are one product of a larger matrix.

Axes: B texts, T positions, V vocabulary entries, H hidden units, G gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Floats
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS, CellState
from charrnn.models.interface import LogProbabilities, Rows, Tokens, log_sum_exp

CACHED_CELLS = 1 << 20
"""This many float32 fit in a processor's second or third cache together with the weights."""

RNNState: TypeAlias = tuple[CellState, ...]
"""One cell state per layer."""


class NumpyRNN:
    """The network as a LanguageModel.

    Args:
        architecture: its sizes.
        weights: an array of float32 for every name in `architecture.shapes()`.
    """

    def __init__(self, architecture: Architecture, weights: dict[str, Floats]) -> None:
        self.architecture = architecture
        self._cell = CELLS[architecture.cell]
        scale = np.repeat(np.array(self._cell.gates, np.float32), architecture.hidden)  # (G*H,)
        self._stacked: list[Floats] = []  # (width + H, G*H), the input part's rows first
        self._input_bias: list[Floats] = []
        self._recurrent_bias: list[Floats] = []
        for layer in range(architecture.layers):
            both = (weights[f"rnn.weight_{name}_l{layer}"].T for name in ("ih", "hh"))
            self._stacked.append(np.ascontiguousarray(np.concatenate([*both]) * scale))
            input_bias = weights[f"rnn.bias_ih_l{layer}"] * scale
            recurrent_bias = weights[f"rnn.bias_hh_l{layer}"] * scale
            if self._cell.additive:
                input_bias += recurrent_bias
            self._input_bias.append(input_bias)
            self._recurrent_bias.append(recurrent_bias)
        self._input = [stacked[: -architecture.hidden] for stacked in self._stacked]
        self._recurrent = [stacked[-architecture.hidden :] for stacked in self._stacked]
        self._table = weights["embedding.weight"] @ self._input[0] + self._input_bias[0]  # (V, G*H)
        self._output_layers = [
            (
                np.ascontiguousarray(weights[f"output_layers.{layer}.weight"].T),
                weights[f"output_layers.{layer}.bias"],
            )
            for layer in range(architecture.output_layers)
        ]
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
        states = [self._advance(0, self._table.take(tokens, 0), state[0])]
        for layer in range(1, self.architecture.layers):
            states.append(self._step_higher_layer(layer, states[-1][0], state[layer]))
        return self._predict(states[-1][0]), tuple(states)

    def forward(self, tokens: Tokens, state: RNNState) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        predicted = np.empty((*tokens.shape, self.vocabulary_size), np.float32)
        for span in self._spans(*tokens.shape):
            hidden, state = self._hidden(tokens[:, span], state)
            predicted[:, span] = self._predict(hidden).transpose(1, 0, 2)
        return predicted, state

    def score(
        self, tokens: Tokens, targets: Tokens, state: RNNState
    ) -> tuple[LogProbabilities, RNNState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        chosen = np.empty(tokens.shape, np.float32)
        for span in self._spans(*tokens.shape):
            hidden, state = self._hidden(tokens[:, span], state)
            logits = self._logits(hidden)  # (T, B, V)
            wanted = targets[:, span].T[..., None].astype(np.intp)
            seen = np.take_along_axis(logits, wanted, -1) - log_sum_exp(logits)
            chosen[:, span] = seen[..., 0].T
        return chosen, state

    def _spans(self, texts: int, positions: int) -> Iterator[slice]:
        """Ranges of positions, short enough for the gates' inputs to stay in the cache."""
        width = max(self._recurrent[0].shape[1], self.architecture.output_hidden)  # G*H
        size = max(1, CACHED_CELLS // (max(1, texts) * width))
        return (slice(at, at + size) for at in range(0, positions, size))

    def _hidden(self, tokens: Tokens, state: RNNState) -> tuple[Floats, RNNState]:
        """The last layer's hidden states (T, B, H); time first keeps each step contiguous."""
        hidden, first = self._run_layer(0, self._table[tokens.T], state[0])
        states = [first]
        for layer in range(1, self.architecture.layers):
            inputs = hidden @ self._input[layer]  # (T, B, G*H)
            inputs += self._input_bias[layer]
            hidden, last = self._run_layer(layer, inputs, state[layer])
            states.append(last)
        return hidden, tuple(states)

    def _run_layer(self, layer: int, inputs: Floats, state: CellState) -> tuple[Floats, CellState]:
        """One layer over `inputs` (T, B, G*H) -> its hidden states (T, B, H), last state."""
        hidden = np.empty((*inputs.shape[:2], self.architecture.hidden), np.float32)
        for time, step_input in enumerate(inputs):
            state = self._advance(layer, step_input, state)
            hidden[time] = state[0]
        return hidden, state

    def _step_higher_layer(self, layer: int, below: Floats, state: CellState) -> CellState:
        """One step of a higher layer, from the hidden state (B, H) of the one below."""
        if self._cell.additive:
            both = np.concatenate((below, state[0]), -1).dot(self._stacked[layer])  # (B, G*H)
            return self._cell.step(both, self._input_bias[layer], state)
        inputs = below @ self._input[layer]
        inputs += self._input_bias[layer]
        return self._advance(layer, inputs, state)

    def _advance(self, layer: int, inputs: Floats, state: CellState) -> CellState:
        recurrent: Floats = state[0].dot(self._recurrent[layer])  # faster than @ if small
        if not self._cell.additive:
            recurrent += self._recurrent_bias[layer]
        return self._cell.step(inputs, recurrent, state)

    def _logits(self, hidden: Floats) -> Floats:
        for weight, bias in self._output_layers:
            above: Floats = hidden @ weight
            above += bias
            np.tanh(above, out=above)
            if above.shape == hidden.shape:
                above += hidden
            hidden = above
        logits: Floats = hidden @ self._output
        logits += self._output_bias
        return logits

    def _predict(self, hidden: Floats) -> LogProbabilities:
        logits = self._logits(hidden)
        logits -= log_sum_exp(logits)
        return logits
