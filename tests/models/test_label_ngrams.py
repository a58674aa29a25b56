"""n-grams counted label by label: probabilities by hand, and texts read in parts."""

from __future__ import annotations

import numpy as np
import pytest

from charrnn.models.label_ngrams import LabelNgrams, Numbers, can_be_counted, count_label_ngrams
from charrnn.text.vocabulary import EOS

A, B, X, Y = 2, 3, 4, 5
"""Two characters and two labels; UNK, EOS, a and b are the vocabulary."""
LINES = [X, A, A, EOS, Y, B, B, EOS, X, A, B, EOS]


def model(order: int = 2) -> LabelNgrams:
    counts = count_label_ngrams(np.array(LINES), order, 4, 2, 100)
    return LabelNgrams(counts, np.array([2, 1]))


def scores(ngrams: LabelNgrams, text: list[int], label: int) -> Numbers:
    tokens = np.array([[EOS, *text]])
    targets = np.array([[*text, EOS]])
    (found,), _ = ngrams.score(tokens, targets, np.array([label]), ngrams.initial_state(1))
    return np.asarray(found)


def test_characters_by_hand() -> None:
    """Counts, ids l V + c: aX 3, bX 1, bY 2 and EOS 3, 9 in all. Discounts of 1.5, 0.5, 1 and 1.5
    (too few to estimate others) are spread over the 8 ids. Of EOS, label X has two of three lines.
    """
    spread = 4.5 / 9 / 8
    a, b, end = 1.5 / 9 + spread, 0.5 / 9 + spread, (1.5 / 9 + spread) * 2 / 3
    whole = spread + end + a + b  # with UNK
    found = np.exp(scores(model(1), [A, B], 0)[:, 0])
    assert found.tolist() == pytest.approx([a / whole, b / whole, end / whole])


def test_a_context_belongs_to_its_label() -> None:
    """After b, a text with label Y goes on with b or ends; with label X it ends."""
    ngrams = model(2)
    after = {label: np.exp(scores(ngrams, [B, B], label)[1, 1]) for label in (0, 1)}
    assert after[1] > 2 * after[0]


def test_a_text_can_be_read_in_parts() -> None:
    ngrams = model(3)
    whole = scores(ngrams, [A, B, B, A, A], 0)
    tokens, targets = np.array([[X, A, B, B, A, A]]), np.array([[A, B, B, A, A, EOS]])
    state, parts = ngrams.initial_state(1), []
    for part in (slice(0, 2), slice(2, 3), slice(3, 6)):
        found, state = ngrams.score(tokens[:, part], targets[:, part], np.array([0]), state)
        parts.append(found[0])
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_too_many_ids_are_not_counted() -> None:
    assert can_be_counted(256, 256)
    assert not can_be_counted(257, 256)
