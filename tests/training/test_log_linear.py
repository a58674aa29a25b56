"""Fits of log-linear mixtures, against figures worked by hand and against autograd."""

from __future__ import annotations

import math
from dataclasses import astuple
from functools import partial

import pytest
import torch
from torch import Tensor

from charrnn.training import log_linear
from charrnn.training.log_linear import LogLinear, best_exponents


def mixture(
    members: Tensor, targets: list[int], groups: list[int] | None = None, weights: float = 0.0
) -> LogLinear:
    count = len(targets)
    found = torch.tensor(groups or [0] * count)
    return LogLinear(members, torch.full((count, 1), weights), found, torch.tensor(targets))


def coin(heads: int, tails: int) -> LogLinear:
    """One member, sure to 3/4 of heads; so many of each were seen."""
    said = torch.tensor([0.75, 0.25], dtype=torch.float64).log()
    return mixture(said.expand(heads + tails, 1, 2), [0] * heads + [1] * tails)


def random_mixture(seed: int) -> LogLinear:
    """40 positions in two groups, three members, five candidates."""
    generator = torch.Generator().manual_seed(seed)
    said = torch.randn(40, 3, 5, generator=generator, dtype=torch.float64).log_softmax(-1)
    targets = torch.randint(5, (40,), generator=generator).tolist()
    return mixture(said, targets, [n % 2 for n in range(40)])


def plain_loss(some: LogLinear, exponents: Tensor) -> Tensor:
    """Summed over positions, in the plainest way."""
    total = torch.zeros((), dtype=torch.float64)
    for members, weights, group, target in zip(
        some.members, some.weights, some.groups, some.targets, strict=True
    ):
        powers = exponents[group][:, None] * members  # (M, K)
        total = total - (powers.sum(0) + weights).log_softmax(0)[target]
    return total


def test_a_power_sharpens() -> None:
    """(3/4)^2 : (1/4)^2 is 9 : 1."""
    for exponent, share in ((0, 1 / 2), (1, 3 / 4), (2, 9 / 10)):
        exponents = torch.full((1, 1), float(exponent), dtype=torch.float64)
        assert coin(1, 0).mean_loss(exponents) == pytest.approx(-math.log(share))
    assert coin(3, 1).loss_alone(0) == pytest.approx(-(3 * math.log(3 / 4) + math.log(1 / 4)) / 4)


def test_a_candidate_that_stands_for_three_counts_three_times() -> None:
    weighted = LogLinear(
        members=torch.tensor([[[0.5, 0.25]]]).log(),
        weights=torch.tensor([[1.0, 3.0]]).log(),
        groups=torch.tensor([0]),
        targets=torch.tensor([0]),
    )
    assert weighted.mean_loss(torch.ones(1, 1)) == pytest.approx(math.log(5 / 2))


def test_the_derivatives_are_those_of_the_loss() -> None:
    some = random_mixture(1)
    at = torch.tensor([[0.5, 0.2, 0.9], [1.0, -0.3, 0.1]], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(plain_loss(some, at), at)
    second = torch.autograd.functional.hessian(partial(plain_loss, some), at)
    found = some.at(at.detach())
    assert found.loss == pytest.approx(plain_loss(some, at).item())
    torch.testing.assert_close(found.first, first)
    for group in range(2):
        torch.testing.assert_close(found.second[group], second[group, :, group])
        assert not second[group, :, 1 - group].any()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    at = torch.full((2, 3), 0.4, dtype=torch.float64)
    some = random_mixture(2)
    whole = astuple(some.at(at))
    monkeypatch.setattr(log_linear, "BLOCK_CELLS", 7 * 15)
    torch.testing.assert_close(astuple(some.at(at)), whole)


@pytest.mark.parametrize(
    ("heads", "tails", "exponent"),
    [(30, 10, 1.0), (20, 20, 0.0), (36, 4, 2.0), (10, 30, -1.0)],
)
def test_the_best_exponent_gives_the_frequencies(heads: int, tails: int, exponent: float) -> None:
    start = torch.full((1, 1), 0.5, dtype=torch.float64)
    found = best_exponents(coin(heads, tails), start, 0.0)
    assert float(found) == pytest.approx(exponent, abs=1e-4)


def test_a_penalty_holds_the_exponents_at_the_start() -> None:
    some, start = random_mixture(3), torch.full((2, 3), 0.5, dtype=torch.float64)
    distances = [
        float((best_exponents(some, start, penalty) - start).abs().max())
        for penalty in (0.0, 10.0, 1e9)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-6


def test_a_step_too_far_is_halved() -> None:
    """From so sharp a start, the second derivative is almost nothing and Newton's step is vast."""
    start = torch.full((1, 1), 30.0, dtype=torch.float64)
    found = best_exponents(coin(30, 10), start, 1e-9)
    assert float(found) == pytest.approx(1, abs=0.01)


def test_the_same_is_found_from_anywhere() -> None:
    some, centre = random_mixture(4), torch.full((2, 3), 0.5, dtype=torch.float64)
    expected = best_exponents(some, centre, 1.0)
    for start in (expected, centre + 3, centre - 3):
        found = best_exponents(some, centre, 1.0, start)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_members_that_say_the_same_share_the_exponent() -> None:
    """Without a penalty the problem would have no single solution."""
    one = coin(36, 4)
    twice = LogLinear(one.members.repeat(1, 2, 1), one.weights, one.groups, one.targets)
    start = torch.full((1, 2), 0.5, dtype=torch.float64)
    assert best_exponents(twice, start, 1e-6)[0].tolist() == pytest.approx([1, 1], abs=1e-3)
