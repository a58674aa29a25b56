"""A reader in NumPy and in torch, over CELLS, layers and output layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_reader
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.reader import PADDING, NumpyReader, Reader, reversal
from charrnn.models.torch_reader import ReaderNetwork, TorchReader
from charrnn.models.torch_rnn import TorchRNN
from charrnn.text.vocabulary import EOS
from tests.support import random_checkpoint, random_weights

V, W = 7, 11
EVERY = [
    (cell, layers, above) for cell in CELLS for layers, above in ((1, 0), (2, 0), (3, 1), (2, 2))
]


def readers(cell: str, layers: int, above: int) -> tuple[Reader, Reader]:
    """One network in NumPy and in torch."""
    width = (0, 8, 5)[above]  # with a residual, and without one
    architecture = Architecture(cell, V, 4, 8, layers, 0.3, above, width, bidirectional=True)
    weights = random_weights(architecture, 1, scale=0.3)
    network = ReaderNetwork(architecture)
    network.load_state_dict({name: torch.tensor(each) for name, each in weights.items()})
    return NumpyReader(architecture, weights), TorchReader(network)


def texts(rows: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.random.default_rng(0).integers(V, size=(rows, W))


@pytest.mark.parametrize(("cell", "layers", "above"), EVERY)
def test_no_prediction_sees_its_own_character(cell: str, layers: int, above: int) -> None:
    for reader in readers(cell, layers, above):
        given = texts()
        before = reader.predict(given)
        assert before.shape == (3, W - 2, V)
        np.testing.assert_allclose(np.exp(before.astype(float)).sum(-1), 1, atol=1e-5)
        for at in range(1, W - 1):
            changed = given.copy()
            changed[:, at] = (changed[:, at] + 1) % V
            after = reader.predict(changed)
            assert after[:, at - 1].tobytes() == before[:, at - 1].tobytes()
            for other in {at - 1, at + 1} - {0, W - 1}:
                assert not np.array_equal(after[:, other - 1], before[:, other - 1])


@pytest.mark.parametrize(("cell", "layers", "above"), EVERY)
def test_numpy_and_torch_agree(cell: str, layers: int, above: int) -> None:
    given = texts()
    given[1, 6:] = PADDING
    ours, theirs = (reader.predict(given) for reader in readers(cell, layers, above))
    assert ours.dtype == theirs.dtype == np.float32
    read = (given != PADDING)[:, 2:]  # there is a character after each
    np.testing.assert_allclose(ours[read], theirs[read], rtol=0, atol=1e-5)


def test_texts_of_a_batch_are_read_as_if_alone() -> None:
    for reader in readers("lstm", 2, 0):
        batch = texts(4)
        lengths = [11, 3, 8, 5]
        for row, length in enumerate(lengths):
            batch[row, length:] = PADDING
        together = reader.predict(batch)
        for row, length in enumerate(lengths):
            alone = reader.predict(batch[row : row + 1, :length])
            np.testing.assert_allclose(together[row, : length - 2], alone[0], atol=1e-5)


def test_texts_are_reversed_and_padding_stays() -> None:
    given = np.array([[1, 2, 3, 4], [1, 5, PADDING, PADDING]])
    backwards = np.take_along_axis(given, reversal(given), 1)
    assert backwards.tolist() == [[4, 3, 2, 1], [5, 1, PADDING, PADDING]]
    assert np.take_along_axis(backwards, reversal(given), 1).tolist() == given.tolist()


def test_the_next_character_is_predicted_by_the_rest_of_the_network() -> None:
    checkpoint = random_checkpoint("abc", bidirectional=True)
    assert checkpoint.architecture is not None
    plain = checkpoint.architecture.forward_part
    assert plain == replace(checkpoint.architecture, bidirectional=False)
    weights = {name: checkpoint.weights[name] for name in plain.shapes()}
    text = np.array([[EOS, 2, 3, 4]])
    expected, _ = NumpyRNN(plain, weights).forward(text, NumpyRNN(plain, weights).initial_state(1))
    models: tuple[LanguageModel, ...] = (
        NumpyRNN(checkpoint.architecture, checkpoint.weights),
        TorchRNN.from_weights(checkpoint.architecture, dict(checkpoint.weights), "cpu"),
    )
    for model in models:
        found, _ = model.forward(text, model.initial_state(1))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_only_a_bidirectional_network_has_a_reader() -> None:
    assert load_reader(random_checkpoint("abc")) is None
    assert load_reader(replace(random_checkpoint("abc"), architecture=None)) is None
    reader = load_reader(random_checkpoint("abc", bidirectional=True))
    assert reader is not None
    assert reader.vocabulary_size == 5
