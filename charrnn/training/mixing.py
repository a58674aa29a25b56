"""Fit the mixture of a network and an n-gram model, on text that neither was trained on.

Knows the form of the mixture, not how the two models work. The objective is convex: the
cross-entropy of a log-linear model, as a function of its exponents. The network's own temperature
(Guo et al. 2017, arXiv 1706.04599) is fitted in the same way: its inverse is the exponent of a
log-linear model with one member.

With a large vocabulary the sum over all characters that normalises the mixture is estimated from
CANDIDATES of them at each position: those that either model thinks probable, and a sample of the
others, each with the inverse of its chance as its weight (Horvitz & Thompson 1952). So memory
and the number of positions do not depend on the vocabulary.

Axes: N positions, V vocabulary entries, K candidates (V, at most CANDIDATES), L lengths of context,
M members of the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.arrays import Array, Integers
from charrnn.inference.scoring import windows
from charrnn.models.interface import LanguageModel, LogProbabilities, State, Tokens
from charrnn.models.mixture import Exponents
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents, systematic_sample

MAX_POSITIONS = 40_000
MAX_CELLS = 1 << 23
"""N * K is at most about this: three float32 tables of that size are in memory."""
BLOCK_CELLS = 1 << 20
"""Of so many probabilities the candidates are chosen at a time."""
FIT_CELLS = 1 << 18
"""Of so many, the loss and its derivatives are computed at a time: the tables are all that a fit
keeps in memory."""
CANDIDATES = 512
"""A larger vocabulary is sampled."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, modulo 1, are evenly spread however many there are."""
PENALTY = 20.0
"""Weight of the quadratic penalty that pulls each length's exponents towards the common ones, and
the temperature towards 1."""
COMMON_PENALTY = 1e-3
"""The penalty on the common exponents: keeps the problem solvable if the data determine none."""
ITERATIONS = 30
SMALLEST_STEP = 1e-5


@dataclass(frozen=True)
class Calibration:
    """A network's fitted temperature.

    Attributes:
        temperature: its logits are to be divided by this.
        nats_per_character: with it, when each half of the text is predicted with the temperature
            fitted on the other half.
    """

    temperature: float
    nats_per_character: float


@dataclass(frozen=True)
class Fit:
    """A fitted mixture.

    Attributes:
        exponents: (L, 2), for the network before its calibration.
        calibration: of the network alone.
        ngram, mixture: nats per character of each on the text of the fit.
        cross_validated: nats per character of the mixture when each half of the text is predicted
            with the exponents fitted on the other half.
    """

    exponents: Exponents
    calibration: Calibration
    ngram: float
    mixture: float
    cross_validated: float

    def figures(self) -> dict[str, float]:
        """Nats per character of each model alone, and of the model that is saved.

        That is the mixture (cross-validated), or the network alone if the mixture does not help.
        """
        return {
            "network_nats_per_character": self.network,
            "ngram_nats_per_character": self.ngram,
            "nats_per_character": self.cross_validated if self.helps else self.network,
        }

    @property
    def network(self) -> float:
        """Nats per character of the calibrated network alone."""
        return self.calibration.nats_per_character

    @property
    def calibrated_exponents(self) -> Exponents:
        """(L, 2), with which the calibrated network is in the same mixture."""
        scale = np.array([self.calibration.temperature, 1], np.float32)
        return self.exponents * scale

    @property
    def helps(self) -> bool:
        """Whether the mixture, cross-validated, is better than the network alone."""
        return self.cross_validated < self.network


def fit_mixture(
    network: LanguageModel, ngram: NgramModel, documents: Documents, shrinkage: float = 1.0
) -> Fit:
    """Fit the exponents with which the mixture predicts `documents` best.

    The cross-validated loss uses the first and the second half of the text as its two folds.

    Args:
        network, ngram: the members of the mixture.
        documents: text that neither was trained on.
        shrinkage: the fitted exponents are multiplied by this; below 1, probabilities are less
            extreme than those that are best for `documents`.
    """
    tables = _tables(network, ngram, documents)

    def fit(part: _Tables) -> Tensor:
        return shrinkage * _fit(part, ngram.order)

    exponents = fit(tables)
    return Fit(
        exponents=exponents.numpy().astype(np.float32),
        calibration=_calibration(tables, shrinkage),
        ngram=tables.loss_alone(1),
        mixture=tables.mean_loss(exponents),
        cross_validated=_cross_validated(tables, fit),
    )


