"""The operating system with one call that fails, put in place of `os` in the modules that write."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

WRITING = ("open", "chmod", "write", "fsync", "link", "replace")
"""The calls with which files are written, and which are counted."""
MODULES = ("charrnn.storage.files", "charrnn.platform")
"""The modules that make these calls."""


def install(system: FaultyOS) -> None:
    """Let every module that writes files use `system` as its `os`."""
    for name in MODULES:
        vars(importlib.import_module(name))["os"] = system


class FaultyOS:
    """`os`, whose call number `at`, of those in WRITING, fails with `error`.

    Args:
        at: from 0 on; a number beyond the last call makes none fail.
        error: a name from errno; or KILL: the process is killed instead; or HANG: the call takes
            a minute.
        late: whether the call is made before it fails. A write is then made by half.
        log: a file in which the calls are noted, one a line.
    """

    def __init__(
        self, at: int = -1, error: str = "ENOSPC", late: bool = False, log: str | None = None
    ) -> None:
        self.calls: list[str] = []
        self._log = log
        self._at = at
        self._error = error
        self._late = late

    def __getattr__(self, name: str) -> Any:
        value = getattr(os, name)
        return self._watched(name, value) if name in WRITING else value

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **keywords: Any) -> Any:
            self.calls.append(name)
            if self._log is not None:
                with open(self._log, "a", encoding="ascii") as log:
                    log.write(name + "\n")
            if len(self.calls) - 1 != self._at:
                return call(*arguments, **keywords)
            if self._late:
                if name == "write":
                    arguments = (arguments[0], arguments[1][: len(arguments[1]) // 2])
                with suppress(OSError):
                    call(*arguments, **keywords)
            return self._fail()

        return watched

    def _fail(self) -> Any:
        if self._error == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._error == "HANG":
            time.sleep(60)
            return None
        number = getattr(errno, self._error)
        raise OSError(number, os.strerror(number))
