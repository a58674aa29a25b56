"""Signals that ask a run to stop. Knows nothing of what a run does or saves."""

from __future__ import annotations

import signal
import time

from charrnn.platform import EXIT_STATUS

SAME_SIGNAL_SECONDS = 0.2
"""Signals closer together than this count as one: `timeout` signals a process, then its group."""


class StopRequested(BaseException):
    """A signal asked the run to stop."""


class Interrupted(BaseException):
    """A signal stopped the run.

    Attributes:
        status: exit status.
        summary: one line that says what is saved and how to resume.
    """

    def __init__(self, status: int, summary: str) -> None:
        super().__init__(status)
        self.status = status
        self.summary = summary


class Dismissed(BaseException):
    """The process that leads has ended the work of this one, which has nothing to report.

    Attributes:
        status: exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class StopRequest:
    """Remembers a signal until the run checks for it.

    Attributes:
        at_once: whether a signal raises StopRequested immediately: for long work that can be
            repeated.
        number: the signal; None while none has come.
    """

    def __init__(self) -> None:
        self.at_once = False
        self.number: int | None = None
        self._received = 0.0

    @property
    def status(self) -> int | None:
        """Exit status; None while no signal has come."""
        return None if self.number is None else EXIT_STATUS[signal.Signals(self.number)]

    def receive(self, number: int) -> None:
        """Remember a signal; a second one ends the program without saving.

        Emits nothing: the signal may have come in the middle of a write to the same stream.

        Raises:
            KeyboardInterrupt: it is the second one.
            StopRequested: `at_once`.
        """
        now = time.monotonic()
        if self.number is None:
            self.number, self._received = number, now
        elif now - self._received > SAME_SIGNAL_SECONDS:
            raise KeyboardInterrupt
        if self.at_once:
            self.check()

    def check(self) -> None:
        """Raise StopRequested if a signal has come."""
        if self.number is not None:
            raise StopRequested
