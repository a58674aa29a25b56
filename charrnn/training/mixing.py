"""Fit the mixture of a network and an n-gram model, on text that neither was trained on.

Knows the form of the mixture, not how the two models work: a log-linear one (log_linear.py), with
exponents for each length of context that the n-gram model knows. The network's own temperature
(Guo et al. 2017, arXiv 1706.04599) is fitted in the same way: its inverse is the exponent of a
log-linear mixture with one member.

With a large vocabulary the sum over all characters that normalises the mixture is estimated from
CANDIDATES of them at each position: those that either model thinks probable, and a sample of the
others, each with the inverse of its chance as its weight (Horvitz & Thompson 1952). So memory
and the number of positions do not depend on the vocabulary.

The part of a long text that is held out is very like the text beside it: too easy for an n-gram
model that has counted that, and too hard for one that has not. The texts that a model is used on
lie between; so there may be several n-gram models, and the exponents suit all of them together.

Axes: N positions, V vocabulary entries, K candidates (V, at most CANDIDATES), L lengths of context,
M members of the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from charrnn.arrays import Array, Integers
from charrnn.inference.scoring import windows
from charrnn.models.interface import LanguageModel, LogProbabilities, State, Tokens
from charrnn.models.mixture import Exponents
from charrnn.models.ngram import Contexts, NgramModel
from charrnn.text.documents import Documents, systematic_sample
from charrnn.training.log_linear import LogLinear, best_exponents

MAX_POSITIONS = 40_000
MAX_CELLS = 1 << 23
"""N * K is at most about this: three float32 tables of that size are in memory. Each of several
n-gram models has as many of the positions."""
BLOCK_CELLS = 1 << 20
"""Of so many probabilities the candidates are chosen at a time."""
CANDIDATES = 512
"""A larger vocabulary is sampled."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, modulo 1, are evenly spread however many there are."""
PENALTY = 60.0
"""Weight of the quadratic penalty that pulls each length's exponents towards the common ones."""
TEMPERATURE_PENALTY = 20.0
"""Of the one that pulls the temperature towards 1."""
LEAST_EXPONENT = 0.1
"""Of the network alone, so its temperature is ten at most before shrinkage: where it is worse than
no prediction at all, the best would be negative, and turn its predictions round."""
COMMON_PENALTY = 1e-3
"""The penalty on the common exponents: keeps the problem solvable if the data determine none."""


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
        ngram, mixture: nats per character of each on the text of the fit; of several n-gram models,
            the mean.
        cross_validated: the same of the mixture when each half of the text is predicted with the
            exponents fitted on the other half.
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
    network: LanguageModel,
    ngrams: Sequence[NgramModel],
    documents: Documents,
    shrinkage: float = 1.0,
) -> Fit:
    """Fit the exponents with which the mixture predicts `documents` best.

    The cross-validated loss uses the first and the second half of the text as its two folds.

    Args:
        network: one member of the mixture.
        ngrams: the other; or several versions of it, to which `documents` are more and less like
            what they have counted. They share the exponents, and count alike.
        documents: text that no model was trained on.
        shrinkage: the fitted exponents are multiplied by this; below 1, probabilities are less
            extreme than those that are best for `documents`.
    """
    tables, order = _tables(network, ngrams, documents), ngrams[0].order
    fitted = _fit(tables, order)
    exponents = shrinkage * fitted.each

    def fit(part: LogLinear) -> Tensor:
        return shrinkage * _fit(part, order, near=fitted).each

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
    return _calibration(_tables(network, [None], documents), shrinkage)


def _calibration(tables: LogLinear, shrinkage: float) -> Calibration:
    alone, one = tables.only(0), torch.ones(1, 1)
    fitted = _inverse_temperature(alone)

    def fit(part: LogLinear) -> Tensor:
        return shrinkage * _inverse_temperature(part, near=fitted)

    # A sample of the vocabulary estimates differences better than losses.
    gain = alone.mean_loss(one) - _cross_validated(alone, fit)
    return Calibration(1 / (shrinkage * float(fitted)), tables.loss_alone(0) - gain)


def _inverse_temperature(alone: LogLinear, near: Tensor | None = None) -> Tensor:
    """The best exponent (1, 1) of one member, searched from `near`."""
    best = best_exponents(alone, torch.ones(1, 1), TEMPERATURE_PENALTY, near)
    return best.clamp(min=LEAST_EXPONENT)


