"""Regularisers that charrnn does not have, for the search of recipe.py: each changes what trains.

Every function takes one number and replaces parts of the package; a process uses them once.

Axes: B texts, T positions, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from charrnn.models.torch_rnn import Network, TorchState
from charrnn.training import gradients
from charrnn.training.losses import Losses

PARTS, LOSSES = vars(gradients), "summed_losses"


def drop_connections(share: float) -> None:
    """DropConnect on recurrent matrices: one mask a sequence (Merity et al. 2017, 1708.02182)."""
    read = Network._read

    def changed(
        self: Network,
        rnn: Any,
        embedded: Tensor,
        state: TorchState,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, TorchState]:
        if not self.training:
            return read(self, rnn, embedded, state, generator)
        layers = [
            [below, _drop(recurrent, share, generator), *biases]
            for below, recurrent, *biases in rnn.all_weights
        ]
        masked = SimpleNamespace(mode=rnn.mode, all_weights=layers)
        return read(self, masked, embedded, state, generator)

    Network._read = changed  # type: ignore[method-assign]


def lock_dropout(share: float) -> None:
    """Dropout of this rate with one mask a sequence (Gal & Ghahramani 2016), instead of ours."""

    def changed(self: Network, hidden: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.training:
            return hidden
        return hidden * _drop(torch.ones_like(hidden[:1]), share, generator)

    Network._drop = changed  # type: ignore[method-assign]


def replace_inputs(share: float) -> None:
    """Noise: so many characters read, not predicted, are others of the batch (Xie et al. 2017)."""
    losses = _losses_in_training()

    def changed(
        network: Network,
        inputs: Tensor,
        targets: Tensor,
        state: TorchState,
        generator: torch.Generator | None,
        penalty: float,
    ) -> Losses:
        hit = torch.empty(inputs.shape).bernoulli_(share, generator=generator).bool()
        others = inputs.flatten()[torch.randperm(inputs.numel(), generator=generator)]
        noisy = torch.where(hit, others.view_as(inputs), inputs)
        return losses(network, noisy, targets, state, generator, penalty)

    PARTS[LOSSES] = changed


def _losses_in_training() -> Callable[..., Losses]:
    """The function that the steps of training use now."""
    found: Callable[..., Losses] = PARTS[LOSSES]
    return found


def _drop(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    kept = torch.empty_like(values).bernoulli_(1 - share, generator=generator)
    return values * kept.div_(1 - share)


REGULARISERS: Mapping[str, Callable[[float], None]] = {
    "dropconnect": drop_connections,
    "locked": lock_dropout,
    "noise": replace_inputs,
}
