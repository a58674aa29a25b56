"""Log-linear mixtures, fitted: products of models' probabilities, each to a power.

P(k) is proportional to w_k * p_1(k)^e_1 * ... * p_M(k)^e_M. The loss, as a function of the
exponents e, is convex, and its derivatives are the means and covariances of the log-probabilities
under the mixture; so Newton's method finds the best exponents in a few steps.

Axes: N positions, G groups of positions, M members, K candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

BLOCK_CELLS = 1 << 18
"""Of so many probabilities the loss and its derivatives are computed at a time: the tables are all
that a fit keeps in memory."""
ITERATIONS = 30
SMALLEST_STEP = 1e-5


@dataclass(frozen=True)
class LogLinear:
    """What some models say of each position, and what was there.

    Attributes:
        members: (N, M, K) each model's log-probabilities of the candidates.
        weights: (N, K) or (N, 1) logarithm of how many outcomes each candidate stands for.
        groups: (N,) each group has exponents of its own.
        targets: (N,) which candidate it was.
    """

    members: Tensor
    weights: Tensor
    groups: Tensor
    targets: Tensor

    def part(self, which: slice | Tensor) -> LogLinear:
        """These positions."""
        return LogLinear(*(getattr(self, each.name)[which] for each in fields(self)))

    def only(self, member: int) -> LogLinear:
        """This member alone, in one group."""
        return replace(self, members=self.members[:, member : member + 1]).pooled()

    def pooled(self) -> LogLinear:
        """The same in one group."""
        return replace(self, groups=torch.zeros_like(self.groups))

    def loss_alone(self, member: int) -> float:
        """This member's own loss in nats per position."""
        index = self.targets[:, None]
        return -float(self.members[:, member].gather(1, index).mean())

    def loss(self, exponents: Tensor) -> Tensor:
        """The mixture's loss with exponents (G, M), in nats, summed over all positions."""
        total = exponents.new_zeros(())
        for block in self._blocks():
            total += cross_entropy(block.logits(exponents), block.targets, reduction="sum")
        return total

    def mean_loss(self, exponents: Tensor) -> float:
        """The mixture's loss in nats per position."""
        return float(self.loss(exponents)) / len(self.targets)

    def logits(self, exponents: Tensor) -> Tensor:
        """The mixture's, (N, K)."""
        chosen = exponents[self.groups]  # (N, M)
        return torch.einsum("nmk,nm->nk", self.members, chosen) + self.weights

    def derivatives(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """First (G, M) and second (G, M, M) derivatives of the loss by the exponents.

        The exponents of one group do not affect positions of another.
        """
        first = torch.zeros_like(exponents)
        second = exponents.new_zeros(*exponents.shape, exponents.shape[1])
        for block in self._blocks():
            slopes, covariances = block._moments(exponents)
            first.index_add_(0, block.groups, slopes)
            second.index_add_(0, block.groups, covariances)
        return first, second

    def _moments(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """What each position adds to the derivatives (N, M), (N, M, M)."""
        shares = self.logits(exponents).softmax(-1)
        means = torch.einsum("nmk,nk->nm", self.members, shares)
        wanted = self.targets[:, None, None].expand(-1, self.members.shape[1], 1)
        seen = self.members.gather(2, wanted)[..., 0]
        spread = (self.members - means[..., None]) * shares.sqrt()[:, None]
        return means - seen, spread @ spread.transpose(1, 2)

    def _blocks(self) -> Iterator[LogLinear]:
        """All positions in order, some at a time."""
        size = max(1, BLOCK_CELLS // math.prod(self.members.shape[1:]))
        for at in range(0, len(self.targets), size):
            yield self.part(slice(at, at + size))


def best_exponents(mixture: LogLinear, start: Tensor, penalty: float) -> Tensor:
    """The exponents (G, M) of lowest loss, `penalty` times squared distances to `start` added.

    Newton's method (Boyd & Vandenberghe 2004, section 9.5); a step is halved until it lowers the
    loss.
    """

    def objective(exponents: Tensor) -> float:
        return float(mixture.loss(exponents) + penalty * (exponents - start).square().sum())

    exponents, loss = start, objective(start)
    for _ in range(ITERATIONS):
        first, second = mixture.derivatives(exponents)
        first = first + 2 * penalty * (exponents - start)
        second = second + 2 * penalty * torch.eye(start.shape[1], dtype=start.dtype)
        step = torch.linalg.solve(second, first)
        found = objective(exponents - step)
        while not found < loss and step.abs().max() > SMALLEST_STEP:  # not true for NaN, either
            step = step / 2
            found = objective(exponents - step)
        if not found < loss:
            break
        exponents, loss = exponents - step, found
        if step.abs().max() < SMALLEST_STEP:
            break
    return exponents
