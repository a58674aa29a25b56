"""Signals that ask a process to end. Knows neither runs nor commands."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
"""What a process exits with that such a signal has ended, as a shell would tell."""


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
