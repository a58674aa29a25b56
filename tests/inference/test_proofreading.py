"""Slips are found and mended; a text is read in passages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from charrnn.api import TrainedModel
from charrnn.errors import SettingsError
from charrnn.inference import passages
from charrnn.inference.passages import Passage, Slip
from charrnn.inference.proofreading import Proofreader
from charrnn.inference.rescoring import gains
from charrnn.inference.suspects import Edit, Suspect
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS
from tests.support import TableModel, Trained, random_checkpoint, random_model

A, B, C = 2, 3, 4
CYCLE = [  # a, b, c, a, b, c, ...
    [1e-4, 1e-4, 0.9996, 1e-4, 1e-4],
    [1e-4, 1e-4, 0.9996, 1e-4, 1e-4],
    [1e-4, 1e-4, 1e-4, 0.9996, 1e-4],
    [1e-4, 1e-4, 1e-4, 1e-4, 0.9996],
    [1e-4, 1e-4, 0.9996, 1e-4, 1e-4],
]
MODEL = TableModel(CYCLE)
TEXT = [A, B, C] * 8


def check(ids: list[int]) -> list[tuple[str, int, tuple[int, ...], tuple[int, ...]]]:
    proofreader = Proofreader(MODEL, None, 3, threshold=0)
    (found,) = proofreader.check([np.array(ids)])
    return [(each.kind, each.at, each.old, each.new) for each in found]


def test_each_kind_of_slip_is_found_and_mended() -> None:
    assert check(TEXT) == []
    assert check([*TEXT[:9], C, *TEXT[10:]]) == [("substitution", 9, (C,), (A,))]
    assert check([*TEXT[:9], *TEXT[10:]]) == [("insertion", 9, (), (A,))]
    swapped = [*TEXT[:9], B, A, *TEXT[11:]]
    assert check(swapped) == [("transposition", 9, (B, A), (A, B))]
    ((kind, at, old, new),) = check([*TEXT[:9], C, *TEXT[9:]])
    assert (kind, old, new) == ("deletion", (C,), ())
    assert at in (8, 9)  # c c: either of them may go


def test_two_slips_in_one_text_are_both_found() -> None:
    ids = [*TEXT[:6], C, *TEXT[7:15], B, *TEXT[16:]]
    assert [each[1] for each in check(ids)] == [6, 15]


def test_texts_of_a_batch_are_checked_as_if_alone() -> None:
    wrong = [*TEXT[:9], C, *TEXT[10:]]
    both = Proofreader(MODEL, None, 3).check([np.array(TEXT), np.array([]), np.array(wrong)])
    assert [len(each) for each in both] == [0, 0, 1]


def test_a_gain_is_the_difference_of_two_log_probabilities() -> None:
    wrong = np.array([*TEXT[:9], C, *TEXT[10:]])
    documents = Documents(wrong, np.array([0]), np.array([len(wrong)]))
    edit = Edit("substitution", 9, (C,), (A,))
    (found,) = gains(MODEL, documents, np.array([0]), [Suspect(9, (edit,))])
    # c -> c, c -> b become c -> a, a -> b; nothing else changes.
    assert found.tolist() == pytest.approx([2 * np.log(0.9996 / 1e-4)], rel=1e-5)
    start = Edit("substitution", 0, (A,), (B,))
    right = Documents(np.array(TEXT), np.array([0]), np.array([len(TEXT)]))
    (found,) = gains(MODEL, right, np.array([0]), [Suspect(0, (start,))])
    assert found.tolist() == pytest.approx([2 * np.log(1e-4 / 0.9996)], rel=1e-5)
    assert EOS not in TEXT


@pytest.mark.parametrize("using", ["forward", "reader", "both"])
def test_a_reader_or_a_model_or_both_can_do_it(using: str) -> None:
    model = random_model(random_checkpoint("abc", bidirectional=True))
    slips = model.proofread("abcabc" * 10, threshold=-100, using=using)
    for slip in slips:
        assert ("abcabc" * 10)[slip.at : slip.at + len(slip.found)] == slip.found


def test_a_trained_model_mends_a_text(prose_model: Trained) -> None:
    model = TrainedModel.open(prose_model.run)
    right = "the old man saw the moon.\nmy sister likes a red house.\n"
    wrong = "the olk man saw the moon.\nmy sitser likes a rd house.\n"
    slips = model.proofread(wrong)
    places = [(slip.line, slip.column, slip.found, slip.suggested) for slip in slips]
    assert (1, 7, "k", "d") in places
    assert len(places) <= 4
    assert model.proofread(right) == []
    (passage,) = model.proofread_pieces([wrong])
    assert passage.text == wrong
    assert "old man" in passage.fixed


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_passages_are_the_text_wherever_it_is_cut(
    lines: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passages, "PASSAGE", 50)
    monkeypatch.setattr(passages, "CONTEXT", 20)
    model = random_model(random_checkpoint("abc\n", lines=lines, bidirectional=True))
    text = "".join(np.random.default_rng(0).choice([*"abcx\n"], 400)) + "\r\nabc"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = list(model.proofread_pieces(pieces, threshold=-30))
    assert "".join(each.text for each in found) == text
    assert sum(len(each.slips) for each in found) > 0
    split = text.split("\n")
    for passage in found:
        for slip in passage.slips:
            begin = sum(len(line) + 1 for line in split[: slip.line - 1]) + slip.column - 1
            assert text[begin : begin + len(slip.found)] == slip.found
            assert "x" not in slip.found  # what the model does not know is left alone


def test_a_text_without_end_is_checked_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "PASSAGE", 64)
    for lines in (False, True):
        model = random_model(random_checkpoint("abc\n", lines=lines))
        found = model.proofread_pieces(itertools.repeat("abc\n" * 10), threshold=100)
        assert all(len(each.text) <= 64 for each in itertools.islice(found, 5))


def test_marks_and_fixes() -> None:
    slips = (
        Slip(1, 2, "substitution", "b", "{found}", 1.0, 1),
        Slip(1, 4, "insertion", "", "!", 1.0, 3),
        Slip(1, 5, "deletion", "e", "", 1.0, 4),
    )
    passage = Passage("abcdef", slips)
    assert passage.fixed == "a{found}c!df"
    assert passage.marked == "a[-b-]{+{found}+}c{+!+}d[-e-]f"


def test_without_a_reader_it_cannot_be_used_alone() -> None:
    with pytest.raises(SettingsError, match="this model has no reader"):
        random_model(random_checkpoint("abc")).proofread("abc", using="reader")
