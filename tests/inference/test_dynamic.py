from __future__ import annotations

import numpy as np

from charrnn.inference.dynamic import DynamicNetwork
from charrnn.models.numpy_rnn import NumpyRNN
from tests.support import random_checkpoint

LETTERS = "abcd"


def network(rate: float = 1e-3, segment: int = 5) -> DynamicNetwork:
    checkpoint = random_checkpoint(LETTERS)
    assert checkpoint.architecture is not None
    return DynamicNetwork(checkpoint.architecture, checkpoint.weights, rate, 0, segment)


def test_without_a_rate_it_predicts_what_the_network_does() -> None:
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


def test_what_it_has_read_becomes_more_probable() -> None:
    learning = network()
    text = np.array([2, 3, 4, 5, 2, 3])

    def read() -> float:
        learning.begin()
        return float(learning.predict(text[:-1])[np.arange(5), text[1:]].mean())

    before = read()
    for _ in range(5):
        learning.learn(text[1:])
        read()
    assert read() > before + 0.01
