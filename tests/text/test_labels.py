"""Which labels there can be, and what they are asked for."""

from __future__ import annotations

import math
from typing import Any

import pytest

from charrnn.errors import CheckpointError, SettingsError, VocabularyError
from charrnn.text.labels import MAX_CHARACTERS, MAX_LABELS, Labels, ids_dtype, label_problem
from charrnn.text.vocabulary import Vocabulary

LABELS = Labels(("English", "Irish", "Scottish"), (6, 3, 1))


def test_a_label_is_found_by_its_name() -> None:
    assert [LABELS.index(name) for name in LABELS.names] == [0, 1, 2]
    assert Labels.parse(LABELS.description()) == LABELS
    assert Labels.parse(None) is None


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("irish", "did you mean 'Irish'?"),
        ("Scotish", "did you mean 'Scottish'"),
        ("Klingon", "knows English, Irish, Scottish"),
    ],
)
def test_an_unknown_label_is_refused_with_the_nearest(typed: str, hint: str) -> None:
    with pytest.raises(SettingsError, match="is unknown to the model") as error:
        LABELS.index(typed)
    assert hint in error.value.for_command_line()
    assert error.value.for_command_line().startswith(f"--label {typed!r}")


def test_the_prior_is_the_share_of_the_lines_or_equal() -> None:
    assert LABELS.log_prior().tolist() == pytest.approx([math.log(n / 10) for n in (6, 3, 1)])
    assert LABELS.log_prior(uniform=True).tolist() == pytest.approx([-math.log(3)] * 3)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        (" Irish", "space"),
        ("Irish ", "space"),
        ("I\trish", "not printable"),
        ("I\nrish", "not printable"),
        ("I\x1b[2Jrish", "not printable"),
        ("I\u202erish", "not printable"),
        ("\ud800", "not printable"),
        ("a" * 101, "more than 100"),
        ("e\u0301", "normal form"),
    ],
)
def test_what_cannot_be_a_label(name: str, problem: str) -> None:
    assert problem in (label_problem(name) or "")
    with pytest.raises(VocabularyError):
        Labels((name,), (1,))


def test_what_can_be_a_label() -> None:
    assert all(label_problem(name) is None for name in ("a b", "Ελληνικά", "漢", "a" * 100, "🙂"))


@pytest.mark.parametrize(
    "hostile",
    [
        {}, "Irish", [], ["Irish"], [["Irish"]], [["Irish", 1, 2]], [[1, 1]], [["Irish", 0]],
        [["Irish", -1]], [["Irish", True]], [["Irish", 1.0]], [["Irish", 1 << 60]],
        [["b", 1], ["a", 1]], [["a", 1], ["a", 1]], [["a\tb", 1]], [["\x1b[2J", 1]],
        [[f"{n:07}", 1] for n in range(MAX_LABELS + 1)],
        [[f"{n:0100}", 1] for n in range(MAX_CHARACTERS // 100 + 1)],
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_labels_of_a_file_are_refused(hostile: Any) -> None:
    with pytest.raises((CheckpointError, VocabularyError)):
        Labels.parse(hostile)


def test_ids_have_room_for_characters_and_labels() -> None:
    vocabulary = Vocabulary(tuple(range(1, 254)))
    found = [str(ids_dtype(vocabulary, count)) for count in (0, 1, 2)]
    assert found == ["uint8", "uint8", "uint16"]
    with pytest.raises(VocabularyError, match="more than the 65,536 supported"):
        ids_dtype(Vocabulary(tuple(range(0xE000, 0xE000 + 62_000))), 4000)
