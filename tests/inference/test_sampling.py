from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference.decoder import Decoder
from charrnn.inference.sampling import ENDED, READ_AT_ONCE, Step, generate
from charrnn.inference.strategies import Value
from charrnn.text.vocabulary import EOS, UNK
from tests.inference.support import TABLE, A, B, decoder
from tests.support import TableModel, random_checkpoint, random_model


def steps(
    count: int, length: int | None = None, prime: tuple[int, ...] = (), seed: int = 0,
    **decoding: Value,
) -> list[Step]:
    """Texts of the table, character by character."""
    seeds = [(seed, number) for number in range(count)]
    ids = np.array(prime, np.int64)
    return [*generate(TableModel(TABLE), ids, decoder(**decoding), seeds, length)]


def texts(
    count: int, length: int | None = None, prime: tuple[int, ...] = (), seed: int = 0,
    **decoding: Value,
) -> list[list[int]]:
    """Texts of the table."""
    found: list[list[int]] = [[] for _ in range(count)]
    for step in steps(count, length, prime, seed, **decoding):
        for text, index in zip(found, step.ids.tolist(), strict=True):
            if index not in {ENDED, EOS}:
                text.append(index)
    return found


def test_the_most_probable_text_by_hand() -> None:
    # After EOS comes A (0.6), after A comes B (0.6), after B, UNK being masked, EOS.
    assert texts(2, argmax=True) == [[A, B], [A, B]]


def test_draws_have_the_shaped_probabilities() -> None:
    # Without UNK: A begins 3/4 of texts; A is followed by EOS 1/3 and B 2/3, B by EOS.
    found = texts(4000)
    shares = {text: found.count(list(text)) / 4000 for text in ((A,), (A, B), (B,))}
    assert sum(shares.values()) == 1
    assert shares == pytest.approx({(A,): 1 / 4, (A, B): 1 / 2, (B,): 1 / 4}, abs=0.02)


def test_a_prime_is_what_comes_before() -> None:
    assert texts(3, prime=(A, B)) == [[], [], []]
    assert texts(2, prime=(B, A), argmax=True) == [[B], [B]]


@pytest.mark.parametrize(("length", "expected"), [(0, []), (1, [A]), (2, [A, B]), (9, [A, B])])
def test_length_is_a_limit(length: int, expected: list[int]) -> None:
    assert texts(1, length, argmax=True) == [expected]


def test_a_text_that_must_not_end_goes_on() -> None:
    # A is followed by EOS (0.3) or B (0.6); without EOS by B alone, and B by A or B.
    table = [*TABLE[:3], [0.0, 0.9, 0.06, 0.04]]
    prime, seeds = np.array([A]), [(0, k) for k in range(500)]
    made = generate(TableModel(table), prime, decoder(), seeds, 4, until_eos=False)
    found = np.stack([step.ids for step in made], 1)
    assert found.shape == (500, 4)
    assert set(found[:, 0].tolist()) == {B}
    assert set(found.ravel().tolist()) == {A, B}
    share = np.count_nonzero(found[:, 1] == A) / 500
    assert share == pytest.approx(0.6, abs=0.1)


def test_rounding_is_all_that_depends_on_the_number_of_texts() -> None:
    model = random_model(random_checkpoint("abcdefgh", layers=2, hidden=64)).model
    tokens = np.random.default_rng(1).integers(1, 10, (64, 50))
    together, state = model.step(tokens[:, 0], model.initial_state(64))
    alone, own = model.step(tokens[:1, 0], model.initial_state(1))
    for time in range(1, 50):
        np.testing.assert_allclose(alone, together[:1], rtol=0, atol=1e-5)
        together, state = model.step(tokens[:, time], state)
        alone, own = model.step(tokens[:1, time], own)


def test_no_texts_are_asked_for() -> None:
    assert texts(0) == []


def test_the_same_seed_gives_the_same_texts() -> None:
    assert texts(20, seed=5) == texts(20, seed=5)
    assert texts(20, seed=5) != texts(20, seed=6)
    assert len({tuple(text) for text in texts(20, seed=5)}) == 3


def test_a_text_does_not_depend_on_how_many_are_made_with_it() -> None:
    assert texts(50)[:7] == texts(7)


def test_neither_unk_nor_eos_is_ever_in_a_text() -> None:
    assert not {UNK, EOS} & {index for text in texts(200) for index in text}


@pytest.mark.parametrize("length", [0, 1, READ_AT_ONCE - 1, READ_AT_ONCE, 3 * READ_AT_ONCE + 5])
def test_a_prime_of_any_length_is_read_whole(length: int) -> None:
    model = random_model(random_checkpoint("abcdefgh", hidden=12)).model
    prime = np.random.default_rng(1).integers(2, 10, length)
    expected, state = model.step(np.array([EOS]), model.initial_state(1))
    for index in prime.tolist():
        expected, state = model.step(np.array([index]), state)
    expected[:, UNK] = -np.inf
    greedy = Decoder.of({"argmax": True}, lambda _: np.empty(0, np.int64), 10)
    (step,) = generate(model, prime, greedy, [(0,)], 1)
    assert step.ids == expected.argmax(-1)


def test_steps_have_the_log_probabilities_of_the_model_itself() -> None:
    # EOS, A, B, EOS: 0.6, 0.6, 0.5, whatever the temperature and although UNK is masked.
    for temperature in (0.0, 1e-3):
        found = steps(2, temperature=temperature)
        assert [step.ids.tolist() for step in found] == [[A, A], [B, B], [EOS, EOS]]
        shares = np.exp([step.log_probabilities for step in found])
        np.testing.assert_allclose(shares, [[0.6] * 2, [0.6] * 2, [0.5] * 2], rtol=1e-6)


def test_a_text_that_has_ended_leaves_the_others_alone() -> None:
    found = steps(20)
    ids = np.stack([step.ids for step in found], 1)  # (B, T)
    for row in ids.tolist():
        end = row.index(EOS)
        assert set(row[end + 1 :]) <= {ENDED}
        assert not {EOS, ENDED} & set(row[:end])
    assert (np.stack([step.log_probabilities for step in found], 1)[ids == ENDED] == 0).all()
    assert len({row.tolist().index(EOS) for row in ids}) > 1


def test_a_stop_ends_a_text_wherever_its_characters_came_from() -> None:
    (first, second) = steps(1, argmax=True, stop="AB")  # the text would be A, B, and end then
    assert [*first.ids, *first.stopped] == [A, 0]
    assert [*second.ids, *second.stopped] == [B, 2]


def test_a_stop_does_not_reach_into_the_prime() -> None:
    (step,) = steps(1, prime=(B, A), argmax=True, stop="AB", length=1)
    assert [*step.ids, *step.stopped] == [B, 0]
    (step,) = steps(1, prime=(B, A), argmax=True, stop="B")
    assert [*step.ids, *step.stopped] == [B, 1]


def test_the_longest_of_several_stops_counts() -> None:
    *_, last = steps(1, argmax=True, stop=("B", "AB", "BB"))
    assert last.stopped == [2]


def test_a_repeated_character_becomes_less_likely() -> None:
    # After A come EOS 0.3 and B 0.6: 0.216 = 0.6 ** 3 if B was there before, but not otherwise.
    assert texts(1, prime=(A,), argmax=True, repetition_penalty=3) == [[B]]
    assert texts(1, prime=(B, A), argmax=True, repetition_penalty=3) == [[]]
