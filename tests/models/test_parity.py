"""NumPy and torch compute one network: over CELLS x layers x output layers."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.interface import LanguageModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import Network, TorchRNN
from charrnn.text.vocabulary import SPECIALS

VOCABULARY, HIDDEN, EMBEDDING = 11, 24, 6
TOLERANCE = 1e-5
GREEDY = 200


class Pair(NamedTuple):
    """One network, computed by both."""

    numpy: NumpyRNN
    torch: TorchRNN
    network: Network


@pytest.fixture(
    scope="module",
    params=[
        *((cell, layers, 0, 0) for cell in CELLS for layers in (1, 2, 3)),
        *((cell, layers, 1, HIDDEN) for cell, layers in zip(CELLS, cycle((1, 2)), strict=False)),
        *((cell, layers, 2, 9) for cell, layers in zip(CELLS, cycle((2, 1)), strict=False)),
    ],
    ids=lambda parameters: "-".join(map(str, parameters)),
)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Freshly initialised, with an output layer that is sharp enough to have preferences."""
    cell, layers, *above = request.param
    torch.manual_seed(layers + above[0])
    architecture = Architecture(cell, VOCABULARY, EMBEDDING, HIDDEN, layers, 0.2, *above)
    network = Network(architecture)
    # At 1.1 an RNN would be chaos; a state without a bound must stay small for 1e-5 to be precise.
    inputs, recurrent = (0.7, 0.7) if CELLS[cell].nonlinearity == "relu" else (2.0, 0.9)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("rnn.weight_ih"):
                parameter.mul_(inputs)
            elif name.startswith("rnn.weight_hh"):
                parameter.mul_(recurrent)
            elif name.startswith("output_layers"):
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.add_((1.0 if parameter.dim() > 1 else 0.1) * torch.randn_like(parameter))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return Pair(
        NumpyRNN(architecture, weights),
        TorchRNN.from_weights(architecture, weights, "cpu"),
        network,
    )


