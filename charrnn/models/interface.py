"""The interface that every model implements.

Knows shapes only: not what a state contains, nor which library computes it. Sampling and scoring
use nothing but these methods, so a network, an n-gram model and a mixture of both are
interchangeable.

Axes: B texts in parallel, T positions, V vocabulary entries. Logarithms are natural.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats

Tokens: TypeAlias = npt.NDArray[np.integer[Any]]
Rows: TypeAlias = npt.NDArray[np.intp]
LogProbabilities: TypeAlias = Floats
State: TypeAlias = Any
"""What a model remembers of the B texts read so far; only that model knows what it contains."""


def log_sum_exp(logits: LogProbabilities) -> LogProbabilities:
    """log of the sum of exponentials over the last axis, which is kept with length 1."""
    # For one character, the overhead of logits.max() costs as much as the reduction itself.
    peak = np.maximum.reduce(logits, axis=-1, keepdims=True)
    total: LogProbabilities = np.log(np.add.reduce(np.exp(logits - peak), axis=-1, keepdims=True))
    total += peak
    return total


class LanguageModel(Protocol):
    """Predicts each next character of B texts from all characters before it."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ids that are predicted, UNK and EOS included; labels are not."""

    def initial_state(self, batch: int) -> State:
        """The state before the first character of `batch` new texts; feed EOS first."""

    def forward(self, tokens: Tokens, state: State) -> tuple[LogProbabilities, State]:
        """Read `tokens` (B, T) -> log-probabilities of what follows each (B, T, V), state."""

    def step(self, tokens: Tokens, state: State) -> tuple[LogProbabilities, State]:
        """Read one character of each text, `tokens` (B,) -> log-probabilities (B, V), state."""

    def score(
        self, tokens: Tokens, targets: Tokens, state: State
    ) -> tuple[LogProbabilities, State]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T) at each position, state."""

    def select(self, state: State, rows: Rows) -> State:
        """The state of the texts `rows` (B',) alone, in that order; repeats are allowed."""
