from __future__ import annotations

import numpy as np
import pytest

from charrnn.models.ngram_counter import count_ngrams
from charrnn.training.ngram_plan import plan_ngram
from charrnn.training.two_texts import STRETCHES, EarlierText, count_both
from tests.support import prose
from tests.training.support import prepare

PLAN = plan_ngram(1000, 4, None, one_document=True)


def test_a_share_is_spread_evenly_and_has_the_new_ids() -> None:
    ids = np.arange(STRETCHES * 8) % 4
    earlier = EarlierText(ids, np.array([0, 1, 3, 5]))
    assert earlier.part(1.0).tolist() == [[0, 1, 3, 5][each] for each in ids]
    assert earlier.part(0.25).tolist() == [0, 1] * STRETCHES
    assert len(earlier.part(0.0)) == 0


@pytest.mark.parametrize(("same", "share"), [(True, 1.0), (False, 1 / 64)])
def test_as_much_of_the_earlier_text_is_counted_as_helps(same: bool, share: float) -> None:
    new = prepare(prose(60))
    old = prose(600, seed=2) if same else prose(600, seed=2)[::-1]
    ids = new.corpus.vocabulary.encode(old)
    now = np.arange(len(new.corpus.vocabulary))
    size = len(now)
    found = count_both(EarlierText(ids, now), new.training, new.validation, PLAN, size)
    assert found.share <= share
    if same:
        assert found.share == 1
        together = np.concatenate([ids, new.training])
        assert found.counts.ngrams == count_ngrams(together, 4, size).ngrams
