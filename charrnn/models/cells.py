"""Recurrent cells: their gates, their state, one step in NumPy.

Knows nothing of layers, vocabularies or weights. A new cell is one entry in CELLS.
Gate order and formulas are torch's (`torch.nn.LSTM`, `GRU`, `RNN`).

Axes: B texts, H hidden units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from charrnn.arrays import Floats, np

CellState: TypeAlias = "tuple[Floats, ...]"
"""Arrays (B, H); the first is the hidden state, which is also the cell's output."""

CEILING = 999_999_986_991_104.0  # 1e15 in float32
"""Of a hidden state that nothing else bounds: with the largest weights that a file may have
(`checkpoint.MAX_WEIGHT`), the matrix products of an exploding network stay finite."""


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        gates: factors by which the gates' pre-activations, and so their weights, are multiplied
            before `step`: 0.5 for a logistic gate, since sigmoid(x) = (1 + tanh(x / 2)) / 2 and
            one call of tanh then serves all gates; 1 for a tanh gate.
        states: how many (B, H) arrays the cell's state has.
        step: (input part (B, G*H), recurrent part (B, G*H), state) -> state.
        torch_module: the class in `torch.nn` with the fused kernel.
        forget_gate: the index of the forget gate, if there is one; its bias starts at 1
            (Jozefowicz et al. 2015, section 3.2: long memory from the first step).
        nonlinearity: the argument of that class, if it takes one.
        identity: whether recurrent matrices start at the identity; otherwise orthogonal.
        format_version: the oldest file format with this cell.
        additive: whether `step` uses only the sum of its input and recurrent parts, so that one
            matrix product can compute that sum and both biases can be added beforehand.
    """

    gates: tuple[float, ...]
    states: int
    step: Callable[[Floats, Floats, CellState], CellState]
    torch_module: str
    forget_gate: int | None = None
    nonlinearity: str | None = None
    identity: bool = False
    format_version: int = 1
    additive: bool = False


def _logistic(gates: Floats) -> Floats:
    """From tanh(x / 2) to sigmoid(x), in place."""
    gates *= 0.5
    gates += 0.5
    return gates


@cache
def _lstm_scale_and_offset(width: int) -> tuple[Floats, Floats]:
    """Scale and offset (4H,) that make tanh(x / 2) a sigmoid in gates i, f, o; g stays as it is."""
    scale, offset = np.array([[0.5, 0.5, 1, 0.5], [0.5, 0.5, 0, 0.5]], np.float32).repeat(width, 1)
    return scale, offset


def lstm_step(inputs: Floats, recurrent: Floats, state: CellState) -> CellState:
    """Hochreiter & Schmidhuber 1997 with a forget gate; gates i, f, g, o."""
    hidden, memory = state
    width = hidden.shape[-1]
    scale, offset = _lstm_scale_and_offset(width)
    gates = inputs + recurrent  # (B, 4H)
    np.tanh(gates, out=gates)
    gates *= scale
    gates += offset
    memory = gates[..., width : 2 * width] * memory
    memory += gates[..., :width] * gates[..., 2 * width : 3 * width]
    return np.tanh(memory) * gates[..., 3 * width :], memory


def gru_step(inputs: Floats, recurrent: Floats, state: CellState) -> CellState:
    """Cho et al. 2014; gates r, z, n, the reset gate applied after the matrix product."""
    (hidden,) = state
    width = hidden.shape[-1]
    gates = _logistic(np.tanh(inputs[..., : 2 * width] + recurrent[..., : 2 * width]))  # (B, 2H)
    candidate = gates[..., :width] * recurrent[..., 2 * width :]
    candidate += inputs[..., 2 * width :]
    candidate = np.tanh(candidate)
    return (candidate + gates[..., width:] * (hidden - candidate),)


def rnn_step(inputs: Floats, recurrent: Floats, state: CellState) -> CellState:
    """Elman 1990, with tanh."""
    return (np.tanh(inputs + recurrent),)


def relu_step(inputs: Floats, recurrent: Floats, state: CellState) -> CellState:
    """Elman 1990, with max(0, x); Le, Jaitly & Hinton 2015 (arXiv 1504.00941)."""
    hidden = inputs + recurrent
    np.maximum(hidden, 0, out=hidden)
    return (np.minimum(hidden, CEILING, out=hidden),)


CELLS: dict[str, Cell] = {
    "lstm": Cell((0.5, 0.5, 1.0, 0.5), 2, lstm_step, "LSTM", forget_gate=1, additive=True),
    "gru": Cell((0.5, 0.5, 1.0), 1, gru_step, "GRU"),
    "rnn": Cell((1.0,), 1, rnn_step, "RNN", additive=True),
    "rnn-relu": Cell(
        (1.0,),
        1,
        relu_step,
        "RNN",
        nonlinearity="relu",
        identity=True,
        format_version=2,
        additive=True,
    ),
}
