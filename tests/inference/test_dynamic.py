from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference import dynamic
from charrnn.inference.dynamic import DynamicNetwork
from charrnn.models.numpy_rnn import NumpyRNN
from tests.support import random_checkpoint

LETTERS = "abcd"


def network(rate: float = 1e-3, segment: int = 5) -> DynamicNetwork:
    checkpoint = random_checkpoint(LETTERS)
    assert checkpoint.architecture is not None
    return DynamicNetwork(checkpoint.architecture, checkpoint.weights, rate, 0, segment)


def test_earlier_segments_change_no_prediction() -> None:
    # They are read beside the new one, and here, without a rate, teach nothing.
    learning = network(rate=0)
    checkpoint = random_checkpoint(LETTERS)
    assert checkpoint.architecture is not None
    static = NumpyRNN(checkpoint.architecture, checkpoint.weights)
    state = static.initial_state(1)
    text = np.random.default_rng(0).integers(1, 6, 61)
    for at in range(0, 60, 5):
        expected, state = static.forward(text[None, at : at + 5], state)
        found = learning.predict(text[at : at + 5])
        np.testing.assert_allclose(found, expected[0], atol=1e-5)
        learning.learn(text[at + 1 : at + 6])


def test_earlier_segments_are_learnt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    text = np.array([2, 3, 4, 5, 2, 3])
    new = np.array([5, 5, 5, 5, 5, 5])

    def remembered(weight: float) -> float:
        monkeypatch.setattr(dynamic, "REPLAY_WEIGHT", weight)
        learning = network()
        for each in [text] * 5 + [new] * 20:
            learning.begin()
            learning.predict(each[:-1])
            learning.learn(each[1:])
        learning.begin()
        return float(learning.predict(text[:-1])[np.arange(5), text[1:]].mean())

    assert remembered(1.0) > remembered(0.0) + 0.01


def test_no_more_than_the_latest_segments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic, "KEPT", 3)
    learning = network()
    for number in range(2, 6):
        learning.predict(np.full(5, number))
        learning.learn(np.full(5, number))
    learning.predict(np.full(4, 2))  # shorter ones are not
    learning.learn(np.full(4, 2))
    assert sorted(int(each.tokens[0]) for each in learning._kept) == [3, 4, 5]
