"""Plain streams: results on stdout, notes on stderr. Knows no colours, tables or progress bars.

Text from a model or a file never reaches a terminal with control characters raw.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from charrnn.errors import CharRNNError

FLUSH_SECONDS = 0.1
BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))


def _visible(point: int) -> str:
    if point < 0x20 or point == 0x7F:
        return "^" + chr(point ^ 0x40)
    return f"\\u{point:04x}"


CONTROLS = {
    point: _visible(point)
    for point in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, *BIDIRECTIONAL)
    if point not in (0x09, 0x0A)
}
LINE_CONTROLS = {**CONTROLS, 0x09: "\\t", 0x0A: "\\n"}


def visible(text: str) -> str:
    r"""`text` with control and bidirectional characters in caret or \u form; lines stay lines."""
    return text.translate(CONTROLS)


def one_line(text: str) -> str:
    r"""`visible`, with newlines and tabs as \n and \t."""
    return text.translate(LINE_CONTROLS)


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that was closed before the program began."""

    closed = True

    def write(self, text: str) -> int:
        """Refuse: otherwise a result would vanish without a word."""
        raise CharRNNError(f"standard output is closed; redirect it to a file or {os.devnull}")

    def flush(self) -> None:
        """Do nothing; there is nothing."""


class Output:
    """Standard output, for results.

    Args:
        raw: leave control characters as they are on a terminal too.

    Raises:
        CharRNNError: standard output is closed.
    """

    def __init__(self, raw: bool = False) -> None:
        if sys.stdout is None or sys.stdout.closed:
            ClosedOutput().write("")
        self._stream = sys.stdout
        self._terminal = self._stream.isatty()
        self._translate = self._terminal and not raw
        self._flushed = 0.0

    def write(self, text: str) -> None:
        """Write text from a model; it appears at once, or nearly so."""
        self._stream.write(visible(text) if self._translate else text)
        now = time.monotonic()
        if self._terminal or now - self._flushed > FLUSH_SECONDS:
            self._stream.flush()
            self._flushed = now

    def line(self, text: str) -> None:
        """Write one line."""
        self.write(text + "\n")

    def record(self, record: Mapping[str, Any]) -> None:
        """Write one JSON object on a line of its own; infinity, which JSON lacks, as null."""
        written = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in record.items()
        }
        self._stream.write(json.dumps(written) + "\n")
        self._stream.flush()


def note(message: str) -> None:
    """Tell the user something that is not the result: one line on stderr."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(one_line(message) + "\n")
            sys.stderr.flush()
        except OSError:  # nobody reads notes any more; that is no reason to stop
            _abandon(sys.stderr)


def prepare_streams() -> None:
    """Let no character be unwritable: what an encoding lacks is written as an escape."""
    # A file that is opened later must not become a standard stream that was closed.
    while (nowhere := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(nowhere)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = ClosedOutput()


def finish_output() -> None:
    """Write what is still buffered; if nobody takes it any more, forget it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        abandon_output()


def abandon_output() -> None:
    """Forget what is still buffered for a reader that is gone, lest the interpreter complain."""
    _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
