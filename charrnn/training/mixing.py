"""Fit the mixture of a network and an n-gram model, on text that neither was trained on.

Knows the form of the mixture, not how the two models work. The objective is convex: the
cross-entropy of a log-linear model, as a function of its exponents.

With a large vocabulary the sum over all characters that normalises the mixture is estimated from
CANDIDATES of them at each position: those that either model thinks probable, and a sample of the
others, each with the inverse of its chance as its weight (Horvitz & Thompson 1952). So memory
and the number of positions do not depend on the vocabulary.

Axes: N positions, V vocabulary entries, K candidates (V, at most CANDIDATES), L lengths of context.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
CANDIDATES = 512
"""A larger vocabulary is sampled."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, modulo 1, are evenly spread however many there are."""
PENALTY = 20.0
"""Weight of the quadratic penalty that pulls each length's exponents towards the common ones."""
COMMON_PENALTY = 1e-3
"""The penalty on the common exponents: keeps the problem solvable if the data determine none."""
ITERATIONS = 30
SMALLEST_STEP = 1e-5


@dataclass(frozen=True)
class Fit:
    """A fitted mixture.

    Attributes:
        exponents: (L, 2).
        network, ngram, mixture: nats per character of each on the text of the fit.
        cross_validated: nats per character of the mixture when each half of the text is predicted
            with the exponents fitted on the other half.
    """

    exponents: Exponents
    network: float
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
    def helps(self) -> bool:
        """Whether the mixture, cross-validated, is better than the network alone."""
        return self.cross_validated < self.network


def fit_mixture(network: LanguageModel, ngram: NgramModel, documents: Documents) -> Fit:
    """Fit the exponents with which the mixture predicts `documents` best.

    The cross-validated loss uses the first and the second half of the text as its two folds.
    """
    tables = _tables(network, ngram, documents)
    exponents = _fit(tables, ngram.order)
    half = len(tables.targets) // 2
    first, second = tables.part(slice(half)), tables.part(slice(half, None))
    total = first.loss(_fit(second, ngram.order)) + second.loss(_fit(first, ngram.order))
    index = tables.targets[:, None]
    return Fit(
        exponents=exponents.numpy().astype(np.float32),
        network=-float(tables.network.gather(1, index).mean()),
        ngram=-float(tables.ngram.gather(1, index).mean()),
        mixture=float(tables.loss(exponents)) / len(index),
        cross_validated=float(total) / len(index),
    )


