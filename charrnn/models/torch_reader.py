"""A bidirectional network in torch: for training. Its outputs agree with NumpyReader's.

Axes: B texts, W positions read, V vocabulary entries, H hidden units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from charrnn.models.architecture import Architecture
from charrnn.models.interface import LogProbabilities, Tokens
from charrnn.models.reader import reversal
from charrnn.models.torch_rnn import Network
from charrnn.text.vocabulary import EOS


class ReaderNetwork(Network):
    """A network that predicts the next character, and each character from all others."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.backward = self._new_recurrent()
        self.reader_layers, self.reader = self._new_outputs(2 * architecture.hidden)
        self._initialise_outputs(self.reader_layers, self.reader)
        self._initialise_recurrent(self.backward)

    def _stacks(self) -> list[Any]:
        return [self.rnn, self.backward]

    def read(
        self, texts: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is predicted in `texts` (B, W), as `Reader.predict` describes them.

        Args:
            texts: ids; PADDING may follow.
            generator: for dropout; None for torch's own.

        Returns:
            logits (B, W - 1, V) of all but the first id from those before it, and logits
            (B, W - 2, V) of all but the first and the last from all others, in float32.
        """
        order = torch.from_numpy(reversal(texts.cpu().numpy())).to(texts.device)
        given = texts.masked_fill(texts < 0, EOS)
        zero = self.initial_state(len(texts))
        before, _ = self._read(self.rnn, self.embedding(given.T), zero, generator)  # (W, B, H)
        reversed_ = self.embedding(given.gather(1, order).T)
        backwards, _ = self._read(self.backward, reversed_, zero, generator)
        after = backwards.gather(0, order.T[..., None].expand_as(backwards))
        both = torch.cat([before[:-2], after[2:]], -1)
        predicted = self._predict(self.reader_layers, self.reader, both, generator)
        return self.logits(before[:-1], generator).transpose(0, 1), predicted.transpose(0, 1)


class TorchReader:
    """A ReaderNetwork as a Reader: NumPy in, NumPy out, no gradients, no dropout."""

    def __init__(self, network: ReaderNetwork) -> None:
        self._network = network.eval()

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._network.architecture.vocabulary_size

    @torch.inference_mode()
    def predict(self, texts: Tokens) -> LogProbabilities:
        """Log-probabilities (B, W - 2, V) of all but the first and last id of `texts` (B, W)."""
        device = self._network.output.weight.device
        _, logits = self._network.read(torch.from_numpy(texts.astype("int64")).to(device))
        found: LogProbabilities = logits.log_softmax(-1).cpu().numpy()
        return found


def network_of(architecture: Architecture) -> Network:
    """A new network."""
    return (ReaderNetwork if architecture.bidirectional else Network)(architecture)
