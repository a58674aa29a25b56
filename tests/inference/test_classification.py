"""P(text | label) is a distribution, for each label and none; Bayes' rule; confusions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from charrnn.inference.classification import (
    CHARACTERS,
    Classification,
    Classifier,
    Confusion,
    by_order,
    by_scores,
    evidence,
    posterior,
    unknown_cost,
)
from charrnn.inference.scoring import Score, score_documents
from charrnn.models.architecture import Architecture
from charrnn.models.interface import LanguageModel
from charrnn.models.label_ngrams import LabelNgrams, count_label_ngrams
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import TorchRNN
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS, UNK, Vocabulary
from tests.support import random_weights

SIZE, LABELS, LONGEST = 4, 3, 4
"""UNK, EOS, a, b and then three labels."""
ARCHITECTURE = Architecture("gru", SIZE, 3, 5, 2, labels=LABELS)


def models() -> dict[str, LanguageModel]:
    """Untrained, but with preferences."""
    weights = random_weights(ARCHITECTURE, scale=0.8)
    network = NumpyRNN(ARCHITECTURE, weights)
    lines = [4, 2, 2, 3, 1, 5, 3, 3, 1, 6, 2, 3, 2, 3, 1, 2, 3, 1, 4, 2, 2, 1, 5, 3, 1]
    ngram = NgramModel.build(np.array(lines), 4, SIZE + LABELS, labels=LABELS)
    exponents = np.random.default_rng(1).random((4, 2)).astype(np.float32)
    torch = TorchRNN.from_weights(ARCHITECTURE, weights, "cpu")
    return {
        "network": network, "torch": torch, "n-gram": ngram,
        "mixture": Mixture(network, ngram, exponents),
    }


def texts(labels: int | None) -> Documents:
    """All texts of less than LONGEST ids, ended by EOS, and all beginnings of LONGEST."""
    characters = [UNK, 2, 3]
    pieces = [
        [*ids, EOS] for size in range(LONGEST) for ids in itertools.product(characters, repeat=size)
    ]
    pieces += [list(ids) for ids in itertools.product(characters, repeat=LONGEST)]
    lengths = np.array([len(piece) for piece in pieces])
    which = None if labels is None else np.full(len(pieces), labels)
    return Documents(np.concatenate(pieces), lengths.cumsum() - lengths, lengths, which)


@pytest.mark.parametrize("label", [None, *range(SIZE, SIZE + LABELS)])
@pytest.mark.parametrize("kind", ["network", "torch", "n-gram", "mixture"])
def test_the_probabilities_of_all_texts_add_up_to_one(kind: str, label: int | None) -> None:
    model = models()[kind]
    scores = score_documents(model, texts(label))
    assert sum(math.exp(score.log_probability) for score in scores) == pytest.approx(1, abs=1e-5)
    assert model.vocabulary_size == SIZE


def test_the_label_matters_and_both_libraries_agree() -> None:
    found = models()
    for kind in ("network", "n-gram", "mixture"):
        values = [
            [score.log_probability for score in score_documents(found[kind], texts(label))]
            for label in (None, 4, 5, 6)
        ]
        assert len({tuple(each) for each in values}) == 4
    for label in (None, 4, 5, 6):
        numpy, torch = (
            [score.log_probability for score in score_documents(found[kind], texts(label))]
            for kind in ("network", "torch")
        )
        assert numpy == pytest.approx(torch, abs=1e-4)


@pytest.mark.parametrize("kind", ["network", "mixture"])
def test_a_text_is_read_after_eos_and_its_label(kind: str) -> None:
    model = models()[kind]
    values = model.forward(np.array([[EOS, 5, 2, 3]]), model.initial_state(1))[0][0]
    expected = values[1, 2] + values[2, 3] + values[3, EOS]
    documents = Documents(np.array([2, 3, EOS]), np.array([0]), np.array([3]), np.array([5]))
    (score,) = score_documents(model, documents)
    assert score.log_probability == pytest.approx(float(expected), abs=1e-5)
    assert score.characters == 3


def test_all_labels_of_several_texts_are_read_side_by_side() -> None:
    model = models()["mixture"]
    every = texts(None)
    found = evidence(model, None, every, np.arange(4, 7))[..., 0]
    for column, label in enumerate((4, 5, 6)):
        alone = [score.log_probability for score in score_documents(model, texts(label))]
        assert found[:, column].tolist() == pytest.approx(alone, abs=1e-4)


def test_a_label_is_remembered_through_a_long_text() -> None:
    """No part of it is read without its beginning, as of a text without a label."""
    model = models()["network"]
    ids = np.tile([2, 3, 3], 1300)
    documents = Documents(ids, np.array([0]), np.array([len(ids)]), np.array([5]))
    (score,) = score_documents(model, documents)
    inputs = np.concatenate([[EOS, 5], ids[:-1]])[None]
    values = model.forward(inputs, model.initial_state(1))[0][0, 1:]
    expected = values[np.arange(len(ids)), ids].sum(dtype=np.float64)
    assert score.log_probability == pytest.approx(float(expected), rel=1e-6)


def label_ngrams() -> LabelNgrams:
    """Of the lines aab, bb, abab and aa, bbb; the last label has none."""
    lines = [4, 2, 2, 3, 1, 5, 3, 3, 1, 4, 2, 3, 2, 3, 1, 4, 2, 2, 1, 5, 3, 3, 3, 1, 6, 2, 1]
    counts = count_label_ngrams(np.array(lines), 4, SIZE, LABELS, 1000)
    return LabelNgrams(counts, np.array([3, 2, 1]))


@pytest.mark.parametrize("label", range(SIZE, SIZE + LABELS))
def test_by_each_order_the_probabilities_of_all_texts_add_up_to_one(label: int) -> None:
    found = by_order(label_ngrams(), texts(label))
    assert found.shape[1] == 4
    assert np.exp(found).sum(0).tolist() == pytest.approx([1] * 4, abs=1e-6)


def test_models_are_weighed_by_their_exponents() -> None:
    model, ngrams, every, labels = models()["network"], label_ngrams(), texts(None), np.arange(4, 7)
    given = evidence(model, ngrams, every, labels)
    for column, label in enumerate(labels.tolist()):
        assert np.allclose(given[:, column, 1:], by_order(ngrams, texts(label)))
    exponents = np.array([0.5, 0, 0.25, 0, 2], np.float32)
    found = Classifier(model, ngrams, exponents).log_likelihoods(every, labels)
    by_hand = 0.5 * given[..., 0] + 0.25 * given[..., 2] + 2 * given[..., 4]
    assert np.allclose(found, by_hand)
    assert np.array_equal(Classifier(model).log_likelihoods(every, labels), given[..., 0])


def test_bayes_rule_by_hand() -> None:
    """P(text | label) 0.2 and 0.1, P(label) 1/4 and 3/4: 0.05 to 0.075."""
    likelihoods = np.log([[0.2, 0.1]])
    assert posterior(likelihoods, np.log([0.25, 0.75])).tolist() == [pytest.approx([0.4, 0.6])]
    assert posterior(likelihoods, np.log([0.5, 0.5])).tolist() == [pytest.approx([2 / 3, 1 / 3])]
    far = posterior(np.array([[-5000.0, -6000.0]]), np.zeros(2))
    assert far.tolist() == [[1.0, 0.0]]


def test_the_most_probable_label_is_the_answer() -> None:
    found = Classification.of(["x", "y"], np.array([0.4, 0.6]))
    assert found == Classification("y", 0.6, {"x": 0.4, "y": 0.6})


def test_unknown_characters_cost_their_share_of_all_that_are_unknown() -> None:
    """A model of 2 characters; UNK is spread over all of Unicode but those and surrogates."""
    assert CHARACTERS == 0x110000 - 2048
    cost = unknown_cost(Vocabulary.from_text("ab"))
    assert cost == pytest.approx(math.log(CHARACTERS - 2))
    scores = [[Score(-3.0, 3, 1)], [Score(-10.0, 3, 0)]]
    (found,) = by_scores(["narrow", "wide"], scores, [cost, 0.0])
    assert found.label == "wide"
    assert found.probabilities["narrow"] == pytest.approx(
        1 / (1 + math.exp(-10.0 - (-3.0 - cost)))
    )


def test_precision_and_recall_by_hand() -> None:
    confusion = Confusion.of("xyz", right=["x", "x", "x", "y"], found=["x", "x", "y", "x"])
    assert confusion.counts.tolist() == [[2, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert (confusion.accuracy, confusion.texts) == (0.5, 4)
    assert confusion.precision()[:2].tolist() == pytest.approx([2 / 3, 0])
    assert confusion.recall()[:2].tolist() == pytest.approx([2 / 3, 0])
    assert np.isnan([confusion.precision()[2], confusion.recall()[2]]).all()
    assert Confusion.of("x", [], []).accuracy == 0.0
