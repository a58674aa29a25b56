"""Write the events of a run to its `log.jsonl` and pass them to a listener.

An error of either is marked as a ListenerError, so that the run can be saved before it is reported.
Knows nothing of what happens in a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from charrnn.errors import TrainingError
from charrnn.storage.files import explain
from charrnn.training.events import Event, OnEvent, as_json


class ListenerError(Exception):
    """An event could not be logged or shown; `__cause__` is the original error."""


class RunLog:
    """The log of a run, one JSON object a line; every session appends to it.

    Args:
        file: opened for appending.
        replace: whether the existing lines belong to a run that this one replaces. They are kept,
            and new ones are held in memory, until `commit`.
    """

    def __init__(self, file: TextIO, replace: bool) -> None:
        self._file = file
        self._held: list[str] | None = [] if replace else None

    def write(self, event: Event) -> None:
        """Append a line."""
        line = json.dumps(as_json(event)) + "\n"
        if self._held is not None:
            self._held.append(line)
        else:
            self._file.write(line)
            self._file.flush()

    def commit(self) -> None:
        """Replace the existing lines by those held in memory."""
        if self._held is not None:
            lines, self._held = self._held, None
            self._file.truncate(0)
            self._file.writelines(lines)
            self._file.flush()


@contextmanager
def open_log(path: Path, replace: bool) -> Iterator[RunLog]:
    """The log at `path`; see `RunLog`.

    Raises:
        TrainingError: it cannot be written.
    """
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {explain(error)}; make it writable") from None
    try:
        yield RunLog(file, replace)
    finally:
        with suppress(OSError):  # the disk is full: write() has reported that
            file.close()


class Emitter:
    """Passes events to the log and to a listener.

    Args:
        log: of the run.
        on_event: the listener.
    """

    def __init__(self, log: RunLog, on_event: OnEvent) -> None:
        self._log = log
        self._on_event = on_event

    def __call__(self, event: Event) -> None:
        """Log and show `event`.

        Raises:
            ListenerError: one of the two failed.
        """
        try:
            self._log.write(event)
            self._on_event(event)
        except Exception as error:
            raise ListenerError from error

    def try_to_show(self, event: Event) -> None:
        """Show `event`, ignoring errors, but do not log it: a log begins with the start."""
        with suppress(Exception):
            self._on_event(event)

    def commit(self) -> None:
        """The first step is done: let the log replace that of an older run.

        Raises:
            ListenerError: the log cannot be written.
        """
        try:
            self._log.commit()
        except OSError as error:
            raise ListenerError from error

    def commit_quietly(self) -> None:
        """`commit`, ignoring errors."""
        with suppress(OSError):
            self._log.commit()

    def try_to_emit(self, event: Event) -> None:
        """Log and show `event`, ignoring errors: for a run that is stopping anyway."""
        for receive in (self._log.write, self._on_event):
            with suppress(Exception):
                receive(event)


def reporting_error(error: ListenerError, state: str) -> BaseException:
    """The exception to raise when an event could not be logged or shown.

    `state` says what is saved, for the message.
    """
    cause = error.__cause__
    assert cause is not None
    if not isinstance(cause, OSError):
        return cause
    return TrainingError(f"cannot report progress: {explain(cause)}; {state}")
