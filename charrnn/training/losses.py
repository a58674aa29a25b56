"""What is minimised: the loss of a network, or of a reader and the network that is a part of it.

Axes: B texts, T or W positions, H hidden units, V vocabulary entries.
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
        objective: what is minimised, penalty and all.
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
    activation_penalty: float = 0.0,
) -> Losses:
    """The losses of `network` on `inputs` and `targets`, as a Batch or a ReaderBatch has them.

    A reader carries no state: it is returned as it was given.

    Args:
        generator: for dropout.
        activation_penalty: weight of `activation` in the objective; not for a reader.
    """
    if not isinstance(network, ReaderNetwork):
        hidden, after = network.hidden(inputs, state, generator)  # (T, B, H)
        loss = _loss(network.logits(hidden, generator).transpose(0, 1), targets)
        penalty = activation_penalty * activation(hidden, targets) if activation_penalty else 0.0
        return Losses(loss + penalty, loss, after)
    following, each = network.read(inputs, generator)  # (B, W - 1, V), (B, W - 2, V)
    reader = _loss(each, targets[:, :-1].masked_fill(targets[:, :-1] == EOS, IGNORED))
    return Losses(reader + FORWARD_SHARE * _loss(following, targets), reader, state)


def activation(hidden: Tensor, targets: Tensor) -> Tensor:
    """How large the states (T, B, H) are, and how large their changes: mean squares over units.

    Summed over the characters predicted, those of `targets` (B, T) that are not IGNORED. Activation
    and temporal activation regularisation (Merity et al. 2017, arXiv 1708.02182, section 4.6).
    """
    hidden, counted = hidden.float(), (targets != IGNORED).T  # (T, B)
    sizes = hidden.square().mean(-1) * counted
    changes = hidden.diff(dim=0).square().mean(-1) * counted[1:]
    return sizes.sum() + changes.sum()


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
