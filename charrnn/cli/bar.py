"""A progress bar on stderr for what takes longer than a moment."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

PATIENCE = 2.0
"""Seconds without a bar."""


class DelayedBar:
    """Shows progress on stderr, if that is a terminal and the work takes longer than PATIENCE.

    Args:
        what: is done.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> DelayedBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the bar, if there is one."""
        progress, self._progress = self._progress, None
        if progress is not None:
            with suppress(OSError):  # a closed terminal must not hide why the work ends
                progress.stop()

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        if self._progress is None:
            if not self._wanted or time.monotonic() - self._started < PATIENCE:
                return
            self._start()
        self._progress.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, highlight=False, emoji=False, markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(self._what)
        self._progress.start()
