from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.api import TrainedModel
from charrnn.errors import SettingsError
from charrnn.inference.adaptive import AdaptiveModel, Rates
from charrnn.inference.scoring import score_characters, score_documents
from charrnn.models.cells import CELLS
from charrnn.models.loading import load_model
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS
from tests.support import random_checkpoint

LETTERS = "abcd"
NOTHING = Rates(0, 0, 0, 0, 0)
STILL = Rates(0, 1.0, 0, 0, 0)
"""Reads as an adaptive model does, but learns nothing: there is nothing to be pulled back."""


def letters(length: int, seed: int = 0) -> str:
    choice = random.Random(seed)
    return "".join(choice.choice(LETTERS) for _ in range(length))


def model(kind: str = "mixture", cell: str = "lstm") -> TrainedModel:
    """A random network, or two, an n-gram model, or both."""
    checkpoint = random_checkpoint(LETTERS, cell, networks=2 if kind == "networks" else 1)
    ids = np.append(checkpoint.vocabulary.encode(letters(300, 7)), EOS)
    exponents = np.full((3, 2), [0.7, 0.5], np.float32)
    exponents[2] = 0.3, 0.9
    ngram = NgramModel.build(ids, 3, len(checkpoint.vocabulary)).source
    if kind not in ("network", "networks"):
        checkpoint = replace(checkpoint, ngram=ngram, exponents=exponents)
    if kind == "ngram":
        checkpoint = replace(checkpoint, architecture=None, weights={}, exponents=None)
    return TrainedModel(checkpoint, Path("nowhere"), load_model(checkpoint))


def adaptive(trained: TrainedModel, rates: Rates | None = None) -> AdaptiveModel:
    return AdaptiveModel(trained.model, trained.checkpoint, rates or Rates().times(10))


def documents(trained: TrainedModel, *texts: str) -> Documents:
    return trained._documents(list(texts), True)


KINDS = pytest.mark.parametrize("kind", ["mixture", "network", "networks", "ngram"])


@KINDS
def test_what_follows_a_place_changes_no_figure_up_to_it(kind: str) -> None:
    trained = model(kind)
    same, first, second = letters(70), letters(50, 1), letters(30, 2)
    one, other = (
        score_characters(adaptive(trained), documents(trained, letters(30, 3), same + end))[1]
        for end in (first, second)
    )
    assert (one[:70] == other[:70]).all()
    assert (one[72:80] != other[72:80]).any()


@KINDS
@pytest.mark.parametrize("place", [0, 1, 19, 20, 45])
def test_at_every_place_the_probabilities_sum_to_one(kind: str, place: int) -> None:
    trained = model(kind)
    ids = trained.vocabulary.encode(letters(60))
    total = 0.0
    for character in range(len(trained.vocabulary)):
        ids[place] = character
        text = Documents(ids, np.array([0]), np.array([place + 1]))
        total += float(np.exp(score_characters(adaptive(trained), text)[0][place]))
    assert total == pytest.approx(1, abs=1e-6)


@KINDS
@pytest.mark.parametrize("length", [50, 5000])
def test_with_all_rates_zero_figures_are_the_static_ones(kind: str, length: int) -> None:
    trained = model(kind)
    texts = documents(trained, letters(length), "", letters(20, 1))
    assert score_documents(adaptive(trained, NOTHING), texts) == score_documents(
        trained.model, texts
    )


@KINDS
def test_reading_in_order_alone_changes_no_figure(kind: str) -> None:
    trained = model(kind)
    texts = documents(trained, letters(500), "", letters(20, 1))
    still = score_characters(adaptive(trained, STILL), texts)
    for one, other in zip(still, score_characters(trained.model, texts), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "gain"), [("mixture", 10), ("network", 10), ("networks", 5), ("ngram", 10)]
)
def test_what_comes_again_is_more_probable(kind: str, gain: float) -> None:
    trained = model(kind)
    text = letters(60)
    scores = score_documents(adaptive(trained), documents(trained, *[text] * 5))
    assert scores[4].log_probability > scores[0].log_probability + gain


@KINDS
def test_texts_scored_together_or_one_after_the_other_are_one_stream(kind: str) -> None:
    trained = model(kind)
    texts = [letters(45), letters(30, 1), "", letters(3, 2)]
    together = score_documents(adaptive(trained), documents(trained, *texts))
    stream = adaptive(trained)
    assert together == [score_documents(stream, documents(trained, each))[0] for each in texts]


@KINDS
def test_what_it_has_become_predicts_what_comes_next(kind: str) -> None:
    trained = model(kind)
    stream = adaptive(trained)
    score_documents(stream, documents(trained, letters(200)))
    frozen, after = stream.frozen(), letters(15, 1)
    twice = score_documents(frozen, documents(trained, after, after))
    assert twice[0].log_probability == pytest.approx(twice[1].log_probability)  # learns nothing
    first = score_characters(frozen, documents(trained, after))[0][0]
    assert first == pytest.approx(
        score_characters(stream, documents(trained, after))[0][0], abs=1e-5
    )


def test_the_model_stays_as_it_is() -> None:
    trained = model()
    before = {name: weight.copy() for name, weight in trained.checkpoint.weights.items()}
    texts = documents(trained, letters(100))
    static = score_documents(trained.model, texts)
    stream = adaptive(trained)
    score_documents(stream, texts)
    changed = stream.updated(trained.checkpoint)
    assert score_documents(trained.model, texts) == static
    for name, weight in before.items():
        assert (trained.checkpoint.weights[name] == weight).all()
        assert changed.weights[name].shape == weight.shape
        assert (changed.weights[name] != weight).any()
    assert replace(changed, weights=before) == replace(trained.checkpoint, weights=before)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(cell: str) -> None:
    trained = model("network", cell)
    scores = score_documents(adaptive(trained), documents(trained, *["abcd" * 10] * 6))
    assert scores[5].log_probability > scores[0].log_probability


def test_the_first_step_of_the_network_is_its_rate() -> None:
    # RMS and gradient are the same size after one segment, whatever the gradient.
    trained = model("network")
    stream = adaptive(trained, Rates(1e-3, 0, 0, 0, 0))
    ids = trained.vocabulary.encode(letters(20))  # one segment
    score_documents(stream, Documents(ids, np.array([0]), np.array([20])))
    change = stream.updated(trained.checkpoint).weights["output.bias"]
    step = np.abs(change - trained.checkpoint.weights["output.bias"])
    assert (step < 1.001e-3).all()
    assert step.max() > 0.9e-3


@pytest.mark.parametrize("factor", [-0.1, 10.1, float("nan"), float("inf")])
def test_rates_have_bounds(factor: float) -> None:
    with pytest.raises(SettingsError, match="adaptive_rate must be 0 to 10"):
        Rates().times(factor)