def tokens(*shape: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(VOCABULARY, size=shape)


def close(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> None:
    assert one.dtype == other.dtype == np.float32
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)


def models(pair: Pair) -> tuple[LanguageModel, LanguageModel]:
    """Both as the protocol sees them; mypy checks here that both keep to it."""
    return pair.numpy, pair.torch


def test_weights_have_the_names_and_shapes_of_the_architecture(pair: Pair) -> None:
    state = pair.network.state_dict()
    shapes = pair.network.architecture.shapes()
    assert {name: tuple(value.shape) for name, value in state.items()} == shapes
    assert list(state) == list(shapes)
    assert sum(p.numel() for p in pair.network.parameters()) == (
        pair.network.architecture.parameters
    )


def test_log_probabilities_agree(pair: Pair) -> None:
    text = tokens(5, 40)
    ours, theirs = models(pair)
    found, _ = ours.forward(text, ours.initial_state(5))
    expected, _ = theirs.forward(text, theirs.initial_state(5))
    assert found.shape == (5, 40, VOCABULARY)
    close(found, expected)
    np.testing.assert_allclose(np.exp(found.astype(float)).sum(-1), 1, atol=1e-5)


def test_step_is_forward(pair: Pair) -> None:
    text = tokens(3, 12)
    for model in models(pair):
        whole, _ = model.forward(text, model.initial_state(3))
        state = model.initial_state(3)
        for time in range(12):
            one, state = model.step(text[:, time], state)
            close(one, whole[:, time])


def test_score_is_forward(pair: Pair) -> None:
    text, targets = tokens(3, 12), tokens(6, 12)[3:]
    for model in models(pair):
        whole, _ = model.forward(text, model.initial_state(3))
        scored, state = model.score(text, targets, model.initial_state(3))
        close(scored, np.take_along_axis(whole, targets[..., None], -1)[..., 0])
        # and leaves the model where forward does
        after, _ = model.step(text[:, 0], state)
        again, _ = model.forward(np.hstack([text, text[:, :1]]), model.initial_state(3))
        close(after, again[:, -1])


@pytest.mark.parametrize("cuts", [(0, 12), (0, 1, 12), (0, 5, 6, 12)])
def test_a_text_in_chunks_is_the_whole_text(pair: Pair, cuts: tuple[int, ...]) -> None:
    text = tokens(2, 12)
    for model in models(pair):
        whole, _ = model.forward(text, model.initial_state(2))
        state = model.initial_state(2)
        for begin, end in pairwise(cuts):
            piece, state = model.forward(text[:, begin:end], state)
            close(piece, whole[:, begin:end])


def test_texts_side_by_side_do_not_see_each_other(pair: Pair) -> None:
    text = tokens(4, 12)
    for model in models(pair):
        together, _ = model.forward(text, model.initial_state(4))
        for number in range(4):
            alone, _ = model.forward(text[number : number + 1], model.initial_state(1))
            close(alone, together[number : number + 1])


def test_selected_texts_go_on_as_they_were(pair: Pair) -> None:
    text = tokens(3, 12)
    rows = np.array([2, 0, 2])
    for model in models(pair):
        _, state = model.forward(text, model.initial_state(3))
        following, _ = model.step(text[:, 0], state)
        selected, _ = model.step(text[rows, 0], model.select(state, rows))
        close(selected, following[rows])


def test_reading_does_not_change_a_state(pair: Pair) -> None:
    text = tokens(2, 3)
    for model in models(pair):
        _, state = model.forward(text, model.initial_state(2))
        first, _ = model.step(text[:, 0], state)
        model.forward(text, state)
        again, _ = model.step(text[:, 0], state)
        assert np.array_equal(first, again)


def test_greedy_texts_are_identical(pair: Pair) -> None:
    first = np.arange(len(SPECIALS), VOCABULARY)  # a text begins with each of the characters
    found = []
    for model in models(pair):
        columns = [first]
        state = model.initial_state(len(first))
        while len(columns) <= GREEDY:
            logarithms, state = model.step(columns[-1], state)
            columns.append(len(SPECIALS) + logarithms[:, len(SPECIALS) :].argmax(-1))
        found.append(np.stack(columns[1:], 1))
    assert np.array_equal(found[0], found[1])
    assert found[0].shape == (len(first), GREEDY)
    assert len(np.unique(found[0])) > 2


def test_small_integer_ids_will_do(pair: Pair) -> None:
    text = tokens(2, 5)
    for model in models(pair):
        expected, _ = model.forward(text, model.initial_state(2))
        for dtype in (np.uint8, np.uint16):
            found, _ = model.forward(text.astype(dtype), model.initial_state(2))
            assert np.array_equal(found, expected)


def test_dropout_is_for_training_alone(pair: Pair) -> None:
    text = torch.from_numpy(tokens(2, 5))
    state = pair.network.initial_state(2)
    pair.network.train()
    first, second = (pair.network(text, state)[0] for _ in range(2))
    assert not torch.equal(first, second)
    pair.network.eval()
    first, second = (pair.network(text, state)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_a_generator_changes_nothing_but_who_draws(pair: Pair) -> None:
    """The layers read one by one, as with a generator, are the fused module."""
    text = torch.from_numpy(tokens(2, 5))
    state = pair.network.initial_state(2)
    expected, last = pair.network.eval()(text, state)
    found, layered = pair.network(text, state, torch.Generator())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for one, other in zip(layered, last, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    pair.network.train()
    first, second, other = (
        pair.network(text, state, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean(rate: float) -> None:
    network = Network(Architecture("rnn", 3, 2, 2, 1, rate)).train()
    for generator in (None, torch.Generator().manual_seed(1)):
        torch.manual_seed(1)
        found = network._drop(torch.ones(100_000), generator)
        assert found.mean().item() == pytest.approx(1, abs=0.02)
        assert (found == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
        assert found.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])


def test_output_layers_with_a_residual_change_nothing_at_first() -> None:
    """One by hand, too: x + tanh(W x + b), or without x where the widths differ."""
    architecture = Architecture("gru", 5, 3, 4, 1, output_layers=2, output_hidden=4)
    network = Network(architecture)
    hidden = torch.randn(2, 3, 4)
    assert torch.equal(network.logits(hidden), network.output(hidden))
    with torch.no_grad():
        network.get_parameter("output_layers.1.weight").copy_(0.5 * torch.eye(4))
    deeper = hidden + torch.tanh(0.5 * hidden)
    torch.testing.assert_close(network.logits(hidden), network.output(deeper))
    narrow = Network(Architecture("gru", 5, 3, 4, 1, output_layers=1, output_hidden=2))
    expected = narrow.output(torch.tanh(narrow.get_submodule("output_layers.0")(hidden)))
    torch.testing.assert_close(narrow.logits(hidden), expected)


def test_an_lstm_forgets_nothing_at_first() -> None:
    network = Network(Architecture("lstm", 5, 3, 4, 2))
    for layer in range(2):
        bias = getattr(network.rnn, f"bias_ih_l{layer}")
        assert bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_recurrent_matrices_start_orthogonal_gate_by_gate() -> None:
    network = Network(Architecture("gru", 5, 3, 4, 1))
    for gate in network.rnn.weight_hh_l0.split(4):
        assert torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-5)
        assert not torch.allclose(gate, torch.eye(4), atol=0.1)


def test_a_recurrent_matrix_with_relu_starts_at_the_identity() -> None:
    network = Network(Architecture("rnn-relu", 5, 3, 4, 2))
    for layer in range(2):
        assert torch.equal(getattr(network.rnn, f"weight_hh_l{layer}"), torch.eye(4))
