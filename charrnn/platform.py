"""What depends on the operating system: signals that end a process, the C library's allocator."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
"""What a process exits with that such a signal has ended, as a shell would tell."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT_BYTES = 1 << 30
LARGEST_BLOCK_KEPT = 1 << 25
"""The most that glibc takes."""


@contextmanager
def received_by(handle: Callable[[int], None]) -> Iterator[None]:
    """Let `handle` receive what asks the process to end; under nohup, SIGHUP does not.

    Only the main thread can: in another one, nothing changes.
    """

    def receive(number: int, frame: FrameType | None) -> None:
        handle(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, receive)
        for number in (EXIT_STATUS if in_main_thread else ())
        if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let a signal end the process on the spot, while there is nothing to save or to clean up.

    For imports: an exception that a signal raises while C++ code imports a module is an abort.
    """
    with received_by(lambda number: os._exit(EXIT_STATUS[signal.Signals(number)])):
        yield


def keep_freed_memory() -> None:
    """Let freed blocks be used again instead of given back; without mallopt(3), do nothing.

    glibc gives large blocks back to the system at once and asks for them again a moment later; the
    page faults cost a quarter of the time of training (tests/benchmarks/README.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, LARGEST_BLOCK_KEPT)
