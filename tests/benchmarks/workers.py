"""Training steps on command in several processes, for benchmarks: the processes and their driver.

`python -m tests.benchmarks.workers SETTINGS` is such a process, with the environment that torchrun
would give it. For each line on stdin it takes so many steps as the line says; the first process
then prints the seconds that they took.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.models.architecture import Architecture
from charrnn.platform import keep_freed_memory
from charrnn.training.batches import StreamBatches
from charrnn.training.following import Command, exchange
from charrnn.training.processes import Group, joined
from charrnn.training.settings import DEFAULTS
from charrnn.training.trainer import Trainer

VOCABULARY = 65
CHARACTERS = 1 << 20


class Workers:
    """Processes that train together when they are told to.

    Args:
        commands, environments: of each of them, by rank.

    Attributes:
        parameters: of their network.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]]
    ) -> None:
        self._processes = [
            subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for command, environment in zip(commands, environments, strict=True)
        ]
        self.parameters = int(self._answer())

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.communicate()

    def steps(self, count: int) -> float:
        """Take so many steps -> seconds for each of them."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
        return float(self._answer()) / count

    def _answer(self) -> str:
        assert self._processes[0].stdout is not None
        return self._processes[0].stdout.readline()


def worker_command(settings: str) -> list[str]:
    """The command of a worker; `settings`: JSON of the fields of Settings to change."""
    return [sys.executable, "-m", "tests.benchmarks.workers", settings]


def worker_environment(rank: int, count: int, address: str, threads: int = 1) -> dict[str, str]:
    """What torchrun would set for a worker on a machine of its own."""
    return {
        "WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": address, "MASTER_PORT": "29777", "OMP_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "1000",
    }


def on_this_machine(count: int, threads: int) -> Workers:
    """So many workers of so many threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environments = [
        {
            **worker_environment(rank, count, "127.0.0.1", threads),
            "MASTER_PORT": port, "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count),
        }
        for rank in range(count)
    ]
    return Workers([worker_command("{}")] * count, environments)


def build(group: Group, **changes: Any) -> Trainer:
    """A trainer of the default sizes, or others, on random characters."""
    settings = replace(DEFAULTS, steps=1_000_000, **changes)
    ids = np.random.default_rng(1).integers(2, VOCABULARY, CHARACTERS).astype(np.uint8)
    batches = StreamBatches(ids, None, settings.batch, settings.chunk, settings.seed)
    architecture = Architecture(
        settings.cell, VOCABULARY, settings.embedding, settings.hidden, settings.layers
    )
    return Trainer(settings, architecture, batches, "cpu", group)


def main() -> None:
    """Obey stdin."""
    keep_freed_memory()
    with joined("cpu") as group:
        trainer = build(group, **json.loads(sys.argv[1]))
        if group.rank == 0:
            print(trainer.network.architecture.parameters, flush=True)
        for line in sys.stdin:
            started = time.perf_counter()
            for _ in range(int(line)):
                exchange(group, None if group.rank else Command.STEP)  # as before each step
                trainer.train_step()
            if group.rank == 0:
                print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
