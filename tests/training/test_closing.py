"""What is measured at the end of a run with labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from charrnn.models.ngram import NgramModel
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training import closing
from charrnn.training.closing import Closing, accuracy
from charrnn.training.data import TrainingData, prepare_data
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
    assert accuracy(counted, clear) == 1
    unclear = labelled("".join(f"{'aab'[n % 3]}\txyz\n" for n in range(120)))
    counted = NgramModel.build(unclear.ngram_text(), 3, unclear.ids, labels=unclear.label_count)
    held_out = unclear.validation.labels
    assert held_out is not None
    most = Counter(held_out.tolist())[len(unclear.corpus.vocabulary)] / len(held_out)
    assert accuracy(counted, unclear) == pytest.approx(most)  # the more frequent one, always


def test_of_many_lines_some_from_everywhere_are_classified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = labelled(labelled_lines(300))
    model = NgramModel.build(data.ngram_text(), 4, data.ids, labels=data.label_count)
    asked: list[int] = []

    def likelihoods(model: object, documents: object, labels: object) -> np.ndarray:
        asked.append(len(documents.starts))  # type: ignore[attr-defined]
        return np.zeros((asked[-1], data.label_count))

    monkeypatch.setattr(closing, "log_likelihoods", likelihoods)
    monkeypatch.setattr(closing, "MAX_PREDICTIONS", data.validation.characters * 1.5)
    accuracy(model, data)
    assert asked == [len(data.validation.starts) // 2]


def test_without_labels_or_held_out_lines_there_is_none() -> None:
    plain = prepare("a text without labels", validation=0.2)
    model = NgramModel.build(plain.training, 2, plain.ids)
    assert accuracy(model, plain) is None
    assert Closing(None, None).figures() == {}
    assert Closing(None, 0.5).figures() == {"accuracy": 0.5}
