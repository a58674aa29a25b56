"""Read files, directories and standard input as code points, with END after each document.

Knows encodings, lines and what kind of file a name stands for; nothing of ids or vocabularies.
Everything is streamed: memory does not grow with the text.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from charrnn.errors import CorpusError
from charrnn.storage.files import explain
from charrnn.text.vocabulary import CodePoints, code_points

BLOCK = 1 << 20
END = 0x110000
"""Stands for the end of a document in a stream of code points: no character has this value."""
STDIN = "standard input"
CARRIAGE_RETURN, NEWLINE = 0x0D, 0x0A
BYTE_ORDER_MARKS = (  # the longer first: UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
REMEDY = "name a text file, a directory of *.txt files, or - for standard input"
ERRORS = ("strict", "replace")
"""Refuse bytes that are not text, or replace them by U+FFFD."""


@dataclass(frozen=True)
class Reading:
    """How texts are read.

    Attributes:
        lines: each non-empty line is a document, without its newline (LF or CRLF); otherwise
            each file is one.
        encoding: a Python codec; with "utf-8" a byte-order mark overrules it.
        errors: how bytes that are not text are handled: a member of ERRORS.

    Raises:
        CorpusError: there is no such text encoding.
    """

    lines: bool = False
    encoding: str = "utf-8"
    errors: str = "strict"

    def __post_init__(self) -> None:
        try:
            "a".encode(self.encoding)  # refuses codecs that are not text encodings: rot13, base64
            codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError):
            raise CorpusError(
                f"unknown encoding {self.encoding!r}; try utf-8, utf-16, latin-1 or cp1252"
            ) from None


class Source:
    """One text's bytes, which can be read more than once.

    A regular file is opened for each pass, and read up to the length it had at first, so a
    thousand of them need one descriptor. A pipe is spooled to a temporary file.

    Raises:
        CorpusError: there is no such file, or it is neither a file nor a pipe.
    """

    def __init__(self, name: str) -> None:
        self.name = STDIN if name == "-" else name
        self._path = name
        self._digest: str | None = None
        self._spool: BinaryIO | None = None
        with self._naming_source():
            self._length = self._prepare(name)

    @contextmanager
    def _naming_source(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CorpusError(f"cannot read {self.name}: {explain(error)}; {REMEDY}") from None

    def _prepare(self, name: str) -> int:
        """Spool a text that can be read only once; return its length in bytes."""
        if name == "-":
            self._spool = _spool(standard_input())
            return self._spool.tell()
        kind = os.stat(name)
        if stat.S_ISFIFO(kind.st_mode):
            with open(name, "rb") as pipe:
                self._spool = _spool(pipe)
            return self._spool.tell()
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(None, "neither a text file nor a pipe")
        with open(name, "rb") as file:
            return os.fstat(file.fileno()).st_size

    @property
    def spooled(self) -> bool:
        """Whether the text came through a pipe, so that no named file contains it."""
        return self._spool is not None

    def close(self) -> None:
        """Delete the spooled text, if any."""
        if self._spool is not None:
            self._spool.close()

    def blocks(self) -> Iterator[bytes]:
        """Its bytes from the beginning, in blocks."""
        with ExitStack() as stack:
            file = self._spool
            if file is None:
                with self._naming_source():
                    file = stack.enter_context(open(self._path, "rb"))
            file.seek(0)
            yield from self._checked(file)

    def _checked(self, file: BinaryIO) -> Iterator[bytes]:
        rest = self._length
        digest = hashlib.sha256()
        while rest and (block := file.read(min(rest, BLOCK))):
            rest -= len(block)
            digest.update(block)
            yield block
        if rest:
            raise CorpusError(f"{self.name} shrank while it was read; run the command again")
        if self._digest not in {None, digest.hexdigest()}:
            raise CorpusError(f"{self.name} changed while it was read; run the command again")
        self._digest = digest.hexdigest()

    def digest(self) -> str:
        """SHA-256 of its bytes."""
        if self._digest is None:
            for _ in self.blocks():
                pass
        assert self._digest is not None
        return self._digest

    def code_points(self, encoding: str, errors: str = "strict") -> Iterator[CodePoints]:
        """Its characters from the beginning, in blocks.

        Raises:
            CorpusError: the bytes are not text in that encoding; gives the byte's offset.
        """
        for text in decode(self.blocks(), self.name, encoding, errors):
            yield code_points(text)


def decode(
    blocks: Iterable[bytes], name: str, encoding: str, errors: str = "strict"
) -> Iterator[str]:
    """Decode `blocks`; each part of the text is yielded as soon as its bytes have arrived.

    Args:
        blocks: the bytes of one text from the beginning.
        name: of the text, for error messages.
        encoding: a Python codec; with "utf-8" a byte-order mark overrules it.
        errors: a member of ERRORS.

    Raises:
        CorpusError: the bytes are not text in that encoding; gives the byte's offset.
    """
    if encoding.lower().replace("_", "-") in {"utf-8", "utf8"}:
        encoding, blocks = _recognise_mark(iter(blocks))
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    end = 0  # offset of the end of `block`
    try:
        for block in chain(blocks, [b""]):
            end += len(block)
            if text := decoder.decode(block, final=not block):
                yield text
    except UnicodeDecodeError as error:
        offset = end - len(error.object) + error.start
        raise CorpusError(
            f"{name} is not {encoding} text: byte {error.object[error.start]:#04x} at "
            f"offset {offset:,} ({error.reason}); convert it to UTF-8, or name its --encoding "
            "(train, evaluate), for example latin-1 or cp1252, or give --errors replace"
        ) from None
    except UnicodeError as error:
        raise CorpusError(
            f"{name} is not {encoding} text ({error}); name its --encoding"
        ) from None


def _recognise_mark(blocks: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """The encoding that a byte-order mark announces, else UTF-8; and all the blocks.

    Reads no more blocks than needed to decide, as each may have to be waited for.
    """
    beginning = b""
    for block in blocks:
        beginning += block
        if not any(mark.startswith(beginning) for mark, _ in BYTE_ORDER_MARKS):
            break
    announced = (name for mark, name in BYTE_ORDER_MARKS if beginning.startswith(mark))
    return next(announced, "utf-8"), chain([beginning] if beginning else [], blocks)


def line_batches(
    name: str, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[list[str]]:
    """The lines of a file, or of standard input ("-"), without their ends (LF or CRLF).

    A batch has the lines that one read completed, so a line of standard input is available as soon
    as its end has arrived, and waiting lines come together. Time is linear.

    Raises:
        CorpusError: there is no such text, or it is not in that encoding.
    """
    if name == "-":
        blocks = _unbuffered_blocks(standard_input())
        yield from _split_lines(decode(blocks, STDIN, encoding, errors))
        return
    with closing(Source(name)) as source:
        yield from _split_lines(decode(source.blocks(), source.name, encoding, errors))


def _split_lines(texts: Iterable[str]) -> Iterator[list[str]]:
    pieces: list[str] = []  # of an unfinished line; joined only once, when its end is read
    for text in texts:
        complete, newline, rest = text.rpartition("\n")
        if newline:
            joined = "".join([*pieces, complete])
            yield [line.removesuffix("\r") for line in joined.split("\n")]
            pieces = []
        pieces.append(rest)
    if last := "".join(pieces):
        yield [last]


def _unbuffered_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of a stream as they arrive, without waiting for full blocks."""
    try:
        while block := stream.read1(BLOCK):  # type: ignore[attr-defined]
            yield block
    except OSError as error:
        raise CorpusError(
            f"cannot read {STDIN}: {explain(error)}; pipe text into it, or name a file"
        ) from None