@dataclass(frozen=True)
class _Tables:
    """Both models' predictions, in the order of the text.

    Attributes:
        network, ngram: (N, K) log-probabilities of the candidates.
        weights: (N, K) or (N, 1) logarithm of how many characters each candidate stands for.
        matched: (N,) how many characters of the context the n-gram model knows.
        targets: (N,) which candidate follows.
    """

    network: Tensor
    ngram: Tensor
    weights: Tensor
    matched: Tensor
    targets: Tensor

    def part(self, which: slice | Tensor) -> _Tables:
        """These positions."""
        return _Tables(*(getattr(self, each.name)[which] for each in fields(self)))

    def pooled(self) -> _Tables:
        """The same, as if all lengths of context were the same."""
        return replace(self, matched=torch.zeros_like(self.matched))

    def loss(self, exponents: Tensor) -> Tensor:
        """The mixture's loss in nats, summed over all positions."""
        return cross_entropy(self._mixed(exponents), self.targets, reduction="sum")

    def derivatives(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """First (L, 2) and second (L, 2, 2) derivatives of the loss by the exponents.

        As for every log-linear model, they are given by the means and covariances of the
        log-probabilities under the mixture; the exponents of one length do not affect positions
        of another.
        """
        shares = self._mixed(exponents).softmax(-1)
        sides = torch.stack((self.network, self.ngram), 1)  # (N, 2, K)
        means = torch.einsum("nsv,nv->ns", sides, shares)
        seen = sides.gather(2, self.targets[:, None, None].expand(-1, 2, 1))[..., 0]
        spread = (sides - means[..., None]) * shares.sqrt()[:, None]
        covariances = spread @ spread.transpose(1, 2)  # (N, 2, 2)
        first = torch.zeros_like(exponents).index_add_(0, self.matched, means - seen)
        second = exponents.new_zeros(len(exponents), 2, 2)
        return first, second.index_add_(0, self.matched, covariances)

    def _mixed(self, exponents: Tensor) -> Tensor:
        """Logits (N, K)."""
        chosen = exponents[self.matched]  # (N, 2)
        return self.network * chosen[:, :1] + self.ngram * chosen[:, 1:] + self.weights


def _fit(tables: _Tables, lengths: int) -> Tensor:
    """The best exponents (L, 2), pulled towards the pair that is best for all lengths together."""
    common = _minimise(torch.full((1, 2), 0.5), tables.pooled(), COMMON_PENALTY)
    return _minimise(common.repeat(lengths, 1), tables, PENALTY)


def _minimise(start: Tensor, tables: _Tables, penalty: float) -> Tensor:
    """Newton's method; a step is halved until it lowers the loss."""

    def objective(exponents: Tensor) -> float:
        return float(tables.loss(exponents) + penalty * (exponents - start).square().sum())

    exponents, loss = start, objective(start)
    for _ in range(ITERATIONS):
        first, second = tables.derivatives(exponents)
        first = first + 2 * penalty * (exponents - start)
        second = second + 2 * penalty * torch.eye(2)
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


def _tables(network: LanguageModel, ngram: NgramModel, documents: Documents) -> _Tables:
    most = min(MAX_POSITIONS, MAX_CELLS // min(CANDIDATES, ngram.vocabulary_size))
    sample = documents.subsample(most)
    pieces = zip(*_predictions(network, ngram, sample), strict=True)
    *columns, positions = (torch.from_numpy(np.concatenate(each)) for each in pieces)
    # Windows contain distant segments: restore the order of the text.
    return _Tables(*columns).part(positions.argsort())


def _predictions(
    network: LanguageModel, ngram: NgramModel, documents: Documents
) -> Iterator[tuple[Array, ...]]:
    """The columns of _Tables in pieces, and the positions that they belong to."""
    size = max(1, BLOCK_CELLS // ngram.vocabulary_size)
    network_state: State = None
    ngram_state: State = None
    for window in windows(documents, ngram.vocabulary_size):
        network_state = window.enter(network, network_state)
        ngram_state = window.enter(ngram, ngram_state)
        predicted, network_state = network.forward(window.inputs, network_state)
        contexts, ngram_state = ngram.read(window.inputs, ngram_state)
        counted = contexts[window.counted]  # (N', L)
        positions = window.positions[window.counted]
        targets = documents.ids[positions].astype(np.int64)
        network_side = predicted[window.counted]
        for at in range(0, len(targets), size):
            rows = slice(at, at + size)
            sides = network_side[rows], ngram.predict(counted[rows])
            *tables, columns = _candidates(*sides, targets[rows], positions[rows])
            yield *tables, ngram.matched(counted[rows]), columns, positions[rows]


def _candidates(
    network: LogProbabilities, ngram: LogProbabilities, targets: Tokens, positions: Integers
) -> tuple[Array, ...]:
    """Some characters of each position, those that follow (N,) among them.

    `network` and `ngram` are (N, V); `positions` (N,) choose different samples.

    Returns:
        their log-probabilities (N, K), twice; the logarithms of their weights (N, K) or (N, 1);
        where among them the character is that follows (N,).
    """
    count, size = network.shape
    if size <= CANDIDATES:
        return network, ngram, np.zeros((count, 1), np.float32), targets
    # One more is the character that follows, and one is for rounding up.
    chances = np.exp(network, dtype=np.float64) + np.exp(ngram, dtype=np.float64)
    chances = np.minimum(chances * ((CANDIDATES - 2) / 2), 1, out=chances)
    chances[np.arange(count), targets] = 1
    drawn = systematic_sample(chances, (positions * GOLDEN % 1)[:, None])
    row, character = drawn.nonzero()
    ranks = drawn.cumsum(axis=1) - 1
    place = row, ranks[row, character]
    tables = [np.zeros((count, CANDIDATES), np.float32) for _ in range(3)]
    tables[2][:] = -np.inf  # an empty place
    values = network[drawn], ngram[drawn], -np.log(chances[drawn])
    for table, column in zip(tables, values, strict=True):
        table[place] = column
    return *tables, ranks[np.arange(count), targets]
