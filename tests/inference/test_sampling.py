from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from charrnn.errors import SettingsError
from charrnn.inference.sampling import (
    ENDED,
    READ_AT_ONCE,
    STRATEGIES,
    check_decoding,
    generate,
    shape_distribution,
)
from charrnn.text.vocabulary import EOS, UNK
from tests.support import TableModel, random_checkpoint, random_model

A, B, C = 2, 3, 4
PLAIN = {"temperature": 1.0}
TABLE = [  # ids: UNK, EOS, A, B; a row is what follows an id
    [0.0, 0.5, 0.25, 0.25],
    [0.2, 0.0, 0.6, 0.2],
    [0.1, 0.3, 0.0, 0.6],
    [0.5, 0.5, 0.0, 0.0],
]


def shaped(probabilities: list[float], **decoding: float) -> list[float]:
    """What is drawn from, of [UNK, EOS, A, B, ...]."""
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.array([probabilities], np.float32))
    found = shape_distribution(logarithms, check_decoding({**PLAIN, **decoding}))
    return [round(value, 6) for value in found[0].tolist()]


def texts(
    count: int, length: int | None = None, prime: tuple[int, ...] = (), seed: int = 0,
    **decoding: float,
) -> list[list[int]]:
    """Texts of the table."""
    values = check_decoding({**PLAIN, **decoding})
    seeds = [(seed, number) for number in range(count)]
    found: list[list[int]] = [[] for _ in seeds]
    for ids in generate(TableModel(TABLE), np.array(prime), values, seeds, length):
        for text, index in zip(found, ids.tolist(), strict=True):
            if index != ENDED:
                text.append(index)
    return found


def test_unk_is_masked_and_the_rest_renormalised() -> None:
    assert shaped([0.5, 0.1, 0.1, 0.3]) == [0, 0.2, 0.2, 0.6]


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, [0, 0.2, 0.8]),
        (0.5, [0, 1 / 17, 16 / 17]),  # squares: 1 to 16
        (2.0, [0, 1 / 3, 2 / 3]),  # roots: 1 to 2
        (0.0, [0, 0, 1]),
        (1e-300, [0, 0, 1]),
        (1e300, [0, 0.5, 0.5]),
    ],
)
def test_temperature_is_a_power(temperature: float, expected: list[float]) -> None:
    assert shaped([0.5, 0.1, 0.4], temperature=temperature) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (0, [0, 0.1, 0.2, 0.3, 0.4]),
        (1, [0, 0, 0, 0, 1]),
        (2, [0, 0, 0, 3 / 7, 4 / 7]),
        (4, [0, 0.1, 0.2, 0.3, 0.4]),
        (5, [0, 0.1, 0.2, 0.3, 0.4]),
        (10**9, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_top_k_keeps_the_most_probable(k: int, expected: list[float]) -> None:
    assert shaped([0.0, 0.1, 0.2, 0.3, 0.4], top_k=k) == pytest.approx(expected, abs=1e-6)


def test_top_k_keeps_equals_at_the_border() -> None:
    assert shaped([0.0, 0.3, 0.3, 0.4], top_k=2) == [0, 0.3, 0.3, 0.4]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (1.0, [0, 0.125, 0.125, 0.25, 0.5]),
        (0.8, [0, 1 / 7, 0, 2 / 7, 4 / 7]),
        (0.75, [0, 0, 0, 1 / 3, 2 / 3]),
        (0.6, [0, 0, 0, 1 / 3, 2 / 3]),
        (0.5, [0, 0, 0, 0, 1]),
        (0.1, [0, 0, 0, 0, 1]),
        (0.0, [0, 0, 0, 0, 1]),
    ],
)
def test_top_p_keeps_the_fewest_that_make_up_p(p: float, expected: list[float]) -> None:
    assert shaped([0.0, 0.125, 0.125, 0.25, 0.5], top_p=p) == pytest.approx(expected, abs=1e-6)


def test_argmax_keeps_the_first_of_equals() -> None:
    assert shaped([0.6, 0.1, 0.15, 0.15], argmax=True) == [0, 0, 1, 0]


def test_strategies_apply_one_after_the_other() -> None:
    # squares of 1:2:3:4 are 1:4:9:16; the two best; of these 16/25 is enough for 0.6
    found = shaped([0.0, 0.1, 0.2, 0.3, 0.4], temperature=0.5, top_k=2)
    assert found == pytest.approx([0, 0, 0, 9 / 25, 16 / 25], abs=1e-6)
    assert shaped([0.0, 0.1, 0.2, 0.3, 0.4], temperature=0.5, top_k=2, top_p=0.6) == [0, 0, 0, 0, 1]


@given(
    arrays_of.arrays(np.float32, (3, 7), elements=st.floats(-80, 0, width=32)),
    st.floats(0, 100),
    st.integers(0, 9),
    st.floats(0, 1),
    st.booleans(),
)
def test_what_is_drawn_from_adds_up_to_one(
    logarithms: npt.NDArray[np.float32], temperature: float, k: int, p: float, argmax: bool
) -> None:
    decoding = {"temperature": temperature, "top_k": k, "top_p": p, "argmax": argmax}
    found = shape_distribution(logarithms, check_decoding(decoding))
    assert found.shape == (3, 7)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
    assert (found >= 0).all()
    assert (found[:, UNK] == 0).all()


def test_each_strategy_has_a_neutral_value() -> None:
    before = [0.0, 0.1, 0.2, 0.7]
    neutral = {name: strategy.neutral for name, strategy in STRATEGIES.items()}
    assert shaped(before, **neutral) == pytest.approx(before, abs=1e-6)


def test_defaults_fill_what_is_missing() -> None:
    assert check_decoding({"top_k": 3}) == {
        "temperature": 0.8, "top_k": 3, "top_p": 1.0, "argmax": False,
    }


@pytest.mark.parametrize(
    ("decoding", "message"),
    [
        ({"temperature": -0.1}, "temperature must be 0 or more, not -0.1"),
        ({"temperature": math.nan}, "temperature must be 0 or more, not nan"),
        ({"temperature": math.inf}, "temperature must be 0 or more, not inf"),
        ({"top_k": -1}, "top_k must be 0 to 2,147,483,648, not -1"),
        ({"top_k": 2**31 + 1}, "top_k must be 0 to 2,147,483,648, not 2,147,483,649"),
        ({"top_p": 1.5}, "top_p must be 0 to 1, not 1.5"),
        ({"top_p": -0.5}, "top_p must be 0 to 1, not -0.5"),
        ({"beam": 4}, "unknown decoding strategy 'beam'"),
    ],
)
def test_what_is_out_of_range_is_refused(decoding: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_decoding(decoding)


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
    prime, values, seeds = np.array([A]), check_decoding(PLAIN), [(0, k) for k in range(500)]
    model = TableModel(table)
    found = np.stack([*generate(model, prime, values, seeds, 4, until_eos=False)], 1)
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
    decoding = check_decoding({"argmax": True})
    found = [ids[0] for ids in generate(model, prime, decoding, [(0,)], 1)]
    assert found == [index for index in expected.argmax(-1).tolist() if index != EOS]
