"""Loss and gradients of one batch, computed in parallel. Knows no optimiser and no files.

Each thread computes the whole step for some of the batch's texts, so threads wait for each other
only once per step.

Axes: B texts, T positions, V vocabulary entries.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.models.torch_rnn import Network, TorchState
from charrnn.training.batches import IGNORED, Batch
from charrnn.training.parallel import parallel_map

MIN_ROWS = 8
"""Minimum texts per thread."""


def shards_for(rows: int, device: str) -> int:
    """The number of shards that a batch of `rows` texts is split into."""
    return 1 if device == "cuda" else max(1, min(torch.get_num_threads(), rows // MIN_ROWS))


@dataclass(frozen=True)
class Shard:
    """Some of a batch's texts, for one thread.

    Attributes:
        inputs, targets: (B, T).
        state: before the first character.
        generator: for dropout; None for torch's own.
    """

    inputs: Tensor
    targets: Tensor
    state: TorchState
    generator: torch.Generator | None


class Gradients:
    """The gradients of a network's mean loss on a batch.

    Matrix products use a copy of the weights that is rounded to `precision`; gradients are summed
    in float32.

    Args:
        network: to train; `compute` sets the gradients of its parameters.
        precision: of the matrix products.
    """

    def __init__(self, network: Network, precision: torch.dtype) -> None:
        self._network = network
        self._working = network
        if precision != torch.float32:
            self._working = copy.deepcopy(network).to(precision)
        self._device = network.output.weight.device

    def initial_state(self, batch: int) -> TorchState:
        """Zeros for `batch` texts, in the precision of the matrix products."""
        return self._working.initial_state(batch)

    def compute(
        self, batch: Batch, state: TorchState, seed: tuple[int, int]
    ) -> tuple[float, TorchState]:
        """Compute and set the network's gradients -> mean loss in nats, state after the batch.

        Args:
            batch: the texts.
            state: before their first characters.
            seed: of dropout.
        """
        self._round()
        self._working.train()
        shards = self._split(batch, state, seed)
        work = partial(self._differentiate, characters=batch.characters)
        results = parallel_map(work, shards, len(shards))
        losses, gradients, states = zip(*results, strict=True)
        parts_of = zip(*gradients, strict=True)
        for parameter, parts in zip(self._network.parameters(), parts_of, strict=True):
            parameter.grad = parts[0].float()
            for part in parts[1:]:
                parameter.grad += part
        after = tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))
        return sum(losses), after

    @torch.no_grad()
    def _round(self) -> None:
        if self._working is not self._network:
            pairs = zip(self._working.parameters(), self._network.parameters(), strict=True)
            for rounded, exact in pairs:
                rounded.copy_(exact)

    def _split(self, batch: Batch, state: TorchState, seed: tuple[int, int]) -> list[Shard]:
        count = shards_for(len(batch.inputs), self._device.type)
        seeds = np.random.SeedSequence(seed).generate_state(count, np.uint64)
        parts: list[tuple[Any, ...]] = [
            torch.from_numpy(batch.inputs).to(self._device).tensor_split(count),
            torch.from_numpy(batch.targets).to(self._device).tensor_split(count),
            tuple(zip(*(part.tensor_split(count, dim=1) for part in state), strict=True)),
            tuple(self._generator(int(own)) for own in seeds),
        ]
        return [Shard(*shard) for shard in zip(*parts, strict=True)]

    def _generator(self, seed: int) -> torch.Generator | None:
        if self._device.type == "cuda":  # the fused kernel draws from torch's own
            torch.manual_seed(seed)
            return None
        return torch.Generator().manual_seed(seed)

    def _differentiate(
        self, shard: Shard, characters: int
    ) -> tuple[float, tuple[Tensor, ...], TorchState]:
        """The shard's part of the mean loss and of its gradients, and the state after it."""
        logits, state = self._working(shard.inputs, shard.state, shard.generator)  # (B, T, V)
        total = cross_entropy(
            logits.flatten(0, 1), shard.targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        loss = total / characters
        gradients = torch.autograd.grad(loss, tuple(self._working.parameters()))
        return loss.item(), gradients, tuple(part.detach() for part in state)
