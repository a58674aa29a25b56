from __future__ import annotations

import numpy as np
import pytest

from charrnn.training.ngram_run import evenly_spread_sections


def test_a_long_text_is_counted_in_evenly_spread_sections() -> None:
    ids = np.arange(100)
    found = evenly_spread_sections(ids, most=8, sections=4)
    assert found.tolist() == [0, 1, 25, 26, 50, 51, 75, 76]


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_text_that_is_short_enough_is_counted_whole(length: int) -> None:
    ids = np.arange(length)
    assert evenly_spread_sections(ids, most=20, sections=4) is ids


def test_every_corpus_has_its_share() -> None:
    """Two corpora of 3,000 and 1,000 characters, one after the other."""
    ids = np.repeat([0, 1], [3000, 1000])
    found = evenly_spread_sections(ids, most=400, sections=20)
    assert np.bincount(found).tolist() == [300, 100]