def standard_input() -> BinaryIO:
    """Standard input, as bytes.

    Raises:
        CorpusError: it is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise CorpusError("standard input is closed; pipe text into it, or name a file")
    return sys.stdin.buffer


def _spool(stream: BinaryIO) -> BinaryIO:
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its Source
    while block := stream.read(BLOCK):
        spool.write(block)
    return spool


def find_sources(names: Sequence[str]) -> list[Source]:
    """The texts named: files, `-`, or the *.txt files of a directory, sorted.

    Naming a directory's files one by one, in that order, is the same as naming the directory.

    Raises:
        CorpusError: nothing is named or there, or a directory has no *.txt file.
    """
    if not names:
        raise CorpusError(f"no corpus is named; {REMEDY}")
    with ExitStack() as opened:
        sources = [
            opened.enter_context(closing(Source(file))) for name in names for file in _files(name)
        ]
        opened.pop_all()  # no error: now the caller must close them
        return sources


def _files(name: str) -> list[str]:
    if name == "-" or not Path(name).is_dir():
        return [name]
    files = sorted(str(path) for path in Path(name).glob("*.txt"))
    if not files:
        raise CorpusError(f"{name} has no *.txt file; name the files themselves")
    return files


def code_point_blocks(source: Source, reading: Reading) -> Iterator[CodePoints]:
    """The characters of a text in blocks, with END after each document that is not empty."""
    blocks = source.code_points(reading.encoding, reading.errors)
    return _ended_lines(blocks) if reading.lines else _ended_file(blocks)


def _ended_file(blocks: Iterator[CodePoints]) -> Iterator[CodePoints]:
    empty = True
    for block in blocks:
        empty = False
        yield block
    if not empty:
        yield np.array([END], np.uint32)


def _ended_lines(blocks: Iterator[CodePoints]) -> Iterator[CodePoints]:
    last = END  # the character before the block; END: an empty first line is no document
    held = np.empty(0, np.uint32)  # a final carriage return; its newline may come next
    for raw in blocks:
        block = np.concatenate([held, raw])
        held = block[-1:][block[-1:] == CARRIAGE_RETURN]
        block = _mark_line_ends(block[: len(block) - len(held)], last)
        if len(block):
            last = int(block[-1])
            yield block
    if len(held):
        yield held
    if len(held) or last != END:
        yield np.array([END], np.uint32)


def _mark_line_ends(block: CodePoints, last: int) -> CodePoints:
    if not len(block):
        return block
    before_newline = np.append(block[1:] == NEWLINE, False)
    block = block[~((block == CARRIAGE_RETURN) & before_newline)]
    block = np.where(block == NEWLINE, np.uint32(END), block)
    previous = np.concatenate([np.array([last], np.uint32), block[:-1]])
    kept: CodePoints = block[~((block == END) & (previous == END))]
    return kept
