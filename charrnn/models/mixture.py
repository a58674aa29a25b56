"""A network and an n-gram model as one LanguageModel.

Knows neither's insides, only the doorway, and of the n-gram model how much of the context it has
seen before. Nothing here depends on the character that is predicted.

The mixture is log-linear: p(c) is proportional to network(c) ** a * ngram(c) ** b, with a pair of
exponents (a, b) for each length of context that the n-gram model knows: a well-known context earns
it more say. Other mixtures, with figures, are in tests/benchmarks/README.md.

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
        ngram: its partner, with the same vocabulary.
        exponents: (L, 2) of the network and of the n-gram model, by matched length of context.
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
        ours, network_state = self.network.step(tokens, state[0])
        theirs, contexts = self.ngram.step(tokens, state[1])
        return self._mix(ours, theirs, contexts), (network_state, contexts)

    def forward(self, tokens: Tokens, state: MixtureState) -> tuple[LogProbabilities, MixtureState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        ours, network_state = self.network.forward(tokens, state[0])
        contexts, ngram_state = self.ngram.read(tokens, state[1])
        mixed = self._mix(ours, self.ngram.predict(contexts), contexts)
        return mixed, (network_state, ngram_state)

    def score(
        self, tokens: Tokens, targets: Tokens, state: MixtureState
    ) -> tuple[LogProbabilities, MixtureState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        mixed, state = self.forward(tokens, state)
        return np.take_along_axis(mixed, targets[..., None].astype(np.intp), -1)[..., 0], state

    def _mix(
        self,
        ours: LogProbabilities,
        theirs: LogProbabilities,
        contexts: npt.NDArray[np.int64],
    ) -> LogProbabilities:
        matched, _ = self.ngram.features(contexts)
        exponents = self.exponents[matched]  # (..., 2)
        mixed = ours * exponents[..., :1]
        mixed += theirs * exponents[..., 1:]
        mixed -= log_sum_exp(mixed)
        return mixed
