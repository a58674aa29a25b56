"""Lines of standard input as they arrive: together where many are there, at once where one is.

A batch is what one read of the system returns, so that a batch never waits for a line that is yet
to be written. While a batch is worked on, the next one gathers in the pipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from charrnn.errors import CorpusError

BLOCK = 1 << 18


def arriving_lines(stream: BinaryIO, most: int) -> Iterator[list[str]]:
    """The lines of `stream`, in lists of at most `most` of those that are there already.

    As a file is read: UTF-8 whatever the locale, lines ended by LF or CRLF, a byte-order mark
    dropped.

    Raises:
        CorpusError: a line is not UTF-8; gives the byte's offset.
    """
    offset = 0
    for lines in _complete_lines(stream):
        for at in range(0, len(lines), most):
            batch = []
            for line in lines[at : at + most]:
                text = _decode(line, offset)
                batch.append(text.removeprefix("\ufeff") if offset == 0 else text)
                offset += len(line) + 1
            yield batch


def _complete_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines that each read completes; the pieces of a long one are joined once."""
    pieces: list[bytes] = []
    while block := stream.read1(BLOCK):  # type: ignore[attr-defined]
        complete, newline, rest = block.rpartition(b"\n")
        if newline:
            yield b"".join([*pieces, complete]).split(b"\n")
            pieces = []
        pieces.append(rest)
    if last := b"".join(pieces):
        yield [last]


def _decode(line: bytes, offset: int) -> str:
    try:
        return line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"standard input is not utf-8 text: byte {line[error.start]:#04x} at offset "
            f"{offset + error.start:,} ({error.reason}); convert it to UTF-8"
        ) from None
