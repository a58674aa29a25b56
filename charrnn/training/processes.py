"""Processes that work together, on one machine or several, as `torchrun` starts them.

Each learns its place from the environment variables that torchrun sets. The first process, of rank
0, leads. Knows nothing of training. Everything that is exchanged is numbers or JSON: torch's own
functions for objects unpickle what another process sends.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from charrnn.errors import CharRNNError, Parameter, SettingsError, TrainingError
from charrnn.training.signals import Dismissed

TIMEOUT = timedelta(minutes=30)
"""A process waits so long for another one. One that was killed is noticed at once, by its closed
connections; the timeout is for a machine that vanishes or a process that is stopped. Therefore it
is also the limit for what the leader does alone: counting n-grams, a validation, the final fit."""
POLL_SECONDS = 0.02
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Set by torchrun, for each process."""

Result = TypeVar("Result")


class LostProcessError(CharRNNError):
    """Another process has ended or cannot be reached."""


class Group(Protocol):
    """The processes that work together; each calls the same methods in the same order.

    Attributes:
        rank: of this process; 0 leads.
        local_rank: of this process among those of its machine.
        on_one_machine: whether all of them are.
        threads: torch's threads in each process, by rank.
    """

    rank: int
    local_rank: int
    on_one_machine: bool

    @property
    def threads(self) -> tuple[int, ...]:
        """Torch's threads in each process, by rank."""

    def sum(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes; the same bits in each of them.

        With two processes the order of summation cannot matter. With more it is fixed by their
        number.
        """

    def send(self, tensor: Tensor, source: int = 0) -> None:
        """Replace `tensor` by that of the process `source`."""

    def share(self, value: Any) -> Any:
        """The leader's `value`, which JSON can hold, in every process."""

    def gather(self, value: Any) -> list[Any]:
        """The `value` of each process, which JSON can hold, by rank, in every process."""


class Alone:
    """A Group of one process. Methods and attributes: see Group."""

    rank = 0
    local_rank = 0
    on_one_machine = True

    @property
    def threads(self) -> tuple[int, ...]:
        """Torch's threads in each process, by rank."""
        return (torch.get_num_threads(),)

    def sum(self, tensor: Tensor) -> None:
        """Do nothing."""

    def send(self, tensor: Tensor, source: int = 0) -> None:
        """Do nothing."""

    def share(self, value: Any) -> Any:
        """Return `value`."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return `value` in a list."""
        return [value]


class TorchGroup:
    """A Group by torch.distributed, which is initialised. Methods and attributes: see Group.

    Every method raises LostProcessError if another process has ended or cannot be reached.
    """

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.on_one_machine = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
        self._threads = tuple(self.gather(torch.get_num_threads()))

    @property
    def threads(self) -> tuple[int, ...]:
        """Torch's threads in each process, by rank."""
        return self._threads

    def sum(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes."""
        with _naming_lost_processes():
            distributed.all_reduce(tensor)

    def send(self, tensor: Tensor, source: int = 0) -> None:
        """Replace `tensor` by that of the process `source`."""
        with _naming_lost_processes():
            distributed.broadcast(tensor.view(torch.uint8), source)

    def share(self, value: Any) -> Any:
        """The leader's `value` in every process."""
        encoded = _encoded(value) if self.rank == 0 else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor([len(encoded)])
        self.send(length)
        if self.rank:
            encoded = torch.empty(int(length), dtype=torch.uint8)
        self.send(encoded)
        return _decoded(encoded)

    def gather(self, value: Any) -> list[Any]:
        """The `value` of each process, by rank."""
        encoded = _encoded(value)
        lengths = torch.zeros(distributed.get_world_size(), dtype=torch.int64)
        lengths[self.rank] = len(encoded)
        self.sum(lengths)
        found = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.uint8)
        found[self.rank, : len(encoded)] = encoded
        self.sum(found)
        return [_decoded(row[:length]) for row, length in zip(found, lengths, strict=True)]


def _encoded(value: Any) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _decoded(encoded: Tensor) -> Any:
    return json.loads(encoded.numpy().tobytes())


@contextmanager
def _naming_lost_processes() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            "another process of this run has ended or cannot be reached; start all of them again "
            "to go on from the last save"
        ) from error


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """The group that this process was started in; Alone if it was started by itself.

    Args:
        device: "cpu", or else each process has the GPU of its local rank, where there are any.

    Raises:
        SettingsError: the environment is incomplete, or there are too few GPUs.
        LostProcessError: the others cannot be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Alone()
        return
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing:
        raise SettingsError(
            f"WORLD_SIZE is set, but not {', '.join(missing)}; start several processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    backend = "gloo"
    if device != "cpu" and torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        _take_gpu(int(os.environ.get("LOCAL_RANK", "0")))
    with _naming_lost_processes():
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        store.set_timeout(TIMEOUT)
        store = _unused_part(store, rank, size)
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT
        )
    try:
        yield TorchGroup()
    finally:
        distributed.destroy_process_group()


def _unused_part(store: Store, rank: int, size: int) -> Store:
    """A part of `store` that belongs to the processes of this start alone.

    torchrun keeps its store when it restarts its processes. With the addresses of those that have
    ended, which are still in it, gloo would try to connect until its timeout. So each process says
    hello by a random name, and the leader answers, by that name, which part is theirs.
    """
    own = secrets.token_hex(8)
    if rank:
        store.set(f"hello {rank}", own)
        part = store.get(f"part for {own}").decode()  # waits for it
        store.set(f"{rank} uses {part}", "")
        return PrefixStore(part, store)
    others = range(1, size)
    while not store.check([f"{each} uses {own}" for each in others]):
        for each in others:  # the name may still be that of a process that has ended
            store.set(f"part for {store.get(f'hello {each}').decode()}", own)
        time.sleep(POLL_SECONDS)
    return PrefixStore(own, store)


def restarted() -> bool:
    """Whether torchrun has started this process again, after one of its group had failed."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def _take_gpu(local_rank: int) -> None:
    """Make "cuda" mean the GPU of this process."""
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise SettingsError(
            f"there are {found} GPUs for more processes; start {found} on this machine "
            "(--nproc-per-node), or train with ",
            Parameter("device"),
            " cpu",
        )
    torch.cuda.set_device(local_rank)


def in_turn(group: Group, work: Callable[[], Result]) -> Result:
    """Call `work` in the first process of each machine, then in the others.

    So the others find what the first has put into a cache. A CharRNNError in any process ends all:
    the leader raises it, and the others are dismissed.

    Raises:
        CharRNNError: of this process, or in the leader the first one of the others.
        Dismissed: another process failed, and this one does not lead.
    """
    result: list[Result] = []
    for turn in (True, False):
        error: CharRNNError | None = None
        if (group.local_rank == 0) == turn:
            try:
                result.append(work())
            except CharRNNError as raised:
                error = raised
        raise_together(group, error)
    return result[0]


def raise_together(group: Group, error: CharRNNError | None) -> None:
    """End all processes if one of them has an `error`.

    Raises:
        CharRNNError: in the leader, its own error or the first one of the others.
        Dismissed: in the others.
    """
    messages = group.gather(None if error is None else error.for_command_line())
    failed = [rank for rank, message in enumerate(messages) if message is not None]
    if not failed:
        return
    if group.rank:
        raise Dismissed(1)
    raise error or TrainingError(f"in process {failed[0]}: {messages[failed[0]]}")
