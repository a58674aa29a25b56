"""Fits the mixture of a network and an n-gram model, on text that neither has trained on.

Knows the mixture's form, not what the two models are. The fit is convex: its objective is the
cross-entropy of a log-linear model in its exponents.

Axes: N positions, V vocabulary entries, L lengths of context.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.inference.scoring import windows
from charrnn.models.interface import LanguageModel, State
from charrnn.models.mixture import Exponents
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents

MAX_POSITIONS = 40_000
MAX_CELLS = 1 << 23
"""N * V is at most about this: two tables of so many float32 are held."""
PULL = 20.0
"""How many positions' worth a length's exponents are drawn to those of all lengths together."""
TINY_PULL = 1e-3
"""Where nothing tells, the exponents stay where they begin."""
ITERATIONS = 30
SMALLEST_STEP = 1e-5


@dataclass(frozen=True)
class Fit:
    """A fitted mixture.

    Attributes:
        exponents: (L, 2).
        network, ngram, together: nats per character of each on the text of the fit.
        crossed: nats per character of each half of it, mixed as fitted on the other half.
    """

    exponents: Exponents
    network: float
    ngram: float
    together: float
    crossed: float

    def figures(self) -> dict[str, float]:
        """Nats per character: of each and of what is used, the mixture if it helps."""
        return {
            "network_nats_per_character": self.network,
            "ngram_nats_per_character": self.ngram,
            "nats_per_character": self.together if self.helps else self.network,
        }

    @property
    def helps(self) -> bool:
        """Whether the two are better than the network alone, on text they were not fitted on."""
        return self.crossed < self.network


def fit_mixture(network: LanguageModel, ngram: NgramModel, documents: Documents) -> Fit:
    """The exponents with which the two together predict `documents` best."""
    tables = _tables(network, ngram, documents)
    exponents = _fit(tables, ngram.order)
    half = len(tables.targets) // 2
    first, second = tables.part(slice(half)), tables.part(slice(half, None))
    crossed = first.loss(_fit(second, ngram.order)) + second.loss(_fit(first, ngram.order))
    index = tables.targets[:, None]
    return Fit(
        exponents=exponents.numpy().astype(np.float32),
        network=-float(tables.ours.gather(1, index).mean()),
        ngram=-float(tables.theirs.gather(1, index).mean()),
        together=float(tables.loss(exponents)) / len(index),
        crossed=float(crossed) / len(index),
    )


@dataclass(frozen=True)
class _Tables:
    """What the fit is made from.

    Attributes:
        ours, theirs: (N, V) log-probabilities of either model.
        matched: (N,) how much of the context the n-gram model knows.
        targets: (N,) what came.
    """

    ours: Tensor
    theirs: Tensor
    matched: Tensor
    targets: Tensor

    def part(self, which: slice) -> _Tables:
        """Some of the positions."""
        return _Tables(
            self.ours[which], self.theirs[which], self.matched[which], self.targets[which]
        )

    def pooled(self) -> _Tables:
        """The same, as if all lengths of context were one."""
        return replace(self, matched=torch.zeros_like(self.matched))

    def loss(self, exponents: Tensor) -> Tensor:
        """The mixture's nats, of all positions together."""
        return cross_entropy(self._mixed(exponents), self.targets, reduction="sum")

    def slopes(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """First (L, 2) and second (L, 2, 2) derivatives of the loss by the exponents.

        They are the means and covariances of the log-probabilities under the mixture, as for every
        log-linear model; a length's exponents have no effect on another's positions.
        """
        shares = self._mixed(exponents).softmax(-1)
        sides = torch.stack((self.ours, self.theirs), 1)  # (N, 2, V)
        means = torch.einsum("nsv,nv->ns", sides, shares)
        seen = sides.gather(2, self.targets[:, None, None].expand(-1, 2, 1))[..., 0]
        spread = (sides - means[..., None]) * shares.sqrt()[:, None]
        covariances = spread @ spread.transpose(1, 2)  # (N, 2, 2)
        first = torch.zeros_like(exponents).index_add_(0, self.matched, means - seen)
        second = exponents.new_zeros(len(exponents), 2, 2)
        return first, second.index_add_(0, self.matched, covariances)

    def _mixed(self, exponents: Tensor) -> Tensor:
        """Logits (N, V)."""
        chosen = exponents[self.matched]  # (N, 2)
        return self.ours * chosen[:, :1] + self.theirs * chosen[:, 1:]


def _fit(tables: _Tables, lengths: int) -> Tensor:
    """The best exponents (L, 2), drawn to those that are best for all lengths together."""
    common = _minimise(torch.full((1, 2), 0.5), tables.pooled(), TINY_PULL)
    return _minimise(common.repeat(lengths, 1), tables, PULL)


def _minimise(start: Tensor, tables: _Tables, pull: float) -> Tensor:
    """Newton's method, with steps halved until they lead downhill."""

    def objective(exponents: Tensor) -> float:
        return float(tables.loss(exponents) + pull * (exponents - start).square().sum())

    exponents, loss = start, objective(start)
    for _ in range(ITERATIONS):
        first, second = tables.slopes(exponents)
        first = first + 2 * pull * (exponents - start)
        second = second + 2 * pull * torch.eye(2)
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
    sample = _beginning(documents, max(1, min(MAX_POSITIONS, MAX_CELLS // ngram.vocabulary_size)))
    ours, theirs, matched, targets = [], [], [], []
    network_state: State = None
    ngram_state: State = None
    for window in windows(sample, ngram.vocabulary_size):
        network_state = window.enter(network, network_state)
        ngram_state = window.enter(ngram, ngram_state)
        predicted, network_state = network.forward(window.inputs, network_state)
        contexts, ngram_state = ngram.read(window.inputs, ngram_state)
        counted = contexts[window.counted]  # (N', L)
        ours.append(predicted[window.counted])
        theirs.append(ngram.predict(counted))
        matched.append(ngram.features(counted)[0])
        targets.append(sample.ids[window.positions[window.counted]].astype(np.int64))
    return _Tables(
        torch.from_numpy(np.concatenate(ours)),
        torch.from_numpy(np.concatenate(theirs)),
        torch.from_numpy(np.concatenate(matched)),
        torch.from_numpy(np.concatenate(targets)),
    )


def _beginning(documents: Documents, characters: int) -> Documents:
    """The first documents, and the beginning of one more, `characters` in all."""
    before = documents.lengths.cumsum() - documents.lengths
    lengths = np.clip(characters - before, 0, documents.lengths)
    kept = lengths > 0
    return Documents(documents.ids, documents.starts[kept], lengths[kept])
