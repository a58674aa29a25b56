from __future__ import annotations

import numpy as np
import pytest

from charrnn.errors import SettingsError
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_reduction import reduce_ngrams
from charrnn.text.vocabulary import Vocabulary
from tests.support import prose

TEXT = prose(400)
VOCABULARY = Vocabulary.from_text(TEXT)
IDS = np.asarray(VOCABULARY.encode(TEXT), np.int64)


def counted(order: int, max_ngrams: int = 1 << 30) -> NgramCounts:
    return count_ngrams(IDS, order, len(VOCABULARY), max_ngrams=max_ngrams)


@pytest.mark.parametrize("order", [1, 2, 5, 9])
@pytest.mark.parametrize("limit", [len(VOCABULARY), 60, 200, 1000, 2500])
def test_reduced_counts_are_those_that_the_limit_would_have_given(order: int, limit: int) -> None:
    reduced, direct = reduce_ngrams(counted(order), limit), counted(order, limit)
    assert sum(reduced.ngrams) <= limit
    assert reduced.ngrams == direct.ngrams
    for name, array in direct.arrays.items():
        # Left with order 1, a model reduced from a higher one counts the EOS before the text too.
        allowed = 1 if reduced.order == 1 < order else 0
        np.testing.assert_allclose(reduced.arrays[name], array, 0, allowed, err_msg=name)
    assert reduced.arrays.keys() <= direct.arrays.keys() | {
        name for name in reduced.arrays if name.endswith("dropped")
    }


@pytest.mark.parametrize("limit", [60, 200, 1000])
def test_probabilities_still_add_up_to_one(limit: int) -> None:
    model = NgramModel(reduce_ngrams(reduce_ngrams(counted(7), 2000), limit))
    predicted, _ = model.forward(IDS[None, :200], model.initial_state(1))
    np.testing.assert_allclose(np.exp(predicted).sum(-1), 1, atol=1e-5)


def test_reduced_counts_are_valid_counts() -> None:
    reduced = reduce_ngrams(counted(7), 500)
    again = NgramCounts.from_tensors(reduced.description(), reduced.arrays)
    assert again.ngrams == reduced.ngrams


def test_counts_within_the_limit_stay_as_they_are() -> None:
    counts = counted(5)
    assert reduce_ngrams(counts, sum(counts.ngrams)) is counts


def test_a_limit_below_the_vocabulary_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"max_ngrams 5 is below the vocabulary's"):
        reduce_ngrams(counted(5), 5)
