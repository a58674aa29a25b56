"""A network and an n-gram model as one LanguageModel.

Uses their common interface and, of the n-gram model, also how much of the context it has seen
before. The exponents never depend on the character that is predicted.

The mixture is log-linear: p(c) is proportional to network(c) ** a * ngram(c) ** b, with a pair of
exponents (a, b) for each length of context that the n-gram model has seen: the longer the known
context, the greater its weight. Other mixtures, with figures, are in tests/benchmarks/README.md.

Axes: B texts, T positions, V vocabulary entries, L lengths of context.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.models.interface import (
    LanguageModel,
    LogProbabilities,
    Rows,
    State,
    Tokens,
    log_sum_exp,
)
from charrnn.models.ngram import NgramModel

Exponents: TypeAlias = npt.NDArray[np.float32]
MixtureState: TypeAlias = tuple[State, State]


class Mixture:
    """Two LanguageModels as one.

    Args:
        network: any model.
        ngram: an n-gram model with the same vocabulary.
        exponents: (L, 2), one row (a, b) for each length 0 to L - 1 of matched context.
    """

    def __init__(self, network: LanguageModel, ngram: NgramModel, exponents: Exponents) -> None:
        self.network = network
        self.ngram = ngram
        self.exponents = exponents

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.network.vocabulary_size

    def initial_state(self, batch: int) -> MixtureState:
        """Both models' states for `batch` texts."""
        return self.network.initial_state(batch), self.ngram.initial_state(batch)

    def select(self, state: MixtureState, rows: Rows) -> MixtureState:
        """The state of the texts `rows` alone."""
        return self.network.select(state[0], rows), self.ngram.select(state[1], rows)

    def step(self, tokens: Tokens, state: MixtureState) -> tuple[LogProbabilities, MixtureState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        network, network_state = self.network.step(tokens, state[0])
        ngram, contexts = self.ngram.step(tokens, state[1])
        return self._mix(network, ngram, contexts), (network_state, contexts)

    def forward(self, tokens: Tokens, state: MixtureState) -> tuple[LogProbabilities, MixtureState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        network, network_state = self.network.forward(tokens, state[0])
        contexts, ngram_state = self.ngram.read(tokens, state[1])
        mixed = self._mix(network, self.ngram.predict(contexts), contexts)
        return mixed, (network_state, ngram_state)

    def score(
        self, tokens: Tokens, targets: Tokens, state: MixtureState
    ) -> tuple[LogProbabilities, MixtureState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        mixed, state = self.forward(tokens, state)
        return np.take_along_axis(mixed, targets[..., None].astype(np.intp), -1)[..., 0], state

    def _mix(
        self,
        network: LogProbabilities,
        ngram: LogProbabilities,
        contexts: npt.NDArray[np.int64],
    ) -> LogProbabilities:
        matched = self.ngram.matched(contexts)
        exponents = self.exponents[matched]  # (..., 2)
        mixed = network * exponents[..., :1]
        mixed += ngram * exponents[..., 1:]
        mixed -= log_sum_exp(mixed)
        return mixed
