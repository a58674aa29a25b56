from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.documents import (
    PIECE,
    Documents,
    apportion,
    documents_of,
    join_documents,
    systematic_sample,
)
from charrnn.text.vocabulary import EOS


def spans(ids: Sequence[int], with_eos: bool) -> list[list[int]]:
    documents = documents_of([np.array(ids)], with_eos)
    return [
        documents.ids[start : start + length].tolist()
        for start, length in zip(documents.starts, documents.lengths, strict=True)
    ]


@pytest.mark.parametrize(
    ("ids", "with_eos", "without_eos"),
    [
        ([2, 3, EOS], [[2, 3, EOS]], [[2, 3]]),
        ([2, EOS, 3, EOS], [[2, EOS], [3, EOS]], [[2], [3]]),
        ([2, EOS, 3], [[2, EOS], [3]], [[2], [3]]),
        ([EOS, 2], [[EOS], [2]], [[2]]),
        ([EOS], [[EOS]], []),
        ([], [], []),
    ],
)
def test_documents_lie_between_ends(
    ids: list[int], with_eos: list[list[int]], without_eos: list[list[int]]
) -> None:
    assert spans(ids, True) == with_eos
    assert spans(ids, False) == without_eos


def test_documents_do_not_go_on_from_piece_to_piece() -> None:
    documents = documents_of([np.array([2, 3]), np.array([4, EOS])], False)
    assert documents.starts.tolist() == [0, 2]
    assert documents.lengths.tolist() == [2, 1]
    assert documents.characters == 3


LENGTHS = st.lists(st.one_of(st.integers(1, 30), st.integers(1, 100_000)), max_size=50)


@pytest.mark.parametrize(
    ("lengths", "fraction", "expected"),
    [
        ([1000], 0.1, [100]),
        ([1000, 3000], 0.1, [100, 300]),  # pieces of 50: each gives its fraction
        ([0, 1000], 0.1, [0, 100]),
        ([100_000, 500_000], 0.5, [50_000, 250_000]),
        # 4,000 wanted, in pieces of 500: of 16 documents with 250 each, every other one gives 500
        ([2500] * 16, 0.1, [500, 0] * 8),
        # 8 wanted: of 64 documents of one id every eighth
        ([1] * 64, 0.125, ([0] * 3 + [1] + [0] * 4) * 8),
        ([7, 9], 1.0, [7, 9]),
        ([7, 9], 0.0, [0, 0]),
        ([], 0.5, []),
    ],
)
def test_documents_give_in_proportion(
    lengths: list[int], fraction: float, expected: list[int]
) -> None:
    taken = apportion(np.array(lengths, np.int64), fraction, offset=0.5)
    assert taken.tolist() == expected


@given(LENGTHS, st.floats(0.001, 1))
def test_every_document_gives_its_fraction_on_average(lengths: list[int], fraction: float) -> None:
    offsets = np.arange(100) / 100
    taken = np.array([apportion(np.array(lengths), fraction, offset) for offset in offsets])
    assert (taken <= lengths).all()
    error = abs(taken.mean(0) - fraction * np.array(lengths))
    assert (error <= 1 + 2 * PIECE / len(offsets)).all()  # rounding, and of the average


@given(
    st.integers(1, 10_000), st.integers(1, 300), st.floats(0.001, 1), st.floats(0, 0.99),
    st.data(),
)
def test_every_part_of_the_documents_gives_about_its_fraction(
    length: int, count: int, fraction: float, offset: float, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, count - 1))
    end = data.draw(st.integers(begin + 1, count))
    taken = apportion(np.full(count, length), fraction, offset)[begin:end]
    wanted = fraction * length * (end - begin)
    assert abs(int(taken.sum()) - wanted) <= PIECE + len(taken)  # a piece, and rounding of each


@pytest.mark.parametrize(
    ("lengths", "characters", "expected"),
    [
        ([10, 20], 30, [10, 20]),
        ([10, 20], 3, [1, 2]),
        ([123_457], 40_000, [40_000]),
        ([1000, 3000], 400, [100, 300]),
        ([3000, 1000], 5, [4, 1]),
        ([2500] * 16, 4000, [500] * 8),
        ([], 5, []),
    ],
)
def test_a_subsample_is_spread_over_all_documents(
    lengths: list[int], characters: int, expected: list[int]
) -> None:
    starts = np.cumsum([0, *lengths])[:-1]
    documents = Documents(np.arange(sum(lengths)), starts, np.array(lengths, np.int64))
    found = documents.subsample(characters)
    assert found.lengths.tolist() == expected
    assert found.characters <= characters
    assert np.isin(found.starts, starts).all()


def test_a_subsample_has_two_corpora_in_proportion() -> None:
    """A book of a million characters and a thousand poems of a thousand."""
    lengths = np.array([1_000_000] + [1000] * 1000)
    documents = Documents(np.zeros(0), lengths.cumsum() - lengths, lengths)
    found = documents.subsample(40_000)
    assert found.lengths[0] == 20_000
    assert found.lengths[1:].tolist() == [1000] * 20
    assert abs(np.diff(found.starts[1:]) - 50_000).max() <= 1000


@pytest.mark.parametrize(
    ("chances", "offset", "drawn"),
    [
        ([0.5, 0.5, 0.5, 0.5], 0.0, [False, True, False, True]),
        ([0.5, 0.5, 0.5, 0.5], 0.5, [True, False, True, False]),
        ([1.0, 0.25, 1.0, 0.25], 0.3, [True, False, True, False]),
        ([1.0, 0.25, 1.0, 0.25], 0.6, [True, False, True, True]),
    ],
)
def test_a_systematic_sample_by_hand(
    chances: list[float], offset: float, drawn: list[bool]
) -> None:
    assert systematic_sample(np.array(chances), offset).tolist() == drawn


@given(st.lists(st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1.0]), min_size=1, max_size=20))
def test_offsets_draw_each_member_as_often_as_its_chance(chances: list[float]) -> None:
    offsets = ((np.arange(300) + 0.5) / 300)[:, None]
    drawn = systematic_sample(np.tile(chances, (300, 1)), offsets)
    np.testing.assert_allclose(drawn.mean(0), chances, atol=0.02)
    assert drawn.sum(1).min() >= int(sum(chances)) - 1e-9
    assert drawn.sum(1).max() <= sum(chances) + 1


def test_joined_documents_are_the_same_documents() -> None:
    parts = [documents_of([np.array(ids, np.uint8)], False) for ids in ([2, 3, EOS, 3], [], [2])]
    joined = join_documents(parts)
    found = zip(joined.starts, joined.lengths, strict=True)
    assert [joined.ids[start : start + length].tolist() for start, length in found] == [
        [2, 3], [3], [2],
    ]