def _cross_validated(tables: LogLinear, fit: Callable[[LogLinear], Tensor]) -> float:
    """Nats per character when each half is predicted with what was fitted on the other half."""
    half = len(tables.targets) // 2
    first, second = tables.part(slice(half)), tables.part(slice(half, None))
    total = first.at(fit(second)).loss + second.at(fit(first)).loss
    return total / len(tables.targets)


@dataclass(frozen=True)
class _Fitted:
    """Exponents for all lengths of context together (1, M), and for each (L, M)."""

    common: Tensor
    each: Tensor


def _fit(tables: LogLinear, lengths: int, near: _Fitted | None = None) -> _Fitted:
    """The best exponents, each length's pulled towards the common ones; searched from `near`."""
    prior = torch.full((1, tables.members.shape[1]), 0.5)
    start = (None, None) if near is None else (near.common, near.each)
    common = best_exponents(tables.pooled(), prior, COMMON_PENALTY, start[0])
    centre = common.repeat(lengths, 1)
    return _Fitted(common, best_exponents(tables, centre, PENALTY, start[1]))


def positions_of_fit(characters: int, vocabulary: int, models: int = 1) -> int:
    """How many of the held-out characters a mixture with so many n-gram models is fitted on."""
    return min(characters, min(MAX_POSITIONS, MAX_CELLS // min(CANDIDATES, vocabulary)) // models)


def cells_of_fit(characters: int, vocabulary: int) -> int:
    """How many probabilities each model's table has then, at most: N * K."""
    return positions_of_fit(characters, vocabulary) * min(CANDIDATES, vocabulary)


def choices_of_fit(characters: int, vocabulary: int) -> int:
    """From how many probabilities those cells are chosen: N * V; 0 if all of them are taken."""
    return positions_of_fit(characters, vocabulary) * vocabulary if vocabulary > CANDIDATES else 0


def _tables(
    network: LanguageModel, ngrams: Sequence[NgramModel | None], documents: Documents
) -> LogLinear:
    """What the models say of each position, with one n-gram model after the other."""
    most = positions_of_fit(documents.characters, network.vocabulary_size, len(ngrams))
    sample = documents.subsample(most)
    pieces = zip(*_predictions(network, ngrams, sample), strict=True)
    *columns, positions = (torch.from_numpy(np.concatenate(each)) for each in pieces)
    # Windows contain distant segments: restore the order of the text.
    return LogLinear(*columns).part(positions.argsort(stable=True))


def _predictions(
    network: LanguageModel, ngrams: Sequence[NgramModel | None], documents: Documents
) -> Iterator[tuple[Array, ...]]:
    """The columns of LogLinear in pieces, and the positions that they belong to."""
    network_state: State = None
    ngram_states: list[State] = [None] * len(ngrams)
    for window in windows(documents, network.vocabulary_size):
        network_state = window.enter(network, network_state)
        predicted, network_state = network.forward(window.inputs, network_state)
        network_side = predicted[window.counted]  # (N', V)
        positions = window.positions[window.counted]
        targets = documents.ids[positions].astype(np.int64)
        for number, ngram in enumerate(ngrams):
            contexts = None
            if ngram is not None:
                state = window.enter(ngram, ngram_states[number])
                read, ngram_states[number] = ngram.read(window.inputs, state)
                contexts = read[window.counted]  # (N', L)
            for rows in _blocks(*network_side.shape):
                side = None if contexts is None else contexts[rows]
                columns = _columns(network_side[rows], ngram, side, targets[rows], positions[rows])
                yield *columns, positions[rows]


def _blocks(positions: int, vocabulary: int) -> Iterator[slice]:
    size = max(1, BLOCK_CELLS // vocabulary)
    return (slice(at, at + size) for at in range(0, positions, size))


def _columns(
    network_side: LogProbabilities,
    ngram: NgramModel | None,
    contexts: Contexts | None,
    targets: Tokens,
    positions: Integers,
) -> tuple[Array, ...]:
    """The columns of LogLinear for some positions, given what the network predicts there (N, V)."""
    members, matched = [network_side], np.zeros(len(targets), np.int64)
    if ngram is not None and contexts is not None:
        members.append(ngram.predict(contexts))
        matched = ngram.matched(contexts)
    shares, weights, columns = _candidates(members, targets, positions)
    return shares, weights, matched, columns


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
