"""Loss and gradients of one batch, computed in parallel. Knows no optimiser and no files.

Each thread computes the whole step for some of the batch's texts, so threads wait for each other
only once per step. The threads of all processes share the batch in the same way, and the sum over
the processes is one message.

Axes: L layers, B texts, T positions, V vocabulary entries.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn.models.torch_rnn import Network, TorchState
from charrnn.training.batches import Batch
from charrnn.training.losses import summed_losses
from charrnn.training.parallel import parallel_map
from charrnn.training.processes import Group

MIN_ROWS = 8
"""Minimum texts per thread."""


def shards_for(rows: int, workers: int) -> int:
    """The number of shards that a batch of `rows` texts is split into, for so many workers."""
    return max(1, min(workers, rows // MIN_ROWS))


def own_shards(count: int, workers: Sequence[int], rank: int) -> range:
    """Which of `count` shards the process `rank` computes, given the workers of each process."""
    total, before = sum(workers), sum(workers[:rank])
    return range(count * before // total, count * (before + workers[rank]) // total)


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
        group: the processes that share the batch.
        activation_penalty: see `summed_losses`.
    """

    def __init__(
        self,
        network: Network,
        precision: torch.dtype,
        group: Group,
        activation_penalty: float = 0.0,
    ) -> None:
        self._network = network
        self._activation_penalty = activation_penalty
        self._group = group
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
            state: before their first characters, (L, B, H) each. Only this process's own texts'
                state is used, and new in the result.
            seed: of dropout.

        Raises:
            LostProcessError: another process has ended.
        """
        self._round()
        self._working.train()
        shards, own = self._split(batch, state, seed)
        work = partial(self._differentiate, characters=batch.characters)
        results = parallel_map(work, shards[own.start : own.stop], len(own))
        sums = self._sums([gradients for _, gradients, _ in results])
        loss, sums = self._sum_of_all(sum(loss for loss, _, _ in results), sums)
        for parameter, gradient in zip(self._network.parameters(), sums, strict=True):
            parameter.grad = gradient
        states = [shard.state for shard in shards]
        states[own.start : own.stop] = [after for _, _, after in results]
        return loss, tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))

    def _sums(self, gradients: list[tuple[Tensor, ...]]) -> list[Tensor]:
        """The gradients of this process's shards, added up in float32."""
        if not gradients:  # there are more processes than shards
            return [torch.zeros_like(parameter) for parameter in self._network.parameters()]
        sums = [part.float() for part in gradients[0]]
        for parts in gradients[1:]:
            for at, part in enumerate(parts):
                sums[at] += part
        return sums

    def _sum_of_all(self, loss: float, gradients: list[Tensor]) -> tuple[float, list[Tensor]]:
        """Loss and gradients, added up over all processes in one message."""
        count = len(self._group.threads)
        if count == 1:
            return loss, gradients
        # Each process's loss in a place of its own, as two numbers that keep nearly all its bits.
        losses = np.zeros((count, 2), np.float32)
        losses[self._group.rank, 0] = loss
        losses[self._group.rank, 1] = loss - float(losses[self._group.rank, 0])
        parts = [*gradients, torch.from_numpy(losses).to(self._device)]
        flat = torch.cat([part.flatten() for part in parts])
        self._group.sum(flat)
        *summed, found = flat.split([part.numel() for part in parts])
        views = [each.view_as(part) for each, part in zip(summed, gradients, strict=True)]
        return sum(found.tolist()), views

    @torch.no_grad()
    def _round(self) -> None:
        if self._working is not self._network:
            pairs = zip(self._working.parameters(), self._network.parameters(), strict=True)
            for rounded, exact in pairs:
                rounded.copy_(exact)

    def own_rows(self, rows: int) -> slice:
        """Which of a batch's texts this process reads."""
        count = shards_for(rows, sum(self._workers))
        own = own_shards(count, self._workers, self._group.rank)
        edges = [part[0] for part in np.array_split(np.arange(rows), count)] + [rows]
        return slice(edges[own.start], edges[own.stop])

    @property
    def _workers(self) -> Sequence[int]:
        """How many shards each process can compute at a time, by rank."""
        threads = self._group.threads
        return threads if self._device.type == "cpu" else [1] * len(threads)

    def _split(
        self, batch: Batch, state: TorchState, seed: tuple[int, int]
    ) -> tuple[list[Shard], range]:
        """All shards of the batch, and which of them are this process's."""
        count = shards_for(len(batch.inputs), sum(self._workers))
        seeds = np.random.SeedSequence(seed).generate_state(count, np.uint64)
        own = own_shards(count, self._workers, self._group.rank)
        parts: list[tuple[Any, ...]] = [
            torch.from_numpy(batch.inputs).to(self._device).tensor_split(count),
            torch.from_numpy(batch.targets).to(self._device).tensor_split(count),
            tuple(zip(*(part.tensor_split(count, dim=1) for part in state), strict=True)),
            tuple(
                self._generator(int(each)) if number in own else None
                for number, each in enumerate(seeds)
            ),
        ]
        shards = [Shard(*shard) for shard in zip(*parts, strict=True)]
        return shards, own

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(seed)

    def _differentiate(
        self, shard: Shard, characters: int
    ) -> tuple[float, tuple[Tensor, ...], TorchState]:
        """The shard's part of the mean loss and of its gradients, and the state after it."""
        losses = summed_losses(
            self._working,
            shard.inputs,
            shard.targets,
            shard.state,
            shard.generator,
            self._activation_penalty,
        )
        objective, loss = losses.objective / characters, losses.reported / characters
        gradients = torch.autograd.grad(objective, tuple(self._working.parameters()))
        return loss.item(), gradients, tuple(part.detach() for part in losses.state)
