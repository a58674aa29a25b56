from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from charrnn.arrays import Floats
from charrnn.inference.contexts import sample_positions
from charrnn.inference.gradient_reach import REACH, gradient_reach
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.text.documents import Documents
from tests.support import random_checkpoint


def text(length: int) -> Documents:
    ids = np.random.default_rng(0).integers(2, 5, length)
    return Documents(ids, np.array([0]), np.array([length]))


def reach(checkpoint: Checkpoint, documents: Documents, positions: int = 4) -> list[float]:
    assert checkpoint.architecture is not None
    norms = gradient_reach(
        checkpoint.architecture, checkpoint.weights, documents, positions, seed=1
    )
    found: list[float] = norms.tolist()
    return found


@pytest.mark.parametrize("factor", [0.9, 1.05])
def test_a_linear_memory_by_hand(factor: float) -> None:
    """With ReLU and h(t) = factor * h(t - 1) + 1, each step back multiplies the gradient.

    So it vanishes below 1, and explodes above.
    """
    checkpoint = random_checkpoint("abc", "rnn-relu", hidden=1)
    weights = {name: np.zeros_like(array) for name, array in checkpoint.weights.items()}
    weights["rnn.weight_hh_l0"] += np.float32(factor)
    weights["rnn.bias_ih_l0"] += np.float32(1)
    weights["output.weight"][2, 0] = 1e-6  # so small that probabilities stay equal
    norms = reach(replace(checkpoint, weights=weights), text(400))
    assert len(norms) == REACH + 1
    assert norms[10] / norms[0] == pytest.approx(factor**10, rel=1e-3)
    assert norms[200] / norms[100] == pytest.approx(factor**100, rel=1e-2)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_finite_differences(cell: str) -> None:
    """Of the loss after the last character by the hidden states two steps before."""
    checkpoint = random_checkpoint("abc", cell, 2, hidden=4, output_layers=1)
    assert checkpoint.architecture is not None
    documents = text(64 + 16)  # the longest context is 16 characters
    positions = sample_positions(documents, 16, 4, seed=1).tolist()
    found = reach(checkpoint, documents, len(positions))
    assert len(found) == 13
    model = NumpyRNN(checkpoint.architecture, dict(checkpoint.weights))
    ids, total = documents.ids, 0.0

    def loss(at: int, nudge: Floats) -> float:
        inputs = ids[None, at - 16 : at]
        _, state = model.forward(inputs[:, :-2], model.initial_state(1))
        moved = tuple(
            (layer[0] + nudge[number], *layer[1:]) for number, layer in enumerate(state)
        )
        predicted, _ = model.forward(inputs[:, -2:], moved)
        return -float(predicted[0, -1, ids[at]])

    for at in positions:
        squares = 0.0
        for unit in np.ndindex(2, 4):
            nudge = np.zeros((2, 4), np.float32)
            nudge[unit] = 1e-2
            squares += ((loss(at, nudge) - loss(at, -nudge)) / 2e-2) ** 2
        total += squares**0.5
    assert found[2] == pytest.approx(total / len(positions), rel=0.02)


@pytest.mark.parametrize(("length", "distances"), [(1, 1), (64, 1), (65, 1), (66, 2), (72, 7)])
def test_short_texts_have_short_distances(length: int, distances: int) -> None:
    assert len(reach(random_checkpoint("abc"), text(length))) == distances
