from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference.contexts import contexts_before, longest_context, sample_positions
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS


def documents(*lengths: int) -> Documents:
    """One after the other, with an id between them that belongs to none; each id is its place."""
    sizes = np.array(lengths, np.int64)
    starts = (sizes + 1).cumsum() - sizes - 1
    return Documents(np.arange(int((sizes + 1).sum())), starts, sizes)


@pytest.mark.parametrize(
    ("lengths", "wanted", "expected"),
    [
        ((100,), 16, 16),
        ((95,), 32, 16),  # 63 characters have 32 before them
        ((96,), 32, 32),
        ((40, 40), 8, 8),  # 32 of each
        ((40, 39), 8, 4),
        ((5,), 1024, 0),  # all 5 count
        ((1,), 1024, 0),
    ],
)
def test_the_longest_context_that_enough_characters_have(
    lengths: tuple[int, ...], wanted: int, expected: int
) -> None:
    assert longest_context(documents(*lengths), wanted) == expected


def test_positions_are_all_that_have_the_context() -> None:
    texts = documents(3, 0, 5, 2)  # starts 0, 4, 5, 11
    assert sample_positions(texts, 2, 100, seed=1).tolist() == [2, 7, 8, 9]
    assert sample_positions(texts, 0, 100, seed=1).tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 11, 12]
    assert sample_positions(texts, 4, 100, seed=1).tolist() == [9]


def test_a_sample_is_drawn_without_repetition_by_the_seed() -> None:
    texts = documents(1000)
    first, again, other = (sample_positions(texts, 100, 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first)) == 50
    assert 100 <= first.min() <= first.max() < 1000


def test_contexts_are_what_stands_before() -> None:
    before = contexts_before(documents(10), np.array([3, 7]), 3)
    assert before.tolist() == [[0, 1, 2], [4, 5, 6]]
    assert contexts_before(documents(10), np.array([3, 7]), 0).tolist() == [[EOS], [EOS]]