def calibrate(
    network: LanguageModel, documents: Documents, shrinkage: float = 1.0
) -> Calibration:
    """Fit the temperature with which the network alone predicts `documents` best.

    `shrinkage`: see `fit_mixture`; the temperature is divided by it.
    """
    return _calibration(_tables(network, None, documents), shrinkage)


def _calibration(tables: _Tables, shrinkage: float) -> Calibration:
    def fit(part: _Tables) -> Tensor:
        return shrinkage * _minimise(torch.ones(1, 1), part, PENALTY)

    alone = tables.only(0)
    # A sample of the vocabulary estimates differences better than losses.
    gain = alone.mean_loss(torch.ones(1, 1)) - _cross_validated(alone, fit)
    return Calibration(1 / float(fit(alone)), tables.loss_alone(0) - gain)


def _cross_validated(tables: _Tables, fit: Callable[[_Tables], Tensor]) -> float:
    """Nats per character when each half is predicted with what was fitted on the other half."""
    half = len(tables.targets) // 2
    first, second = tables.part(slice(half)), tables.part(slice(half, None))
    total = first.loss(fit(second)) + second.loss(fit(first))
    return float(total) / len(tables.targets)


@dataclass(frozen=True)
class _Tables:
    """The models' predictions, in the order of the text.

    Attributes:
        members: (N, M, K) each model's log-probabilities of the candidates; the network is first.
        weights: (N, K) or (N, 1) logarithm of how many characters each candidate stands for.
        matched: (N,) how many characters of the context the n-gram model knows.
        targets: (N,) which candidate follows.
    """

    members: Tensor
    weights: Tensor
    matched: Tensor
    targets: Tensor

    def part(self, which: slice | Tensor) -> _Tables:
        """These positions."""
        return _Tables(*(getattr(self, each.name)[which] for each in fields(self)))

    def only(self, member: int) -> _Tables:
        """This member alone, whatever the context."""
        return replace(self, members=self.members[:, member : member + 1]).pooled()

    def loss_alone(self, member: int) -> float:
        """This member's own loss in nats per character."""
        index = self.targets[:, None]
        return -float(self.members[:, member].gather(1, index).mean())

    def pooled(self) -> _Tables:
        """The same, as if all lengths of context were the same."""
        return replace(self, matched=torch.zeros_like(self.matched))

    def loss(self, exponents: Tensor) -> Tensor:
        """The mixture's loss in nats, summed over all positions."""
        total = exponents.new_zeros(())
        for block in self._blocks():
            total += cross_entropy(block._mixed(exponents), block.targets, reduction="sum")
        return total

    def mean_loss(self, exponents: Tensor) -> float:
        """The mixture's loss in nats per character."""
        return float(self.loss(exponents)) / len(self.targets)

    def derivatives(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """First (L, M) and second (L, M, M) derivatives of the loss by the exponents.

        As for every log-linear model, they are given by the means and covariances of the
        log-probabilities under the mixture; the exponents of one length do not affect positions
        of another.
        """
        first = torch.zeros_like(exponents)
        second = exponents.new_zeros(*exponents.shape, exponents.shape[1])
        for block in self._blocks():
            slopes, covariances = block._moments(exponents)
            first.index_add_(0, block.matched, slopes)
            second.index_add_(0, block.matched, covariances)
        return first, second

    def _moments(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """What each position adds to the derivatives (N, M), (N, M, M)."""
        shares = self._mixed(exponents).softmax(-1)
        means = torch.einsum("nmk,nk->nm", self.members, shares)
        wanted = self.targets[:, None, None].expand(-1, self.members.shape[1], 1)
        seen = self.members.gather(2, wanted)[..., 0]
        spread = (self.members - means[..., None]) * shares.sqrt()[:, None]
        return means - seen, spread @ spread.transpose(1, 2)

    def _blocks(self) -> Iterator[_Tables]:
        """All positions in order, some at a time."""
        size = max(1, FIT_CELLS // math.prod(self.members.shape[1:]))
        for at in range(0, len(self.targets), size):
            yield self.part(slice(at, at + size))

    def _mixed(self, exponents: Tensor) -> Tensor:
        """Logits (N, K)."""
        chosen = exponents[self.matched]  # (N, M)
        return torch.einsum("nmk,nm->nk", self.members, chosen) + self.weights


def _fit(tables: _Tables, lengths: int) -> Tensor:
    """The best exponents (L, M), pulled towards those that are best for all lengths together."""
    start = torch.full((1, tables.members.shape[1]), 0.5)
    common = _minimise(start, tables.pooled(), COMMON_PENALTY)
    return _minimise(common.repeat(lengths, 1), tables, PENALTY)


def _minimise(start: Tensor, tables: _Tables, penalty: float) -> Tensor:
    """Newton's method; a step is halved until it lowers the loss."""

    def objective(exponents: Tensor) -> float:
        return float(tables.loss(exponents) + penalty * (exponents - start).square().sum())

    exponents, loss = start, objective(start)
    for _ in range(ITERATIONS):
        first, second = tables.derivatives(exponents)
        first = first + 2 * penalty * (exponents - start)
        second = second + 2 * penalty * torch.eye(start.shape[1])
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


def _tables(network: LanguageModel, ngram: NgramModel | None, documents: Documents) -> _Tables:
    most = min(MAX_POSITIONS, MAX_CELLS // min(CANDIDATES, network.vocabulary_size))
    sample = documents.subsample(most)
    pieces = zip(*_predictions(network, ngram, sample), strict=True)
    *columns, positions = (torch.from_numpy(np.concatenate(each)) for each in pieces)
    # Windows contain distant segments: restore the order of the text.
    return _Tables(*columns).part(positions.argsort())


def _predictions(
    network: LanguageModel, ngram: NgramModel | None, documents: Documents
) -> Iterator[tuple[Array, ...]]:
    """The columns of _Tables in pieces, and the positions that they belong to."""
    size = max(1, BLOCK_CELLS // network.vocabulary_size)
    network_state: State = None
    ngram_state: State = None
    for window in windows(documents, network.vocabulary_size):
        network_state = window.enter(network, network_state)
        predicted, network_state = network.forward(window.inputs, network_state)
        network_side, counted = predicted[window.counted], None
        if ngram is not None:
            ngram_state = window.enter(ngram, ngram_state)
            contexts, ngram_state = ngram.read(window.inputs, ngram_state)
            counted = contexts[window.counted]  # (N', L)
        positions = window.positions[window.counted]
        targets = documents.ids[positions].astype(np.int64)
        for at in range(0, len(targets), size):
            rows = slice(at, at + size)
            members, matched = [network_side[rows]], np.zeros(len(targets[rows]), np.int64)
            if ngram is not None and counted is not None:
                members.append(ngram.predict(counted[rows]))
                matched = ngram.matched(counted[rows])
            *tables, columns = _candidates(members, targets[rows], positions[rows])
            yield *tables, matched, columns, positions[rows]


def _candidates(
    members: Sequence[LogProbabilities], targets: Tokens, positions: Integers
) -> tuple[Array, ...]:
    """Some characters of each position, those that follow (N,) among them.

    `members` are M tables (N, V); `positions` (N,) choose different samples.

    Returns:
        their log-probabilities (N, M, K); the logarithms of their weights (N, K) or (N, 1); where
        among them the character is that follows (N,).
    """
    count, size = members[0].shape
    if size <= CANDIDATES:
        return np.stack(members, axis=1), np.zeros((count, 1), np.float32), targets
    # One more is the character that follows, and one is for rounding up.
    chances = sum(np.exp(each, dtype=np.float64) for each in members)
    chances = np.minimum(chances * ((CANDIDATES - 2) / len(members)), 1)
    chances[np.arange(count), targets] = 1
    drawn = systematic_sample(chances, (positions * GOLDEN % 1)[:, None])
    row, character = drawn.nonzero()
    ranks = drawn.cumsum(axis=1) - 1
    place = row, ranks[row, character]
    tables = np.zeros((len(members) + 1, count, CANDIDATES), np.float32)
    tables[-1] = -np.inf  # an empty place
    for table, column in zip(tables, (*members, -np.log(chances)), strict=True):
        table[place] = column[drawn]
    return tables[:-1].swapaxes(0, 1), tables[-1], ranks[np.arange(count), targets]
