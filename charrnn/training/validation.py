"""Read held-out text with a network in training, with the same result for any number of threads.

With several threads, torch divides each matrix product among them, and how it does changes the last
bits. Here each thread reads some texts alone, as in training.

Axes: L layers, B texts, T positions, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from charrnn.inference.pseudo import pseudo_scores
from charrnn.inference.scoring import score_spans
from charrnn.models.ensemble import Ensemble
from charrnn.models.interface import LogProbabilities, Tokens
from charrnn.models.torch_reader import ReaderNetwork, TorchReader
from charrnn.models.torch_rnn import Network, TorchRNN, TorchState
from charrnn.text.documents import Documents
from charrnn.training.parallel import map_in_single_threads

ROWS = 16
"""Texts that one thread reads at a time."""


class BlockwiseRNN(TorchRNN):
    """A TorchRNN that reads ROWS texts at a time."""

    def score(
        self, tokens: Tokens, targets: Tokens, state: TorchState
    ) -> tuple[LogProbabilities, TorchState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        if self._device.type != "cpu":
            return super().score(tokens, targets, state)

        def read(rows: slice) -> tuple[LogProbabilities, TorchState]:
            return TorchRNN.score(self, tokens[rows], targets[rows], _rows_of(state, rows))

        values, states = zip(*map_in_single_threads(read, _blocks(tokens)), strict=True)
        return np.concatenate(values), _joined(states)

    def _log_probabilities(self, tokens: Tokens, state: TorchState) -> tuple[Tensor, TorchState]:
        if self._device.type != "cpu":
            return super()._log_probabilities(tokens, state)

        def read(rows: slice) -> tuple[Tensor, TorchState]:
            return TorchRNN._log_probabilities(self, tokens[rows], _rows_of(state, rows))

        values, states = zip(*map_in_single_threads(read, _blocks(tokens)), strict=True)
        return torch.cat(values), _joined(states)


def _blocks(tokens: Tokens) -> list[slice]:
    return [slice(begin, begin + ROWS) for begin in range(0, len(tokens), ROWS)]


def _rows_of(state: TorchState, rows: slice) -> TorchState:
    return tuple(part[:, rows] for part in state)


def _joined(states: Sequence[TorchState]) -> TorchState:
    return tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))


class BlockwiseReader(TorchReader):
    """A TorchReader that reads ROWS texts at a time."""

    def predict(self, texts: Tokens) -> LogProbabilities:
        """Log-probabilities (B, W - 2, V), as `Reader.predict` describes them."""
        blocks = [texts[rows] for rows in _blocks(texts)]
        return np.concatenate(map_in_single_threads(super().predict, blocks))


def mean_loss(
    networks: Sequence[Network], documents: Documents, check: Callable[[], None]
) -> float:
    """Nats per character of `documents` by one network, or by several as one model.

    Of a reader, pseudo-nats. `check` is called between pieces of the text.
    """
    first, total = networks[0], 0.0
    if isinstance(first, ReaderNetwork):
        (score,) = pseudo_scores(BlockwiseReader(first), [documents], lambda done: check())
        return score.nats_per_character
    members = [BlockwiseRNN(network.eval()) for network in networks]
    if len(members) == 1:
        # It holds few probabilities at a time, so windows need not be short.
        spans = score_spans(members[0], documents, cells=1)
    else:
        spans = score_spans(Ensemble(members), documents)
    for scored in spans:
        total += float(scored.values.sum(dtype=np.float64))
        check()
    return -total / documents.characters
