"""Several networks of the same sizes as one LanguageModel.

Their log-probabilities are averaged and normalised again: p(c) is proportional to the geometric
mean of what the networks say. Trained alike, from other random numbers, they are equally good, so
each has the same weight.

The average of the logits gives the same, so on a CPU the networks are one product of stacked
matrices for each layer, and there is one softmax.

Axes: K networks, B texts, T positions, V vocabulary entries, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Floats
from charrnn.models.architecture import Architecture
from charrnn.models.interface import (
    LanguageModel,
    LogProbabilities,
    Rows,
    State,
    Tokens,
    log_sum_exp,
)
from charrnn.models.numpy_rnn import NumpyRNN

EnsembleState: TypeAlias = tuple[State, ...]
"""The state of each network."""


def average(members: Sequence[LogProbabilities]) -> LogProbabilities:
    """The normalised geometric mean of what the networks predict, (..., V) each."""
    mean: LogProbabilities = np.mean(members, axis=0, dtype=np.float32)
    mean -= log_sum_exp(mean)
    return mean


class Ensemble:
    """LanguageModels with the same vocabulary as one, whatever computes them."""

    def __init__(self, members: Sequence[LanguageModel]) -> None:
        self._members = members

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._members[0].vocabulary_size

    def initial_state(self, batch: int) -> EnsembleState:
        """The states for `batch` texts."""
        return tuple(member.initial_state(batch) for member in self._members)

    def select(self, state: EnsembleState, rows: Rows) -> EnsembleState:
        """The state of the texts `rows` alone."""
        pairs = zip(self._members, state, strict=True)
        return tuple(member.select(each, rows) for member, each in pairs)

    def step(self, tokens: Tokens, state: EnsembleState) -> tuple[LogProbabilities, EnsembleState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        pairs = zip(self._members, state, strict=True)
        predicted, after = zip(*(member.step(tokens, each) for member, each in pairs), strict=True)
        return average(predicted), after

    def forward(
        self, tokens: Tokens, state: EnsembleState
    ) -> tuple[LogProbabilities, EnsembleState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        pairs = zip(self._members, state, strict=True)
        found = (member.forward(tokens, each) for member, each in pairs)
        predicted, after = zip(*found, strict=True)
        return average(predicted), after

    def score(
        self, tokens: Tokens, targets: Tokens, state: EnsembleState
    ) -> tuple[LogProbabilities, EnsembleState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        predicted, state = self.forward(tokens, state)
        return np.take_along_axis(predicted, targets[..., None].astype(np.intp), -1)[..., 0], state


class NumpyEnsemble(NumpyRNN):
    """Networks as one, in NumPy, with stacked weights; the states have a first axis K.

    Args:
        architecture: of each network.
        members: the weights of each, as NumpyRNN takes them.
    """

    def __init__(
        self, architecture: Architecture, members: Sequence[Mapping[str, Floats]]
    ) -> None:
        self._count = len(members)
        stacked = {name: np.stack([each[name] for each in members]) for name in members[0]}
        super().__init__(architecture, stacked)

    def _logits(self, hidden: Floats) -> Floats:
        """From hidden states (K, ..., H) to the average of the logits (..., V)."""
        flat = hidden.reshape(self._count, -1, hidden.shape[-1])
        logits: Floats = np.add.reduce(self._outputs.logits(flat), axis=0)
        logits *= 1 / self._count
        return logits.reshape(*hidden.shape[1:-1], -1)


def numpy_network(
    architecture: Architecture, members: Sequence[Mapping[str, Floats]]
) -> NumpyRNN:
    """One network or several as one model, in NumPy, from the weights of each."""
    if len(members) > 1:
        return NumpyEnsemble(architecture, members)
    return NumpyRNN(architecture, members[0])
