from __future__ import annotations

import numpy as np
import pytest

from charrnn.models.ngram import NgramModel, NgramSource
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_recovery import recover_counts
from charrnn.models.ngram_reduction import reduce_ngrams
from charrnn.models.ngram_tables import NgramTables
from charrnn.text.vocabulary import Vocabulary
from tests.support import prose

TEXT = prose(3000)
VOCABULARY = Vocabulary.from_text(TEXT)
IDS = np.asarray(VOCABULARY.encode(TEXT), np.int64)
UNSEEN = np.asarray(VOCABULARY.encode(prose(400, seed=9)), np.int64)


def counted(order: int, max_ngrams: int = 1 << 30) -> NgramCounts:
    return count_ngrams(IDS, order, len(VOCABULARY), max_ngrams=max_ngrams)


def nats(source: NgramSource) -> float:
    """Per character of UNSEEN."""
    model = NgramModel(source)
    inputs = np.concatenate([[1], UNSEEN[:-1]])
    values, _ = model.score(inputs[None], UNSEEN[None], model.initial_state(1))
    return -float(values.mean())


@pytest.mark.parametrize("order", [2, 3, 6])
def test_counts_recovered_from_tables_predict_as_these_do(order: int) -> None:
    tables = NgramTables.from_counts(counted(order))
    counts = recover_counts(tables, len(IDS))
    assert counts.ngrams == tables.ngrams
    NgramCounts.from_tensors(counts.description(), counts.arrays)  # they are checked
    assert nats(counts) == pytest.approx(nats(tables), abs=0.01)


@pytest.mark.parametrize("limit", [100, 400, 1500])
def test_reduced_they_are_about_as_good_as_the_true_counts(limit: int) -> None:
    true = counted(6)
    recovered = recover_counts(NgramTables.from_counts(true), len(IDS))
    assert nats(reduce_ngrams(recovered, limit)) < nats(reduce_ngrams(true, limit)) + 0.05


def test_of_a_pruned_model_what_is_missing_is_found_too() -> None:
    true = reduce_ngrams(counted(6), 1500)
    recovered = recover_counts(NgramTables.from_counts(true), len(IDS))
    assert any(name.endswith("dropped") for name in recovered.arrays)
    assert nats(recovered) == pytest.approx(nats(true), abs=0.05)


def test_frequencies_are_those_of_the_text() -> None:
    """Bigrams of a long text without gaps: how often each occurs is recovered within a tenth."""
    true = counted(2)
    recovered = recover_counts(NgramTables.from_counts(true), len(IDS))
    found, expected = (each.arrays["ngram.2.count"].astype(float) for each in (recovered, true))
    often = expected > 20
    assert often.sum() > 10
    np.testing.assert_allclose(found[often], expected[often], rtol=0.1)
