"""LanguageModel, the doorway between models and everything that uses them.

Knows shapes only: not what a state is made of, nor which library computes it. Sampling and
scoring see nothing of a model but these methods, so an RNN, an n-gram model and a mixture of
both are interchangeable.

Axes: B texts side by side, T positions, V vocabulary entries. Logarithms are natural.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Tokens: TypeAlias = npt.NDArray[np.integer[Any]]
Rows: TypeAlias = npt.NDArray[np.intp]
LogProbabilities: TypeAlias = npt.NDArray[np.float32]
State: TypeAlias = Any
"""What a model remembers of the B texts read so far; opaque to everyone but that model."""


def log_sum_exp(logits: LogProbabilities) -> LogProbabilities:
    """log of the sum of exponentials over the last axis, which is kept with length 1."""
    # The ufuncs' own reductions: for one character, the methods' detours cost as much as the sums.
    peak = np.maximum.reduce(logits, axis=-1, keepdims=True)
    total: LogProbabilities = np.log(np.add.reduce(np.exp(logits - peak), axis=-1, keepdims=True))
    total += peak
    return total


class LanguageModel(Protocol):
    """Predicts each next character of B texts from all characters before it."""

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ids, UNK and EOS included."""

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
