"""Each strategy alone and several together, with numbers worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from charrnn.errors import SettingsError
from charrnn.inference.strategies import REPETITION_WINDOW, STRATEGIES, Value, check_decoding
from charrnn.text.vocabulary import EOS, UNK
from tests.inference.support import A, B, decoder, encode

C = 4


def shaped(
    probabilities: list[float], before: str = "", until_eos: bool = True, **decoding: Any
) -> list[float]:
    """What is drawn from, of [UNK, EOS, A, B, ...], after the text `before`."""
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.array([probabilities], np.float32))
    ready = decoder(len(probabilities), **decoding)
    found = ready.shape(logarithms, ready.remember(encode(before), 1), until_eos)
    return [round(value, 6) for value in found[0].tolist()]


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


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, [0, 0.125, 0.125, 0.25, 0.5]),
        (0.24, [0, 0.125, 0.125, 0.25, 0.5]),  # 0.125 is a quarter of 0.5
        (0.26, [0, 0, 0, 1 / 3, 2 / 3]),
        (0.49, [0, 0, 0, 1 / 3, 2 / 3]),
        (0.51, [0, 0, 0, 0, 1]),
        (1.0, [0, 0, 0, 0, 1]),
    ],
)
def test_min_p_is_a_share_of_the_highest_probability(share: float, expected: list[float]) -> None:
    assert shaped([0.0, 0.125, 0.125, 0.25, 0.5], min_p=share) == pytest.approx(expected, abs=1e-6)


# Information in bits: A 1, B 2, C 3, D 3; the entropy is 0.5 + 0.5 + 2 * 0.375 = 1.75. The
# distances from it are A 0.75, B 0.25, C and D 1.25.
@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (1.0, [0, 0, 0.5, 0.25, 0.125, 0.125]),
        (0.8, [0, 0, 4 / 7, 2 / 7, 1 / 7, 0]),
        (0.75, [0, 0, 2 / 3, 1 / 3, 0, 0]),
        (0.26, [0, 0, 2 / 3, 1 / 3, 0, 0]),
        (0.24, [0, 0, 0, 1, 0, 0]),  # the most typical is not the most probable
        (0.0, [0, 0, 0, 1, 0, 0]),
    ],
)
def test_typical_p_keeps_what_is_near_the_entropy(p: float, expected: list[float]) -> None:
    found = shaped([0.0, 0.0, 0.5, 0.25, 0.125, 0.125], typical_p=p)
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_is_forbidden_is_never_drawn() -> None:
    assert shaped([0.0, 0.1, 0.4, 0.3, 0.2], forbid="A") == pytest.approx(
        [0, 1 / 6, 0, 3 / 6, 2 / 6], abs=1e-6
    )
    assert shaped([0.0, 0.1, 0.4, 0.3, 0.2], forbid="CA?") == [0, 0.25, 0, 0.75, 0]


def test_only_keeps_some_characters_and_the_end() -> None:
    assert shaped([0.0, 0.1, 0.4, 0.3, 0.2], only="A") == [0, 0.2, 0.8, 0, 0]
    assert shaped([0.0, 0.1, 0.4, 0.3, 0.2], only="AC?", until_eos=False) == pytest.approx(
        [0, 0, 2 / 3, 0, 1 / 3], abs=1e-6
    )
    assert shaped([0.0, 0.1, 0.4, 0.3, 0.2], only="AB", forbid="A") == [0, 0.25, 0, 0.75, 0]


@pytest.mark.parametrize(
    "decoding", [{"only": "?"}, {"forbid": "ABC"}, {"only": "A", "forbid": "A"}]
)
def test_some_character_must_be_left(decoding: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="only and forbid leave no character"):
        decoder(5, **decoding)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", [0, 0.25, 0.5, 0.25]),
        ("A", [0, 1 / 3, 1 / 3, 1 / 3]),  # 0.5 ** 2
        ("AB", [0, 0.25 / 0.5625, 0.25 / 0.5625, 0.0625 / 0.5625]),
        ("BBBB", [0, 0.25 / 0.8125, 0.5 / 0.8125, 0.0625 / 0.8125]),
        ("A" + "@" * (REPETITION_WINDOW - 1), [0, 1 / 3, 1 / 3, 1 / 3]),
        ("A" + "@" * REPETITION_WINDOW, [0, 0.25, 0.5, 0.25]),
    ],
)
def test_a_repeated_character_is_raised_to_the_penalty(before: str, expected: list[float]) -> None:
    found = shaped([0.0, 0.25, 0.5, 0.25], before, repetition_penalty=2)
    assert found == pytest.approx(expected, abs=1e-6)


def test_what_was_written_is_remembered() -> None:
    ready = decoder(stop="ABBA")
    recent = ready.remember(encode("B"), 2)
    assert recent.tolist() == [[EOS, EOS, EOS, B]] * 2
    for index in (A, B):
        recent = ready.append(recent, np.array([index, B]))
    assert recent.tolist() == [[EOS, B, A, B], [EOS, B, B, B]]
    assert decoder().remember(encode("AB"), 3).shape == (3, 0)


def test_a_stop_with_unknown_characters_never_comes() -> None:
    assert decoder(stop=["A?", "?"]).stops == ()


def test_the_order_is_fixed() -> None:
    assert list(STRATEGIES) == [
        "forbid", "only", "repetition_penalty", "temperature", "top_k", "top_p", "min_p",
        "typical_p", "argmax", "beam", "stop",
    ]


def test_each_strategy_sees_what_those_before_it_left() -> None:
    before = [0.0, 0.0, 0.4, 0.3, 0.2, 0.1]
    # Without A 3:2:1; B was there before: 0.3 ** 2 = 0.09, so 9:20:10; squares 81:400:100.
    found = shaped(before, "B", forbid="A", repetition_penalty=2, temperature=0.5)
    assert found == pytest.approx([0, 0, 0, 81 / 581, 400 / 581, 100 / 581], abs=1e-6)
    # Of these the two best, 400:100; the higher one has 0.8 of the rest.
    found = shaped(before, "B", forbid="A", repetition_penalty=2, temperature=0.5, top_k=2)
    assert found == pytest.approx([0, 0, 0, 0, 0.8, 0.2], abs=1e-6)
    last: dict[str, Any]
    for last in ({"min_p": 0.3}, {"top_p": 0.8}, {"argmax": True}):
        found = shaped(
            before, "B", forbid="A", repetition_penalty=2, temperature=0.5, top_k=2, **last
        )
        assert found == [0, 0, 0, 0, 1, 0]


@given(
    arrays_of.arrays(np.float32, (3, 7), elements=st.floats(-80, 0, width=32)),
    st.fixed_dictionaries(
        {
            "temperature": st.floats(0, 100),
            "top_k": st.integers(0, 9),
            "top_p": st.floats(0, 1),
            "min_p": st.floats(0, 1),
            "typical_p": st.floats(0, 1),
            "repetition_penalty": st.floats(1, 100),
            "forbid": st.sampled_from(("", "A", "BD", "?")),
            "only": st.sampled_from(("", "ABC", "CDE")),
            "argmax": st.booleans(),
        }
    ),
    st.text("ABCDE?", max_size=9),
)
def test_what_is_drawn_from_adds_up_to_one(
    logarithms: npt.NDArray[np.float32], decoding: dict[str, Any], before: str
) -> None:
    ready = decoder(7, **decoding)
    found = ready.shape(logarithms, ready.remember(encode(before), 3))
    assert found.shape == (3, 7)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-12)
    assert (found >= 0).all()
    assert (found[:, [UNK, *encode(decoding["forbid"])]] == 0).all()


@pytest.mark.parametrize(
    "decoding", [{"stop": 3}, {"forbid": 1.0}, {"temperature": "hot"}, {"stop": [1]}]
)
def test_a_value_of_another_type_is_refused(decoding: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        check_decoding(decoding)


def test_each_strategy_has_a_neutral_value() -> None:
    before = [0.0, 0.1, 0.2, 0.7]
    neutral: dict[str, Any] = {name: each.neutral for name, each in STRATEGIES.items()}
    assert shaped(before, **neutral) == pytest.approx(before, abs=1e-6)


def test_defaults_fill_what_is_missing() -> None:
    assert check_decoding({"top_k": 3}) == {
        "forbid": "", "only": "", "repetition_penalty": 1.0, "temperature": 0.8, "top_k": 3,
        "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "argmax": False, "beam": 0, "stop": (),
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
        ({"min_p": 1.5}, "min_p must be 0 to 1, not 1.5"),
        ({"typical_p": -1.0}, "typical_p must be 0 to 1, not -1"),
        ({"repetition_penalty": 0.5}, "repetition_penalty must be 1 to 100, not 0.5"),
        ({"repetition_penalty": math.nan}, "repetition_penalty must be 1 to 100, not nan"),
        ({"beam": -1}, "beam must be 0 to 1,024, not -1"),
        ({"stop": ""}, "stop must not be empty; leave it out"),
        ({"stop": ["a", ""]}, "stop must not be empty; leave it out"),
        ({"heat": 4}, "unknown decoding strategy 'heat'; choose from forbid, only"),
    ],
)
def test_what_is_out_of_range_is_refused(decoding: dict[str, Value], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_decoding(decoding)


