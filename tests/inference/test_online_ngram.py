from __future__ import annotations

import random

import numpy as np
import pytest

from charrnn.inference.online_ngram import ORDER, ROOT, OnlineNgram

A, B = 2, 3
SIZE = 4


def after(text: list[int], size: int = SIZE, **options: int) -> OnlineNgram:
    model = OnlineNgram(size, **options)
    for character in text:
        model.learn(character)
    return model


def matched(text: list[int], ending: list[int]) -> int:
    """The length of the longest end of `ending` that is followed by anything in `text`."""
    lengths = range(1, min(ORDER, len(ending)) + 1)
    inner = [
        length
        for length in lengths
        if any(
            text[at : at + length] == ending[-length:] for at in range(len(text) - length)
        )
    ]
    return max(inner, default=0)


def test_before_the_first_character_all_are_equally_probable() -> None:
    model = OnlineNgram(SIZE)
    np.testing.assert_allclose(np.exp(model.predict(model.contexts)), [0.25] * SIZE, rtol=1e-6)


def test_a_prediction_by_hand() -> None:
    # The empty context has seen A once, with a new escape of 1 / (1 + 1).
    model = after([A])
    expected = [1 / 8, 1 / 8, 1 / 2 + 1 / 8, 1 / 8]
    np.testing.assert_allclose(np.exp(model.predict(model.contexts)), expected, rtol=1e-6)


def test_the_escape_is_learnt() -> None:
    # B comes where only A was seen: it has 1/2 * 1/4, all of it by the escape, of which 1 of 2
    # occasions were assumed and 2 of 3 are now known.
    model = after([A])
    (before,) = list(model._known([ROOT]))
    assert before.escape == [1.0, 2.0]
    model.learn(B)
    assert before.escape == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize("seed", range(3))
def test_the_longest_context_is_found_while_learning_and_after(seed: int) -> None:
    choice = random.Random(seed)
    text = [choice.choice((A, B)) for _ in range(200)]
    model = OnlineNgram(SIZE)
    for at, character in enumerate(text):
        assert len(model.contexts) - 1 == matched(text[:at], text[:at])
        model.learn(character)
    other = [choice.choice((A, B, B)) for _ in range(100)]
    contexts = [ROOT]
    for at, character in enumerate(other):
        contexts = model.follow(contexts, character)
        assert len(contexts) - 1 == matched(text, other[: at + 1])
        assert np.exp(model.predict(contexts)).sum() == pytest.approx(1)


def test_counts_of_a_context_are_those_of_the_text() -> None:
    choice = random.Random(1)
    text = [choice.choice((A, B)) for _ in range(100)]
    model = after(text)
    (counts,) = list(model._known([ROOT]))
    assert dict(counts.pairs) == {A: text.count(A), B: text.count(B)}
    contexts = model.follow(model.follow([ROOT], A), B)
    longest = next(iter(model._known(contexts)))
    followers = [text[at + 2] for at in range(98) if text[at : at + 2] == [A, B]]
    assert dict(longest.pairs) == {each: followers.count(each) for each in set(followers)}


def test_no_context_reaches_back_beyond_a_beginning() -> None:
    model = OnlineNgram(SIZE)
    for _ in range(3):
        model.begin()
        for character in [A, B, A, A, B]:
            model.learn(character)
    model.begin()
    assert len(model.contexts) == 2  # the empty one and EOS
    assert np.exp(model.predict(model.contexts))[A] > 0.5


def test_a_full_tree_forgets_the_older_half() -> None:
    choice = random.Random(1)
    model = OnlineNgram(40, max_nodes=500)
    for _ in range(3000):
        model.learn(choice.randrange(40))
        assert len(model._counts) <= 500 + ORDER + 2
        assert len(model._text) <= 500
    assert np.exp(model.predict(model.contexts)).sum() == pytest.approx(1)


def test_a_repeated_text_becomes_certain() -> None:
    model = after([A, B, B, A, A, B] * 20)
    assert np.exp(model.predict(model.contexts))[A] > 0.9
