"""The layers of a recurrent network in NumPy: a stack of recurrent ones, and what is above it.

Knows nothing of what is predicted. Two things make it fast. The input part of the first layer
depends only on the character: it is a table with a row per character. For T known characters only
the recurrent products are sequential: the input parts of a whole layer are one matrix product.

Every weight may be a stack of K networks' weights, K as its first axis; so are the states then.

Axes: K networks, B texts, T positions, V vocabulary entries, H hidden units, G gates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Floats
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS, CellState
from charrnn.models.interface import Rows, Tokens

CACHED_CELLS = 1 << 20
"""This many float32 fit in a processor's second or third cache together with the weights."""

RNNState: TypeAlias = tuple[CellState, ...]
"""One cell state per layer."""


def merged(hidden: Floats) -> Floats:
    """Texts and positions as one axis: ([K,] T, B, H) -> ([K,] T * B, H)."""
    return hidden.reshape(*hidden.shape[:-3], -1, hidden.shape[-1])


class RecurrentLayers:
    """The embedding and a stack of recurrent layers.

    Args:
        architecture: its sizes.
        weights: an array of float32 for every name in `architecture.shapes()`, or K of them.
        name: which stack, "rnn" or "backward".
    """

    def __init__(
        self, architecture: Architecture, weights: Mapping[str, Floats], name: str = "rnn"
    ) -> None:
        self.architecture = architecture
        self._cell = CELLS[architecture.cell]
        scale = np.repeat(np.array(self._cell.gates, np.float32), architecture.hidden)  # (G*H,)
        self._stacked: list[Floats] = []  # ([K,] width + H, G*H), the input part's rows first
        self._input_bias: list[Floats] = []
        self._recurrent_bias: list[Floats] = []
        for layer in range(architecture.layers):
            both = [weights[f"{name}.weight_{part}_l{layer}"] for part in ("ih", "hh")]
            stacked = np.concatenate([each.swapaxes(-1, -2) for each in both], -2)
            self._stacked.append(np.ascontiguousarray(stacked * scale))
            input_bias = weights[f"{name}.bias_ih_l{layer}"][..., None, :] * scale
            recurrent_bias = weights[f"{name}.bias_hh_l{layer}"][..., None, :] * scale
            if self._cell.additive:
                input_bias += recurrent_bias
            self._input_bias.append(input_bias)
            self._recurrent_bias.append(recurrent_bias)
        self._input = [stacked[..., : -architecture.hidden, :] for stacked in self._stacked]
        self._recurrent = [stacked[..., -architecture.hidden :, :] for stacked in self._stacked]
        self._table = weights["embedding.weight"] @ self._input[0]  # ([K,] V, G*H)
        self._table += self._input_bias[0]
        self._networks = self._table.shape[:-2]  # () or (K,)
        self._product = np.matmul if self._networks else np.dot  # the latter is faster if small

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.architecture.vocabulary_size

    def initial_state(self, batch: int) -> RNNState:
        """Zeros for `batch` texts."""
        zeros = np.zeros((*self._networks, batch, self.architecture.hidden), np.float32)
        return ((zeros,) * self._cell.states,) * self.architecture.layers

    def select(self, state: RNNState, rows: Rows) -> RNNState:
        """The state of the texts `rows` alone."""
        return tuple(tuple(part.take(rows, -2) for part in layer) for layer in state)

    def spans(self, texts: int, positions: int) -> Iterator[slice]:
        """Ranges of positions, short enough for the gates' inputs to stay in the cache."""
        width = max(self._recurrent[0].shape[-1], self.architecture.output_hidden)  # G*H
        width *= math.prod(self._networks)
        size = max(1, CACHED_CELLS // (max(1, texts) * width))
        return (slice(at, at + size) for at in range(0, positions, size))

    def hidden(self, tokens: Tokens, state: RNNState) -> tuple[Floats, RNNState]:
        """The last layer's hidden states ([K,] T, B, H); time first keeps each step contiguous."""
        hidden, first = self._run_layer(0, self._table.take(tokens.T, -2), state[0])
        states = [first]
        for layer in range(1, self.architecture.layers):
            inputs = merged(hidden) @ self._input[layer]  # ([K,] T * B, G*H)
            inputs += self._input_bias[layer]
            shaped = inputs.reshape(*hidden.shape[:-1], inputs.shape[-1])
            hidden, last = self._run_layer(layer, shaped, state[layer])
            states.append(last)
        return hidden, tuple(states)

    def advance(self, tokens: Tokens, state: RNNState) -> RNNState:
        """The state after one more character of each text, `tokens` (B,)."""
        states = [self._advance(0, self._table.take(tokens, -2), state[0])]
        for layer in range(1, self.architecture.layers):
            states.append(self._step_higher_layer(layer, states[-1][0], state[layer]))
        return tuple(states)

    def _run_layer(self, layer: int, inputs: Floats, state: CellState) -> tuple[Floats, CellState]:
        """One layer over `inputs` ([K,] T, B, G*H) -> its hidden states, last state."""
        hidden = np.empty((*inputs.shape[:-1], self.architecture.hidden), np.float32)
        places = np.moveaxis(hidden, -3, 0)
        for time, step_input in enumerate(np.moveaxis(inputs, -3, 0)):
            state = self._advance(layer, step_input, state)
            places[time] = state[0]
        return hidden, state

    def _step_higher_layer(self, layer: int, below: Floats, state: CellState) -> CellState:
        """One step of a higher layer, from the hidden state (B, H) of the one below."""
        if self._cell.additive:
            both = self._product(np.concatenate((below, state[0]), -1), self._stacked[layer])
            return self._cell.step(both, self._input_bias[layer], state)
        inputs = below @ self._input[layer]
        inputs += self._input_bias[layer]
        return self._advance(layer, inputs, state)

    def _advance(self, layer: int, inputs: Floats, state: CellState) -> CellState:
        recurrent: Floats = self._product(state[0], self._recurrent[layer])
        if not self._cell.additive:
            recurrent += self._recurrent_bias[layer]
        return self._cell.step(inputs, recurrent, state)


class OutputLayers:
    """Feed-forward layers and the linear output.

    Args:
        architecture: its sizes.
        weights: an array of float32 for every name in `architecture.shapes()`, or K of them.
        name: which ones, "output" or "reader".
    """

    def __init__(
        self, architecture: Architecture, weights: Mapping[str, Floats], name: str = "output"
    ) -> None:
        self._layers = [
            (
                np.ascontiguousarray(weights[f"{name}_layers.{layer}.weight"].swapaxes(-1, -2)),
                weights[f"{name}_layers.{layer}.bias"][..., None, :],
            )
            for layer in range(architecture.output_layers)
        ]
        output = weights[f"{name}.weight"].swapaxes(-1, -2)
        self._output = np.ascontiguousarray(output)  # ([K,] H, V)
        self._bias = weights[f"{name}.bias"][..., None, :]

    def logits(self, hidden: Floats) -> Floats:
        """From hidden states (..., H) to logits (..., V); of K networks from (K, N, H)."""
        for weight, bias in self._layers:
            above: Floats = hidden @ weight
            above += bias
            np.tanh(above, out=above)
            if above.shape == hidden.shape:
                above += hidden
            hidden = above
        logits: Floats = hidden @ self._output
        logits += self._bias
        return logits
