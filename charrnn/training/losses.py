"""What is minimised: the loss of a network, or of a reader and the network that is a part of it.

Axes: B texts, T or W positions, V vocabulary entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.models.torch_reader import ReaderNetwork
from charrnn.models.torch_rnn import Network, TorchState
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import IGNORED

FORWARD_SHARE = 0.5
"""Weight of the loss of predicting the next character, beside the reader's own."""


@dataclass(frozen=True)
class Losses:
    """The losses of some texts, in nats, summed over their characters.

    Attributes:
        objective: what is minimised.
        reported: the figure of the network: of a reader, without predicting the next character.
        state: after the texts.
    """

    objective: Tensor
    reported: Tensor
    state: TorchState


def summed_losses(
    network: Network,
    inputs: Tensor,
    targets: Tensor,
    state: TorchState,
    generator: torch.Generator | None,
) -> Losses:
    """The losses of `network` on `inputs` and `targets`, as a Batch or a ReaderBatch has them.

    `generator` is for dropout. A reader carries no state: it is returned as it was given.
    """
    if not isinstance(network, ReaderNetwork):
        logits, after = network(inputs, state, generator)  # (B, T, V)
        loss = _loss(logits, targets)
        return Losses(loss, loss, after)
    following, each = network.read(inputs, generator)  # (B, W - 1, V), (B, W - 2, V)
    reader = _loss(each, targets[:, :-1].masked_fill(targets[:, :-1] == EOS, IGNORED))
    return Losses(reader + FORWARD_SHARE * _loss(following, targets), reader, state)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
