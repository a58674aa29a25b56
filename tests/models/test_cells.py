from __future__ import annotations

import math

import numpy as np
import pytest

from charrnn.arrays import Floats
from charrnn.models.architecture import MAX_WIDTH
from charrnn.models.cells import CEILING, CELLS, CellState
from charrnn.models.checkpoint import MAX_WEIGHT


def row(*values: float) -> Floats:
    return np.array([values], np.float32)


def step(cell: str, inputs: Floats, recurrent: Floats, *state: Floats) -> CellState:
    """One step on pre-activations as they are written in the formulas, without any factors."""
    width = state[0].shape[-1]
    scale = np.repeat(np.array(CELLS[cell].gates, np.float32), width)
    return CELLS[cell].step(inputs * scale, recurrent * scale, state)


def test_an_lstm_step_by_hand() -> None:
    # i = sigmoid(0) = 1/2, f = sigmoid(ln 3) = 3/4, g = tanh(1/2), o = sigmoid(-ln 3) = 1/4
    inputs, recurrent = row(1.0, 1.0, 0.25, -1.0), row(-1.0, math.log(3) - 1, 0.25, 1 - math.log(3))
    hidden, memory = step("lstm", inputs, recurrent, row(0.3), row(2.0))
    expected = 0.75 * 2.0 + 0.5 * math.tanh(0.5)
    assert memory.item() == pytest.approx(expected, rel=1e-6)
    assert hidden.item() == pytest.approx(0.25 * math.tanh(expected), rel=1e-6)


def test_a_gru_step_by_hand() -> None:
    # r = sigmoid(ln 3) = 3/4, z = sigmoid(-ln 3) = 1/4, n = tanh(0.1 + 3/4 * 0.4) = tanh(0.4)
    inputs, recurrent = row(0.0, -math.log(3), 0.1), row(math.log(3), 0.0, 0.4)
    (hidden,) = step("gru", inputs, recurrent, row(-0.8))
    assert hidden.item() == pytest.approx(0.75 * math.tanh(0.4) + 0.25 * -0.8, rel=1e-6)


def test_an_rnn_step_by_hand() -> None:
    (hidden,) = step("rnn", row(0.25), row(0.5), row(9.0))
    assert hidden.item() == pytest.approx(math.tanh(0.75), rel=1e-6)


def test_an_rnn_step_with_relu_by_hand() -> None:
    (hidden,) = step("rnn-relu", row(0.25, -1.0), row(0.5, 0.75), row(9.0, 9.0))
    assert hidden.tolist() == [[0.75, 0.0]]


def test_a_state_without_a_bound_cannot_overflow_what_follows() -> None:
    (hidden,) = step("rnn-relu", row(1e30), row(1e30), row(1.0))
    assert hidden.item() == CEILING
    assert np.isfinite(np.float32(MAX_WIDTH) * CEILING * np.float32(MAX_WEIGHT))


def test_gates_of_several_units_lie_one_after_the_other() -> None:
    zero = np.zeros((1, 2), np.float32)
    gates = row(0, 50, -50, 50, 1, 1, 50, 50)  # i: 1/2, 1; f: 0, 1; g: tanh 1; o: 1
    hidden, memory = step("lstm", gates, 0 * gates, zero, row(5.0, 5.0))
    one = math.tanh(1)
    assert memory == pytest.approx(row(0.5 * one, 5 + one), rel=1e-6)
    assert hidden == pytest.approx(np.tanh(row(0.5 * one, 5 + one)), rel=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_leaves_its_arguments_alone(cell: str) -> None:
    generator = np.random.default_rng(1)
    gates = len(CELLS[cell].gates)
    inputs, recurrent = generator.normal(size=(2, 3, gates * 4)).astype(np.float32)
    state = tuple(generator.normal(size=(CELLS[cell].states, 3, 4)).astype(np.float32))
    before = [array.copy() for array in (inputs, recurrent, *state)]
    after = CELLS[cell].step(inputs, recurrent, state)
    assert len(after) == CELLS[cell].states
    assert all(part.shape == (3, 4) and part.dtype == np.float32 for part in after)
    for old, new in zip(before, (inputs, recurrent, *state), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.parametrize("cell", CELLS)
def test_huge_pre_activations_stay_finite(cell: str) -> None:
    gates = len(CELLS[cell].gates)
    for size in (-1e30, 1e30):
        inputs = np.full((1, gates), size, np.float32)
        state = (row(0.5),) * CELLS[cell].states
        with np.errstate(all="raise"):
            for part in CELLS[cell].step(inputs, inputs, state):
                assert np.isfinite(part).all()
