"""Write plain results to stdout and notes to stderr. Knows no colours, tables or progress bars.

Control characters in text from a model or a file are made visible before they reach a terminal.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from charrnn.errors import CharRNNError

FLUSH_SECONDS = 0.1
STANDARD_OUTPUT = "standard output"
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
    r"""`text` with control and bidirectional characters as ^X or \uXXXX; newline and tab stay."""
    return text.translate(CONTROLS)


def one_line(text: str) -> str:
    r"""`visible`, with newlines and tabs as \n and \t."""
    return text.translate(LINE_CONTROLS)


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that was closed before the program started."""

    closed = True

    def write(self, text: str) -> int:
        """Raise CharRNNError: otherwise a result would be lost without notice."""
        raise CharRNNError(f"{STANDARD_OUTPUT} is closed; redirect it to a file or {os.devnull}")

    def flush(self) -> None:
        """Do nothing: nothing was written."""


class Output:
    """Standard output, for results.

    Args:
        raw: leave control characters as they are on a terminal too.

    Raises:
        CharRNNError: standard output is closed.
        OSError: later, from every method: it cannot be written; `filename` is STANDARD_OUTPUT.
    """

    def __init__(self, raw: bool = False) -> None:
        if sys.stdout is None or sys.stdout.closed:
            ClosedOutput().write("")
        self._stream = sys.stdout
        self._terminal = self._stream.isatty()
        self._translate = self._terminal and not raw
        self._flushed = 0.0

    @property
    def terminal(self) -> bool:
        """Whether it is a terminal."""
        return self._terminal

    def write(self, text: str) -> None:
        """Write text; flush it, but not a file or pipe more often than every FLUSH_SECONDS."""
        now = time.monotonic()
        flush = self._terminal or now - self._flushed > FLUSH_SECONDS
        self._put(visible(text) if self._translate else text, flush)
        if flush:
            self._flushed = now

    def line(self, text: str) -> None:
        """Write one line."""
        self.write(text + "\n")

    def record(self, record: Mapping[str, Any]) -> None:
        """Write one JSON object on a line of its own; NaN and infinity become null."""
        written = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in record.items()
        }
        self._put(json.dumps(written) + "\n", flush=True)

    def flush(self) -> None:
        """Flush what was written."""
        self._put("", flush=True)

    def _put(self, text: str, flush: bool) -> None:
        with naming_standard_output():
            self._stream.write(text)
            if flush:
                self._stream.flush()


@contextmanager
def naming_standard_output() -> Iterator[None]:
    """Set `filename` of an OSError that comes from standard output."""
    try:
        yield
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads what is written to `stream`."""
    return stream is not None and not stream.closed and stream.isatty()


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None if it is none."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def has_cursor(stream: TextIO | None) -> bool:
    """Whether a display that is drawn over again works on `stream`."""
    return is_terminal(stream) and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def has_colours(stream: TextIO | None) -> bool:
    """Whether to write colours to `stream`: $NO_COLOR and $FORCE_COLOR say so, else if it can."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or has_cursor(stream)


def shows_blocks(stream: TextIO | None) -> bool:
    """Whether the encoding of `stream` has block characters."""
    try:
        "▁█━─".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def note(message: str) -> None:
    """Write one line to stderr: something the user should know that is not the result."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(one_line(message) + "\n")
            sys.stderr.flush()
        except OSError:  # not a reason to stop the program
            _abandon(sys.stderr)


def prepare_streams() -> None:
    """Make every character writable: one that a stream's encoding lacks is escaped."""
    # Occupy the descriptors of closed standard streams: no file opened later may get them.
    while (null := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(null)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = ClosedOutput()


def finish_output() -> None:
    """Write what is still buffered; drop it if that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        abandon_output()


def abandon_output() -> None:
    """Discard what is buffered for a closed stdout, or the interpreter would report an error."""
    _abandon(sys.stdout)


def _abandon(stream: TextIO) -> None:
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
