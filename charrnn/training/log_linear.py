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
from torch.nn.functional import nll_loss

BLOCK_CELLS = 1 << 18
"""Of so many probabilities the loss and its derivatives are computed at a time: the tables are all
that a fit keeps in memory."""
ITERATIONS = 30
TOLERANCE = 1e-7
"""Nats per position: a step that promises less is the last; rounding would hide what it brings."""
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

    def mean_loss(self, exponents: Tensor) -> float:
        """The mixture's loss with exponents (G, M), in nats per position."""
        return self.at(exponents).loss / len(self.targets)

    def at(self, exponents: Tensor) -> Point:
        """The loss and its derivatives with exponents (G, M).

        The exponents of one group do not affect positions of another.
        """
        loss, first = 0.0, torch.zeros_like(exponents)
        second = exponents.new_zeros(*exponents.shape, exponents.shape[1])
        for block in self._blocks():
            logs = block._log_shares(exponents)
            loss += float(nll_loss(logs, block.targets, reduction="sum"))
            slopes, covariances = block._moments(logs.exp())
            first.index_add_(0, block.groups, slopes)
            second.index_add_(0, block.groups, covariances)
        return Point(loss, first, second)

    def _log_shares(self, exponents: Tensor) -> Tensor:
        """The mixture's log-probabilities (N, K)."""
        chosen = exponents[self.groups]  # (N, M)
        logits = torch.einsum("nmk,nm->nk", self.members, chosen) + self.weights
        return logits.log_softmax(-1)

    def _moments(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """What each position adds to the derivatives (N, M), (N, M, M); `shares` are (N, K)."""
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


@dataclass(frozen=True)
class Point:
    """What Newton's method has to know of some exponents.

    Attributes:
        loss: in nats, summed over all positions.
        first, second: its derivatives by the exponents, (G, M) and (G, M, M).
    """

    loss: float
    first: Tensor
    second: Tensor

    def penalised(self, away: Tensor, penalty: float) -> Point:
        """The same with `penalty` times the squares of `away` (G, M) in the loss."""
        return Point(
            self.loss + penalty * float(away.square().sum()),
            self.first + 2 * penalty * away,
            self.second + 2 * penalty * torch.eye(away.shape[1], dtype=away.dtype),
        )


def best_exponents(
    mixture: LogLinear, centre: Tensor, penalty: float, start: Tensor | None = None
) -> Tensor:
    """The exponents (G, M) of lowest loss, `penalty` times squared distances to `centre` added.

    Newton's method (Boyd & Vandenberghe 2004, section 9.5) from `start`, or from `centre`; a step
    is halved until it lowers the loss.
    """

    def at(exponents: Tensor) -> Point:
        return mixture.at(exponents).penalised(exponents - centre, penalty)

    exponents = centre if start is None else start
    here = at(exponents)
    for _ in range(ITERATIONS):
        step: Tensor = torch.linalg.solve(here.second, here.first)
        if float((step * here.first).sum()) / 2 < TOLERANCE * len(mixture.targets):
            return exponents - step
        found = at(exponents - step)
        while not found.loss < here.loss and step.abs().max() > SMALLEST_STEP:  # also for NaN
            step = step / 2
            found = at(exponents - step)
        if not found.loss < here.loss:
            break
        exponents, here = exponents - step, found
    return exponents
