"""Several networks as one: against numbers by hand, torch, and each network computed alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import Ensemble, NumpyEnsemble
from charrnn.models.interface import LanguageModel
from charrnn.models.members import joined, separated
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import TorchRNN
from tests.support import TableModel, random_weights

V = 7


def tokens(*shape: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, V, shape)


def close(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> None:
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def models(
    cell: str = "lstm", layers: int = 2, above: int = 0, networks: int = 3
) -> tuple[NumpyEnsemble, Ensemble, Ensemble]:
    """The same networks: stacked, one by one, and one by one in torch."""
    architecture = Architecture(cell, V, 4, 6, layers, 0.0, above, 5 if above else 0)
    scale = 0.2 if CELLS[cell].nonlinearity == "relu" else 0.7
    weights = [random_weights(architecture, seed, scale) for seed in range(networks)]
    return (
        NumpyEnsemble(architecture, weights),
        Ensemble([NumpyRNN(architecture, each) for each in weights]),
        Ensemble([TorchRNN.from_weights(architecture, each, "cpu") for each in weights]),
    )


def test_two_networks_by_hand() -> None:
    """sqrt(0.8 * 0.2) = 0.4 and sqrt(0.2 * 0.2) = 0.2: in sum 1 and 0 stand as 2 to 1."""
    rows = [[0.8, 0.2], [0.2, 0.8]], [[0.2, 0.2], [0.8, 0.8]]
    ensemble: LanguageModel = Ensemble([TableModel(each) for each in rows])
    predicted, _ = ensemble.step(np.array([0]), ensemble.initial_state(1))
    np.testing.assert_allclose(np.exp(predicted), [[2 / 3, 1 / 3]], rtol=1e-6)


@pytest.mark.parametrize("networks", [1, 2, 3])
@pytest.mark.parametrize(("layers", "above"), [(1, 0), (2, 1), (3, 0)])
@pytest.mark.parametrize("cell", CELLS)
def test_stacked_networks_are_those_networks(
    cell: str, layers: int, above: int, networks: int
) -> None:
    given = tokens(4, 9)
    found = []
    for model in models(cell, layers, above, networks):
        read, state = model.forward(given, model.initial_state(4))
        after, _ = model.step(given[:, 0], model.select(state, np.array([2, 0, 2, 1])))
        found.append((read, after))
    for read, after in found[1:]:
        close(read, found[0][0])
        close(after, found[0][1])


@pytest.mark.parametrize("which", [0, 1])
def test_steps_and_scores_are_forward(which: int) -> None:
    model = models()[which]
    given, targets = tokens(3, 8), tokens(8, 3).T
    expected, _ = model.forward(given, model.initial_state(3))
    np.testing.assert_allclose(np.exp(expected).sum(-1), 1, rtol=1e-5)
    state = model.initial_state(3)
    for at in range(8):
        predicted, state = model.step(given[:, at], state)
        close(predicted, expected[:, at])
    scores, _ = model.score(given, targets, model.initial_state(3))
    close(scores, np.take_along_axis(expected, targets[..., None], -1)[..., 0])


def test_names_of_several_networks_are_taken_apart_again() -> None:
    members = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    together = joined(members)
    assert together == {"a": 1, "b": 2, "networks.1.a": 3, "networks.1.b": 4}
    assert separated(together, ["a", "b"], 2) == members
