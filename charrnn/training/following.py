"""How processes that train one model stay together: the first one leads, the others follow.

Before each of its steps the leader tells the others what to do, in one small message, and in the
same message hears of the signals that they have received. So it alone decides when to validate,
save, change the schedule or stop, and all of them leave together. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from enum import IntEnum

import torch

from charrnn.errors import CharRNNError, TrainingError
from charrnn.models.architecture import Architecture
from charrnn.platform import EXIT_STATUS, handle_signals
from charrnn.training.batches import Batches
from charrnn.training.processes import Alone, Group, LostProcessError
from charrnn.training.settings import Settings
from charrnn.training.signals import Dismissed, Interrupted, StopRequest
from charrnn.training.trainer import Schedule, StepResult, Trainer

SIGNALS = tuple(EXIT_STATUS)
BuildTrainer = Callable[[Settings], Trainer]


class Command(IntEnum):
    """What the leader tells the others to do."""

    BUILD = 1
    """A new trainer; its settings follow."""
    SEND = 2
    """Take the leader's weights, optimisers and carried state, which follow."""
    STEP = 3
    """A step, with the schedule in the message."""
    GATHER = 4
    """Collect the carried state."""
    STOP = 5
    """Leave with the exit status in the message."""


@dataclass(frozen=True)
class Message:
    """What a command says to every process, the leader included.

    Attributes:
        command: what to do.
        values: its three numbers.
        signal: the number of a signal that one of the others has received; None if none has.
    """

    command: Command
    values: tuple[float, float, float]
    signal: int | None


def exchange(
    group: Group,
    command: Command | None = None,
    values: tuple[float, ...] = (0, 0, 0),
    signal: int | None = None,
) -> Message:
    """Tell or hear a command: the leader gives it, the others add their signals.

    Raises:
        LostProcessError: another process has ended.
    """
    received = [float(number == signal) for number in SIGNALS]
    mine = [float(command or 0), *values, *received]
    message = torch.tensor(mine, dtype=torch.float64)
    group.sum(message)
    what, first, second, third, *counts = message.tolist()
    signals = [number for number, count in zip(SIGNALS, counts, strict=True) if count]
    return Message(Command(int(what)), (first, second, third), next(iter(signals), None))


class Leader(Trainer):
    """A Trainer in which all processes of a group take part: each call commands the others.

    Arguments and attributes: see Trainer.
    """

    def __init__(
        self,
        settings: Settings,
        architecture: Architecture,
        batches: Batches,
        device: str,
        group: Group | None = None,
    ) -> None:
        group = group or Alone()
        exchange(group, Command.BUILD)
        group.share(asdict(settings))
        super().__init__(settings, architecture, batches, device, group)

    def train_step(self) -> StepResult:
        """Update the weights by the next batch; errors as in Trainer."""
        message = exchange(self._group, Command.STEP, astuple(self.schedule))
        self.signal = message.signal
        return super().train_step()

    def gather(self) -> None:
        """Collect every text's carried state here; errors as in Trainer."""
        exchange(self._group, Command.GATHER)
        super().gather()

    def send(self) -> None:
        """Let every process go on from these weights and states; errors as in Trainer."""
        exchange(self._group, Command.SEND)
        super().send()


@contextmanager
def leading(group: Group) -> Iterator[None]:
    """Let the others leave when this process does, with the same exit status.

    After an error that may have come in the middle of a step, they would not listen: they leave
    when this process has ended.
    """
    status: int | None = None
    try:
        yield
        status = 0
    except Interrupted as stopped:
        status = stopped.status
        raise
    except CharRNNError:
        status = 1
        raise
    finally:
        if status is not None:
            with suppress(LostProcessError):
                exchange(group, Command.STOP, (status, 0, 0))


def follow(group: Group, build: BuildTrainer) -> None:
    """Obey the leader until it says to leave.

    Args:
        group: of this process, which does not lead.
        build: makes a trainer in this process.

    Raises:
        Dismissed: the run did not end as planned, or another process has ended.
    """
    stop = StopRequest()
    with handle_signals(stop.receive):
        try:
            status = _obey(group, build, stop)
        except LostProcessError:
            raise Dismissed(stop.status or 1) from None
    if status:
        raise Dismissed(status)


def _obey(group: Group, build: BuildTrainer, stop: StopRequest) -> int:
    """Obey the leader -> the exit status that it tells."""
    trainer: Trainer | None = None
    while True:
        message = exchange(group, signal=stop.number)
        if message.command is Command.STOP:
            return int(message.values[0])
        if message.command is Command.BUILD:
            trainer = build(Settings(**group.share(None)))
            continue
        assert trainer is not None
        if message.command is Command.SEND:
            trainer.send()
        elif message.command is Command.GATHER:
            trainer.gather()
        else:
            total, anchor_step, anchor_progress = message.values
            trainer.schedule = Schedule(int(total), int(anchor_step), anchor_progress)
            with suppress(TrainingError):  # it diverged: the leader knows, and says what to do
                trainer.train_step()
