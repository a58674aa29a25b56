"""Events of a run into its `log.jsonl` and to whoever watches. Neither can stop a run's saving.

Knows files and functions of events; not what happens in a run.
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
    """An event could not be logged or shown; the cause is the error that says why."""


class RunLog:
    """The log of a run, one JSON object a line, added to by every session.

    Args:
        file: opened to append to.
        replace: whether the lines that are there belong to a run that this one replaces. They are
            kept, and new ones held back, until `commit`.
    """

    def __init__(self, file: TextIO, replace: bool) -> None:
        self._file = file
        self._held: list[str] | None = [] if replace else None

    def write(self, event: Event) -> None:
        """Add a line."""
        line = json.dumps(as_json(event)) + "\n"
        if self._held is not None:
            self._held.append(line)
        else:
            self._file.write(line)
            self._file.flush()

    def commit(self) -> None:
        """Let the lines held back take the place of those that are there."""
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
        raise TrainingError(f"cannot write {path}: {explain(error)}; see to it") from None
    try:
        yield RunLog(file, replace)
    finally:
        with suppress(OSError):  # lines that a full disk did not take: that was reported already
            file.close()


class Emitter:
    """Hands events to the log and to a listener.

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

    def commit(self) -> None:
        """The run has started in earnest: its log takes the place of an older run's.

        Raises:
            ListenerError: the log cannot be written.
        """
        try:
            self._log.commit()
        except OSError as error:
            raise ListenerError from error

    def commit_quietly(self) -> None:
        """The same, as far as that is possible."""
        with suppress(OSError):
            self._log.commit()

    def try_to_emit(self, event: Event) -> None:
        """Log and show `event` as far as that is possible: for a run that is stopping anyway."""
        for receive in (self._log.write, self._on_event):
            with suppress(Exception):
                receive(event)


def reporting_error(error: ListenerError, state: str) -> BaseException:
    """What to raise where an event could not be logged or shown."""
    cause = error.__cause__
    assert cause is not None
    if not isinstance(cause, OSError):
        return cause
    return TrainingError(f"cannot report progress: {explain(cause)}; {state}")
