from __future__ import annotations

import pytest

from charrnn.errors import SettingsError
from charrnn.inference.pattern import Known, Missing, parse_pattern
from charrnn.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary.from_text("abc [.]")


def shown(text: str, blank: str = "_", longest: int = 40) -> list[str | tuple[int, int]]:
    parts = parse_pattern(text, VOCABULARY, blank, longest)
    return [part.text if isinstance(part, Known) else (part.least, part.most) for part in parts]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ab _ c", ["ab ", (1, 1), " c"]),
        ("___", [(3, 3)]),
        ("a[...]", ["a", (1, 40)]),
        ("[...]_b__", [(2, 41), "b", (2, 2)]),
        ("a[..]b_", ["a[..]b", (1, 1)]),
    ],
)
def test_a_text_is_cut_at_its_gaps(text: str, parts: list[str | tuple[int, int]]) -> None:
    assert shown(text) == parts


def test_the_blank_and_the_longest_gap_can_be_chosen() -> None:
    assert shown("a_b?", "?", 7) == ["a_b", (1, 1)]
    assert shown("a[...]", longest=7) == ["a", (1, 7)]
    assert isinstance(parse_pattern("_", VOCABULARY)[0], Missing)


@pytest.mark.parametrize(
    ("text", "blank", "longest", "message"),
    [
        ("ab", "_", 40, "nothing is missing in 'ab'; write _ for each missing character"),
        ("", "_", 40, "nothing is missing"),
        ("a_", "__", 40, "blank must be one character, not '__'"),
        ("a_", "", 40, "blank must be one character"),
        ("a_", "_", 0, "longest must be 1 to 1,000, not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    text: str, blank: str, longest: int, message: str
) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        parse_pattern(text, VOCABULARY, blank, longest)
