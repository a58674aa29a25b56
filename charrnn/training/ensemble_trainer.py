"""Train several networks of one model, each in a thread of its own.

The networks differ in what their random numbers give: initial weights, order of the text, dropout.
They train alone; what they predict is averaged when the model is measured or used. A thread takes
the network that is furthest behind, so networks wait for each other only at the end of a burst of
steps, and any number of them keeps any number of threads busy. What a network learns depends on
neither: bursts change results no more than the speed of the machine does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import TypeAlias

import numpy as np
import torch

from charrnn.arrays import Array
from charrnn.models.members import joined
from charrnn.models.torch_rnn import Network
from charrnn.text.documents import Documents
from charrnn.training.parallel import divided_threads
from charrnn.training.settings import Settings
from charrnn.training.trainer import Schedule, StepResult, Trainer, require_finite_loss
from charrnn.training.validation import mean_loss

BURST_SECONDS = 0.25
"""About; between bursts a run is saved, stopped or shown."""


def seed_of(seed: int, number: int) -> int:
    """The seed of network `number`; the first has that of the run."""
    return seed if number == 0 else int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


class EnsembleTrainer:
    """Several Trainers as one.

    Args:
        settings: of the run; each network has a seed of its own.
        build: a Trainer with these settings.
        device: on a GPU, the networks take turns.

    Attributes:
        settings: of the run.
        members: the Trainer of each network; between calls they are at the same step.
        signal: None; for other processes, see Trainer.
    """

    def __init__(
        self, settings: Settings, build: Callable[[Settings], Trainer], device: str
    ) -> None:
        self.settings = settings
        seeds = [seed_of(settings.seed, number) for number in range(settings.networks)]
        self.members = [build(replace(settings, seed=seed)) for seed in seeds]
        self.schedule = self.members[0].schedule
        self.signal: int | None = None
        self._threads = min(len(seeds), torch.get_num_threads()) if device == "cpu" else 1
        self._seconds = BURST_SECONDS  # of a step, measured in the last burst

    @property
    def step(self) -> int:
        """Updates of each network so far."""
        return self.members[0].step

    @property
    def schedule(self) -> Schedule:
        """Of the learning rates: one for all networks."""
        return self.members[0].schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        for member in self.members:
            member.schedule = schedule

    @property
    def network(self) -> Network:
        """The first network; all have its architecture."""
        return self.members[0].network

    def advance(self, most: int) -> list[StepResult]:
        """Let each network do up to `most` steps -> for each step, the figures of all together.

        Raises:
            TrainingError: a network diverged, or its carried state does not fit the batch.
        """
        steps = max(1, min(most, int(BURST_SECONDS / self._seconds)))
        burst = _Burst(self.members, steps)
        started = time.monotonic()
        try:
            list(divided_threads(self._threads).map(lambda _: burst.work(), range(self._threads)))
        finally:
            burst.stop()
        self._seconds = (time.monotonic() - started) / steps
        return [_together(results) for results in zip(*burst.results, strict=True)]

    def gather(self) -> None:
        """Do nothing: there are no other processes."""

    def send(self) -> None:
        """Do nothing: there are no other processes."""

    def validate(self, documents: Documents, check: Callable[[], None]) -> float:
        """Loss of the networks together on `documents`; see `Trainer.validate`."""
        networks = [member.network for member in self.members]
        return require_finite_loss(mean_loss(networks, documents, check), self.step)

    def weights(self) -> dict[str, Array]:
        """A copy of all networks' weights, as `members.joined` names them."""
        return joined([member.weights() for member in self.members])


AnyTrainer: TypeAlias = Trainer | EnsembleTrainer


class _Burst:
    """Steps that threads take from each other until all networks have done as many.

    Attributes:
        results: of each network, in order.
    """

    def __init__(self, members: Sequence[Trainer], steps: int) -> None:
        self._members = members
        self._steps = steps
        self._lock = Lock()
        self._free = set(range(len(members)))
        self.results: list[list[StepResult]] = [[] for _ in members]

    def work(self) -> None:
        """Do steps until there are none left that another thread does not do already.

        A network whose step fails is not taken again; the others end their burst.
        """
        while (number := self._take()) is not None:
            result = self._members[number].train_step()
            with self._lock:
                self.results[number].append(result)
                self._free.add(number)

    def stop(self) -> None:
        """Begin no more steps."""
        self._steps = 0

    def _take(self) -> int | None:
        """A network that no thread trains now, the one furthest behind; None if all are done."""
        with self._lock:
            behind = [each for each in self._free if len(self.results[each]) < self._steps]
            if not behind:
                return None
            number = min(behind, key=lambda each: len(self.results[each]))
            self._free.remove(number)
            return number


def _together(results: Sequence[StepResult]) -> StepResult:
    """The figures of one step of all networks: means, and the characters of all."""
    characters = sum(each.characters for each in results)
    return StepResult(
        loss=sum(each.loss * each.characters for each in results) / characters,
        gradient_norm=sum(each.gradient_norm for each in results) / len(results),
        rate_factor=results[0].rate_factor,
        characters=characters,
    )
