"""How labels are found at the end of a run, and how well."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.inference.classification import posterior
from charrnn.models.interface import LanguageModel
from charrnn.models.ngram import NgramModel
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training import labelling
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.labelling import fit_exponents, fit_labelling
from tests.support import labelled_lines
from tests.training.support import prepare


def labelled(text: str) -> TrainingData:
    Path("names.tsv").write_text(text)
    reading = Reading(lines=True, labelled=True)
    return prepare_data(load_corpus(["names.tsv"], reading), 0.2, 1)


def test_the_accuracy_is_the_share_of_labels_that_are_recognised() -> None:
    """Two labels whose texts have no character in common; then any label for the same texts."""
    clear = labelled("".join(f"{'ab'[n % 2]}\t{'xyzuvw'[n % 2 :: 2] * 2}\n" for n in range(100)))
    counted = NgramModel.build(clear.ngram_text(), 3, clear.ids, labels=clear.label_count)
    assert accuracy_of(counted, clear) == 1
    unclear = labelled("".join(f"{'aab'[n % 3]}\txyz\n" for n in range(120)))
    counted = NgramModel.build(unclear.ngram_text(), 3, unclear.ids, labels=unclear.label_count)
    held_out = unclear.validation.labels
    assert held_out is not None
    most = Counter(held_out.tolist())[len(unclear.corpus.vocabulary)] / len(held_out)
    assert accuracy_of(counted, unclear) == pytest.approx(most)  # the more frequent one, always


def test_of_many_lines_some_from_everywhere_are_classified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = labelled(labelled_lines(300))
    model = NgramModel.build(data.ngram_text(), 4, data.ids, labels=data.label_count)
    asked: list[int] = []

    def no_evidence(*arguments: Any) -> np.ndarray:
        asked.append(len(arguments[2].starts))
        return np.zeros((asked[-1], data.label_count, 1))

    monkeypatch.setattr(labelling, "evidence", no_evidence)
    monkeypatch.setattr(labelling, "MAX_CLASSIFIED", data.validation.characters * 1.5)
    fit_labelling(model, 0, data)
    assert asked == [len(data.validation.starts) // 2]


def accuracy_of(model: LanguageModel, data: TrainingData) -> float:
    found = fit_labelling(model, 0, data)
    assert found is not None
    assert found.source is None
    return found.accuracy


def test_ngrams_of_each_label_are_kept_where_they_help() -> None:
    data = labelled(labelled_lines(400))
    model = NgramModel.build(data.ngram_text(), 2, data.ids, labels=data.label_count)
    alone, together = (fit_labelling(model, order, data) for order in (0, 4))
    assert alone is not None
    assert together is not None
    assert together.ngrams is not None
    assert together.exponents is not None
    assert together.exponents.shape == (5,)
    assert together.accuracy >= alone.accuracy
    confident = labelled("".join(f"{'ab'[n % 2]}\t{'xy'[n % 2] * 9}\n" for n in range(60)))
    counted = NgramModel.build(confident.ngram_text(), 9, confident.ids, labels=2)
    found = fit_labelling(counted, 1, confident)
    assert found is not None
    assert found.accuracy == 1


def test_of_a_long_text_some_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third; each line stays whole."""
    lines = np.concatenate([[4, 2, n % 2 + 2, 1] for n in range(30)])
    monkeypatch.setattr(labelling, "MAX_COUNTED", 40)
    some = labelling._spread_lines(lines)
    assert some.reshape(-1, 4).tolist() == [[4, 2, n % 2 + 2, 1] for n in range(0, 30, 3)]


def test_exponents_make_the_right_labels_most_probable() -> None:
    """A model that is right, one that is too sure, and one that knows nothing."""
    chance = np.random.default_rng(1)
    truth = chance.normal(size=(2000, 3))
    prior = np.log([0.5, 0.3, 0.2])
    shares = posterior(truth, prior)
    right = (shares.cumsum(-1) < chance.random((2000, 1))).sum(-1)
    (sure,) = fit_exponents(4 * truth[..., None], right, prior)
    assert sure == pytest.approx(0.25, abs=0.03)
    noise = chance.normal(size=truth.shape)
    both = fit_exponents(np.stack([truth, noise], -1), right, prior)
    assert both == pytest.approx([1, 0], abs=0.12)


def test_without_labels_or_held_out_lines_there_is_none() -> None:
    plain = prepare("a text without labels", validation=0.2)
    model = NgramModel.build(plain.training, 2, plain.ids)
    assert fit_labelling(model, 2, plain) is None
