"""Gaps filled with a LanguageModel, compared with every text there is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from charrnn.inference.particles import Filler, choose, complete_fills
from charrnn.inference.pattern import Known, Missing, Part
from charrnn.text.vocabulary import EOS
from tests.support import TableModel

A, B, C = 2, 3, 4
ROWS = [  # UNK, EOS, a, b, c after each of them
    [0.1, 0.1, 0.4, 0.2, 0.2],
    [0.0, 0.1, 0.5, 0.2, 0.2],
    [0.0, 0.2, 0.1, 0.6, 0.1],
    [0.1, 0.1, 0.2, 0.2, 0.4],
    [0.0, 0.3, 0.3, 0.3, 0.1],
]
MODEL = TableModel(ROWS)


def known(*ids: int) -> Known:
    return Known("".join("__abc"[each] for each in ids), np.array(ids))


def probability(ids: list[int], ends: bool) -> float:
    whole = [EOS, *ids, *([EOS] if ends else [])]
    return math.prod(ROWS[one][other] for one, other in itertools.pairwise(whole))


def enumerated(parts: list[Part], ends: bool, temperature: float) -> dict[tuple[int, ...], float]:
    """The share of every way to fill the gaps."""
    choices = [
        [list(part.ids)]
        if isinstance(part, Known)
        else [
            list(ids)
            for length in range(part.least, part.most + 1)
            for ids in itertools.product((A, B, C), repeat=length)
        ]
        for part in parts
    ]
    shares: dict[tuple[int, ...], float] = {}
    for pieces in itertools.product(*choices):
        filled = tuple(
            each
            for part, piece in zip(parts, pieces, strict=True)
            if isinstance(part, Missing)
            for each in piece
        )
        value = probability([each for piece in pieces for each in piece], ends)
        shares[filled] = shares.get(filled, 0.0) + value ** (1 / temperature)
    total = sum(shares.values())
    return {filled: share / total for filled, share in shares.items()}


def found(filler: Filler, parts: list[Part]) -> dict[tuple[int, ...], float]:
    shares: dict[tuple[int, ...], float] = {}
    for weight, ids, _ in complete_fills(filler.fill(parts)):
        shares[tuple(ids.tolist())] = shares.get(tuple(ids.tolist()), 0.0) + math.exp(weight)
    total = sum(shares.values())
    return {filled: share / total for filled, share in shares.items()}


PATTERNS: list[list[Part]] = [
    [known(A), Missing(2, 2), known(B, C)],
    [Missing(1, 1), known(A), Missing(1, 1)],
    [known(C), Missing(1, 3), known(A, A)],
    [Missing(1, 2), known(B), Missing(2, 3), known(C)],
]


@pytest.mark.parametrize("parts", PATTERNS)
@pytest.mark.parametrize(("ends", "temperature"), [(False, 1.0), (True, 1.0), (True, 0.5)])
def test_with_few_texts_the_result_is_that_of_all_of_them(
    parts: list[Part], ends: bool, temperature: float
) -> None:
    filler = Filler(MODEL, 10_000, temperature, np.random.default_rng(0), ends)
    expected = enumerated(parts, ends, temperature)
    ours = found(filler, parts)
    assert ours.keys() == expected.keys()
    for filled, share in expected.items():
        assert ours[filled] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("parts", [PATTERNS[0], PATTERNS[2]])
def test_with_many_texts_the_sums_are_right_on_average(parts: list[Part]) -> None:
    """Unnormalised, over many runs: no text and no length has an advantage."""
    ends = True
    sums: dict[tuple[int, ...], float] = {}
    runs = 400
    for seed in range(runs):
        filler = Filler(MODEL, 8, 1.0, np.random.default_rng(seed), ends)
        for weight, ids, _ in complete_fills(filler.fill(parts)):
            key = tuple(ids.tolist())
            sums[key] = sums.get(key, 0.0) + math.exp(weight) / runs
    expected = enumerated(parts, ends, 1.0)
    total = sum(sums.values())
    by_length = np.zeros(4)
    wanted = np.zeros(4)
    for key, share in expected.items():
        wanted[len(key)] += share
        by_length[len(key)] += sums.get(key, 0.0) / total
    np.testing.assert_allclose(by_length, wanted, atol=0.03)
    best = max(expected, key=lambda key: expected[key])
    assert sums[best] / total == pytest.approx(expected[best], abs=0.03)


def test_a_search_finds_the_most_probable_text() -> None:
    parts = PATTERNS[0]
    expected = enumerated(parts, False, 1.0)
    ours = found(Filler(MODEL, 5), parts)
    assert max(ours, key=lambda key: ours[key]) == max(expected, key=lambda key: expected[key])


def test_of_few_texts_all_are_kept_as_they_are() -> None:
    weights = np.array([0.0, -np.inf, -3.0])
    assert choose(weights, 2, np.random.default_rng(0)).tolist() == weights.tolist()


def test_of_many_texts_the_heavy_ones_stay_and_the_light_ones_are_drawn() -> None:
    weights = np.log([0.6, 0.1, 0.1, 0.1, 0.05, 0.05])
    mean = np.zeros(6)
    for seed in range(2000):
        chosen = choose(weights, 3, np.random.default_rng(seed))
        assert np.isfinite(chosen).sum() == 3
        assert chosen[0] == pytest.approx(weights[0])
        mean += np.exp(chosen) / 2000
    np.testing.assert_allclose(mean, np.exp(weights), atol=0.02)
    best = choose(weights, 3, None)
    assert np.flatnonzero(np.isfinite(best)).tolist() == [0, 1, 2]
