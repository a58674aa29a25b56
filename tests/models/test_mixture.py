"""The mixture of a network and an n-gram model: against numbers by hand, and other computations."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.inference.scoring import evaluate_documents, score_characters
from charrnn.models.architecture import Architecture
from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Exponents, Mixture
from charrnn.models.ngram import NgramModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.text.documents import documents_of
from tests.support import TableModel, random_weights

E, A, B = 1, 2, 3  # EOS and two characters
V = 6
ORDER = 4


def random_tokens(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, V, shape)


@pytest.fixture(scope="module")
def network() -> NumpyRNN:
    architecture = Architecture("lstm", V, 4, 8, 2)
    return NumpyRNN(architecture, random_weights(architecture))


@pytest.fixture(scope="module")
def ngram() -> NgramModel:
    return NgramModel.build(random_tokens((300,)), ORDER, V)


@pytest.fixture(scope="module")
def mixture(network: NumpyRNN, ngram: NgramModel) -> Mixture:
    exponents = np.random.default_rng(1).uniform(0.1, 1.2, (ORDER, 2)).astype(np.float32)
    return Mixture(network, ngram, exponents)


def same_exponents(network: float, ngram: float) -> Exponents:
    return np.tile(np.array([network, ngram], np.float32), (ORDER, 1))


def predictions(model: LanguageModel, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    found, _ = model.forward(tokens, model.initial_state(len(tokens)))
    return found


def test_it_is_a_language_model(mixture: Mixture) -> None:
    model: LanguageModel = mixture
    assert model.vocabulary_size == V


def test_probabilities_add_up_to_one_after_every_context(mixture: Mixture) -> None:
    contexts = np.stack(np.meshgrid(*[np.arange(V)] * 3), -1).reshape(-1, 3)  # all of them
    found = predictions(mixture, contexts)
    assert found.shape == (V**3, 3, V)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)


def test_steps_are_forward(mixture: Mixture) -> None:
    tokens = random_tokens((3, 20), 1)
    whole, after = mixture.forward(tokens, mixture.initial_state(3))
    state = mixture.initial_state(3)
    for position in range(tokens.shape[1]):
        found, state = mixture.step(tokens[:, position], state)
        np.testing.assert_allclose(found, whole[:, position], rtol=0, atol=1e-5)
    follow, again = (mixture.step(tokens[:, 0], each)[0] for each in (state, after))
    np.testing.assert_allclose(follow, again, rtol=0, atol=1e-5)


def test_scores_are_forward(mixture: Mixture) -> None:
    tokens, targets = random_tokens((3, 20), 1), random_tokens((3, 20), 2)
    whole, after = mixture.forward(tokens, mixture.initial_state(3))
    scores, state = mixture.score(tokens, targets, mixture.initial_state(3))
    expected = np.take_along_axis(whole, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
    follow, again = (mixture.step(tokens[:, 0], each)[0] for each in (state, after))
    np.testing.assert_allclose(follow, again, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 7, 19])
def test_a_text_in_chunks_is_the_whole_text(mixture: Mixture, cut: int) -> None:
    tokens = random_tokens((2, 20), 1)
    first, state = mixture.forward(tokens[:, :cut], mixture.initial_state(2))
    second, _ = mixture.forward(tokens[:, cut:], state)
    both = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(both, predictions(mixture, tokens), rtol=0, atol=1e-5)


def test_selected_texts_go_on_as_they_would_have(mixture: Mixture) -> None:
    rows = np.array([2, 0, 2])
    tokens = random_tokens((3, 10), 1)
    _, state = mixture.forward(tokens, mixture.initial_state(3))
    all_of_them, _ = mixture.step(tokens[:, 0], state)
    found, _ = mixture.step(tokens[rows, 0], mixture.select(state, rows))
    np.testing.assert_allclose(found, all_of_them[rows], rtol=0, atol=1e-5)


def test_one_and_nothing_is_the_network_nothing_and_one_the_ngram_model(
    network: NumpyRNN, ngram: NgramModel
) -> None:
    tokens = random_tokens((3, 20), 1)
    for exponents, alone in (((1, 0), network), ((0, 1), ngram)):
        mixed = Mixture(network, ngram, same_exponents(*exponents))
        expected = predictions(alone, tokens)
        np.testing.assert_allclose(predictions(mixed, tokens), expected, rtol=0, atol=1e-5)


def test_a_mix_by_hand() -> None:
    # E a a b E: what follows "E" is "a" with 1/2, and half of the unigrams'
    # (1/8, 1/4, 3/8, 1/4); see test_bigrams_by_hand in test_ngram.py.
    ngram_probabilities = np.array([1, 2, 11, 2]) / 16
    network_probabilities = [0.1, 0.2, 0.3, 0.4]
    ngram = NgramModel.build(np.array([A, A, B, E]), 2, 4)
    exponents = np.array([[9, 9], [0.5, 2]], np.float32)  # after an unknown and a known context
    mixed = Mixture(TableModel([network_probabilities] * 4), ngram, exponents)
    found, _ = mixed.step(np.array([E]), mixed.initial_state(1))
    pairs = zip(network_probabilities, ngram_probabilities.tolist(), strict=True)
    product = [math.sqrt(p) * q**2 for p, q in pairs]
    np.testing.assert_allclose(np.exp(found[0]), np.array(product) / sum(product), atol=1e-6)


def test_the_exponents_are_those_of_the_matched_length() -> None:
    ngram = NgramModel.build(np.array([A, A, B, E]), 3, 4)
    network_probabilities = [0.1, 0.2, 0.3, 0.4]
    exponents = np.array([[1, 0], [0.5, 0], [0, 0]], np.float32)  # the longer, the flatter
    mixed = Mixture(TableModel([network_probabilities] * 4), ngram, exponents)
    found = np.exp(predictions(mixed, np.array([[0, A, A]])))[0]  # matched: 0, 1, 2 characters
    roots = np.sqrt(network_probabilities)
    expected = [np.array(network_probabilities), roots / roots.sum(), np.full(4, 0.25)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_parts_of_a_score_make_the_whole(mixture: Mixture) -> None:
    documents = documents_of([random_tokens((700,), 3)], with_eos=True)
    whole = evaluate_documents(mixture, documents)
    parts = score_characters(mixture, documents)
    assert sum(float(part.sum()) for part in parts) == pytest.approx(
        whole.log_probability, rel=1e-5
    )
