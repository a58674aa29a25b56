from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import VocabularyError
from charrnn.text.decoding import narrow
from charrnn.text.vocabulary import (
    EOS,
    LAST_CODE_POINT,
    MAX_CHARACTERS,
    UNK,
    Vocabulary,
    choose_min_count,
    code_points,
    count_code_points,
    find_code_points,
    vocabulary_of_counts,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
WORLD = "naïve e\u0301 漢字 العربية 👩‍👩‍👧 \t\r\n\0\U0010ffff"


def test_ids_are_unk_eos_then_characters_by_code_point() -> None:
    vocabulary = Vocabulary.from_text("cabbage")
    assert (UNK, EOS) == (0, 1)
    assert len(vocabulary) == 2 + 5
    assert vocabulary.encode("abceg").tolist() == [2, 3, 4, 5, 6]
    assert vocabulary.code_points == tuple(map(ord, "abceg"))


@given(TEXTS.filter(bool))
def test_text_survives_the_round_trip(text: str) -> None:
    vocabulary = Vocabulary.from_text(text)
    ids = vocabulary.encode(text)
    assert len(ids) == len(text)
    assert vocabulary.decode(ids.tolist()) == text


def test_every_script_survives_the_round_trip() -> None:
    vocabulary = Vocabulary.from_text(WORLD)
    assert vocabulary.decode(vocabulary.encode(WORLD).tolist()) == WORLD


@given(st.text(min_size=1), TEXTS)
def test_exactly_the_characters_outside_the_vocabulary_become_unk(text: str, known: str) -> None:
    vocabulary = Vocabulary.from_text(known + "x")
    expected = [character not in known + "x" for character in text]
    assert (vocabulary.encode(text) == UNK).tolist() == expected
    assert set(vocabulary.unknown(text)) == set(text) - set(known + "x")


def test_unknown_lists_characters_once_in_order() -> None:
    assert Vocabulary.from_text("ab").unknown("cabdcé") == ["c", "d", "é"]


def test_decoding_shows_unk_and_hides_eos() -> None:
    assert Vocabulary.from_text("ab").decode([2, UNK, 3, EOS]) == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("point", ["\0", "b", "\ud800", "\U0010ffff"])
def test_code_points_around_the_known_ones_are_unknown(point: str) -> None:
    assert Vocabulary.from_text("ac").encode(point).tolist() == [UNK]


@pytest.mark.parametrize(
    ("characters", "dtype"),
    [(1, "uint8"), (254, "uint8"), (255, "uint16"), (MAX_CHARACTERS, "uint16")],
)
def test_ids_take_the_smallest_type_that_holds_them(characters: int, dtype: str) -> None:
    vocabulary = Vocabulary(tuple(range(0x10000, 0x10000 + characters)))
    ids = vocabulary.encode(chr(0x10000 + characters - 1))
    assert vocabulary.dtype == np.dtype(dtype)
    assert ids.dtype == np.dtype(dtype)
    assert ids.tolist() == [characters + 1]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((), "not 0"),
        (tuple(range(0x10000, 0x10000 + MAX_CHARACTERS + 1)), "not 65,535"),
        ((97, 97), "U.0061 is repeated"),
        ((98, 97), "U.0061 is repeated or out of order"),
        ((0xD800,), "U.D800 is a surrogate"),
        ((97, 0xDFFF), "U.DFFF is a surrogate"),
        ((-1,), "-1 is outside Unicode"),
        ((LAST_CODE_POINT + 1,), "1114112 is outside Unicode"),
        (("a",), "'a' in the vocabulary is not a code point"),
        ((97.0,), "97.0 in the vocabulary is not"),
        ((True,), "True in the vocabulary is not"),
        ((None,), "None in the vocabulary is not"),
    ],
)
def test_what_is_no_vocabulary_is_refused(points: tuple[int, ...], message: str) -> None:
    with pytest.raises(VocabularyError, match=message):
        Vocabulary(points)


def test_counting_reads_blocks_one_by_one() -> None:
    blocks = iter([code_points("abca"), code_points(""), code_points("a\U0010ffff")])
    counts = count_code_points(blocks)
    assert counts[ord("a")] == 3
    assert counts[LAST_CODE_POINT] == 1
    assert counts.sum() == 6


@given(st.lists(TEXTS))
def test_code_points_are_found_without_counting(texts: list[str]) -> None:
    blocks = [narrow(text) for text in texts]
    assert (find_code_points(blocks) == np.minimum(count_code_points(blocks), 1)).all()


@pytest.mark.parametrize(
    ("min_count", "expected"), [(1, "abc"), (2, "ab"), (3, "a")]
)
def test_min_count_drops_rarer_characters(min_count: int, expected: str) -> None:
    counts = count_code_points([code_points("aaabbc")])
    assert vocabulary_of_counts(counts, min_count) == Vocabulary.from_text(expected)


@pytest.mark.parametrize(
    ("often", "once", "expected"),
    [(470, 30, 2), (469, 30, 1), (471, 29, 1), (450, 100, 2), (450, 101, 1)],
)
def test_unk_is_trained_if_a_large_vocabulary_has_enough_rare_characters(
    often: int, once: int, expected: int
) -> None:
    counts = np.zeros(LAST_CODE_POINT + 1, np.int64)
    counts[1000 : 1000 + often] = 2
    counts[5000 : 5000 + once] = 1
    assert choose_min_count(counts) == expected


def test_a_min_count_that_leaves_nothing_is_refused_with_a_remedy() -> None:
    with pytest.raises(VocabularyError, match=r"no character occurs 4 times.*lower min_count"):
        vocabulary_of_counts(count_code_points([code_points("aaabbc")]), 4)


def test_too_many_characters_are_refused_with_the_min_count_that_would_do() -> None:
    counts = np.zeros(LAST_CODE_POINT + 1, np.int64)
    counts[0x10000 : 0x10000 + MAX_CHARACTERS] = 5
    counts[0x40000:0x40010] = 3
    with pytest.raises(VocabularyError, match=r"min_count 4$"):
        vocabulary_of_counts(counts, 1)
    assert len(vocabulary_of_counts(counts, 4).code_points) == MAX_CHARACTERS
