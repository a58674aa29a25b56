from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from charrnn.errors import SettingsError
from charrnn.inference.filters import Filters, draw_texts, pattern
from charrnn.inference.texts import Sample

WORDS = ("ab", "ba", "ab", "abc", "", "cab", "ba")


def samples(numbers: range) -> Iterator[Sample]:
    for number in numbers:
        yield Sample("", WORDS[number % len(WORDS)], "eos", number, ())


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), list(WORDS)),
        (Filters(match=re.compile("^a")), ["ab", "ab", "abc"]),
        (Filters(reject=re.compile("b$")), ["ba", "abc", "", "ba"]),
        (Filters(unique=True), ["ab", "ba", "abc", "", "cab"]),
        (Filters(known=frozenset({"ab", ""})), ["ba", "abc", "cab", "ba"]),
        (
            Filters(re.compile("b"), re.compile("c.*b"), frozenset({"ab"}), unique=True),
            ["ba", "abc"],
        ),
    ],
)
def test_only_texts_that_pass_are_taken(filters: Filters, expected: list[str]) -> None:
    assert [sample.text for sample in filters.passing(samples(range(7)))] == expected
    assert filters.any == (filters != Filters())


def test_a_filter_sees_the_prime_too() -> None:
    found = [Sample("a", "b", "eos", 0, ())]
    assert list(Filters(match=re.compile("^ab$")).passing(found)) == found


def test_no_more_texts_are_drawn_than_needed() -> None:
    asked: list[range] = []

    def draw(numbers: range) -> Iterator[Sample]:
        asked.append(numbers)
        return samples(numbers)

    texts = draw_texts(draw, 10, at_once=4)
    assert [next(texts).number for _ in range(4)] == [0, 1, 2, 3]
    assert asked == [range(4)]
    assert [sample.number for sample in texts] == [4, 5, 6, 7, 8, 9]
    assert asked == [range(4), range(4, 8), range(8, 10)]


@pytest.mark.parametrize("expression", ["(", "*", "[a", "(?P<a", "a{2,1}"])
def test_what_is_no_regular_expression_is_refused(expression: str) -> None:
    with pytest.raises(SettingsError, match=r"^match: .* is not a regular expression"):
        pattern("match", expression)
