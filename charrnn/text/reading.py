"""Read files, directories and standard input as code points, with an end after each document.

Knows what kind of file a name stands for; nothing of ids or vocabularies. Everything is streamed:
memory does not grow with the text.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from charrnn import platform
from charrnn.arrays import np
from charrnn.errors import CorpusError
from charrnn.storage.files import explain
from charrnn.text.decoding import NEWLINE, Codes, decode, decode_codes, ended_lines
from charrnn.text.labelled import BadLineError, LabelReader

BLOCK = 1 << 18
"""Bytes read at a time: small blocks are more often of ASCII alone."""
END = 0x110000
"""Stands for the end of a document in a stream of code points: no character has this value."""
STDIN = "standard input"
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
        labelled: whether lines are `label<TAB>text`.

    Raises:
        CorpusError: there is no such text encoding.
    """

    lines: bool = False
    encoding: str = "utf-8"
    errors: str = "strict"
    labelled: bool = field(default=False, metadata={"added": True})

    def __post_init__(self) -> None:
        try:
            "a".encode(self.encoding)  # refuses codecs that are not text encodings: rot13, base64
            codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError):
            raise CorpusError(
                f"unknown encoding {self.encoding!r}; try utf-8, utf-16, latin-1 or cp1252"
            ) from None

    @property
    def end(self) -> int:
        """What stands for the end of a document in a stream of code points."""
        return NEWLINE if self.lines else END


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
            self._status = self._prepare(name)
        self.length = self._status.st_size

    @contextmanager
    def _naming_source(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CorpusError(f"cannot read {self.name}: {explain(error)}; {REMEDY}") from None

    def _prepare(self, name: str) -> os.stat_result:
        """Spool a text that can be read only once; return the status of the file to read."""
        if name == "-":
            self._spool = _spool(standard_input())
            return os.fstat(self._spool.fileno())
        kind = os.stat(name)
        if stat.S_ISFIFO(kind.st_mode):
            with open(name, "rb") as pipe:
                self._spool = _spool(pipe)
            return os.fstat(self._spool.fileno())
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(None, "neither a text file nor a pipe")
        with open(name, "rb") as file:
            return os.fstat(file.fileno())

    @property
    def fingerprint(self) -> platform.Fingerprint | None:
        """What differs whenever the file has changed; None if it is a pipe, or nothing would."""
        return None if self.spooled else platform.fingerprint(self._status)

    @property
    def spooled(self) -> bool:
        """Whether the text came through a pipe, so that no named file contains it."""
        return self._spool is not None

    def close(self) -> None:
        """Delete the spooled text, if any."""
        if self._spool is not None:
            self._spool.close()

    def blocks(self) -> Iterator[bytes]:
        """Its bytes from the beginning, in blocks.

        Raises:
            CorpusError: it shrank or changed while it was read, or since it was read before.
        """
        with ExitStack() as stack:
            file = self._spool
            if file is None:
                with self._naming_source():
                    file = stack.enter_context(open(self._path, "rb", buffering=0))
            file.seek(0)
            yield from self._checked(file)

    def _checked(self, file: BinaryIO) -> Iterator[bytes]:
        rest = self.length
        digest = hashlib.sha256()
        while rest and (block := file.read(min(rest, BLOCK))):
            rest -= len(block)
            digest.update(block)
            yield block
        if rest:
            raise CorpusError(f"{self.name} shrank while it was read; run the command again")
        if self._digest not in {None, digest.hexdigest()} or self._was_written(file):
            raise CorpusError(f"{self.name} changed while it was read; run the command again")
        self._digest = digest.hexdigest()

    def _was_written(self, file: BinaryIO) -> bool:
        """Whether the file was written since its length was taken, but not to make it longer."""
        now = os.fstat(file.fileno())
        return now.st_mtime_ns != self._status.st_mtime_ns and now.st_size <= self.length

    def digest(self) -> str:
        """SHA-256 of its bytes."""
        if self._digest is None:
            for _ in self.blocks():
                pass
        assert self._digest is not None
        return self._digest


def line_batches(
    name: str, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[list[str]]:
    """The lines of a file, or of standard input ("-"), without their ends (LF or CRLF).

    A batch has the lines that one read completed, so a line of standard input is available as soon
    as its end has arrived, and waiting lines come together. Time is linear.

    Raises:
        CorpusError: there is no such text, or it is not in that encoding.
    """
    return _split_lines(text_pieces(name, encoding, errors))


def text_pieces(name: str, encoding: str = "utf-8", errors: str = "strict") -> Iterator[str]:
    """The text of a file, or of standard input ("-"), in pieces, as they can be read.

    Raises:
        CorpusError: there is no such text, or it is not in that encoding.
    """
    if name == "-":
        yield from decode(_unbuffered_blocks(standard_input()), STDIN, encoding, errors)
        return
    with closing(Source(name)) as source:
        yield from decode(source.blocks(), source.name, encoding, errors)


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
    spool.flush()
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
        raise CorpusError(
            f"{name} has no *.txt file (directories in it are not searched); "
            "name the files themselves"
        )
    return files


def text_blocks(
    sources: Sequence[Source],
    reading: Reading,
    report: Callable[[int], None],
    labels: LabelReader | None = None,
) -> Iterator[Codes]:
    """The characters of all texts in blocks, in the narrowest types.

    `reading.end` follows each document that is not empty. `report` is called with the number of
    bytes of each block that is read. With `labels`, a line begins with the code of its label.

    Raises:
        CorpusError: with `labels`, a line is not `label<TAB>text`.
    """
    for source in sources:
        raw = _reported(source.blocks(), report)
        blocks = decode_codes(raw, source.name, reading.encoding, reading.errors)
        ended = ended_lines(blocks) if reading.lines else _ended_file(blocks)
        try:
            yield from ended if labels is None else labels.read(ended)
        except BadLineError as bad:
            number = _line_number(source, reading, bad.number)
            raise CorpusError(f"line {number:,} of {source.name} {bad}") from None


def _line_number(source: Source, reading: Reading, nonempty: int) -> int:
    """The number of a line, given its number among those that are not empty."""
    texts = decode(source.blocks(), source.name, reading.encoding, reading.errors)
    lines = (line for batch in _split_lines(texts) for line in batch)
    numbers = (number for number, line in enumerate(lines, 1) if line)
    return next(islice(numbers, nonempty - 1, None))


def _reported(blocks: Iterator[bytes], report: Callable[[int], None]) -> Iterator[bytes]:
    for block in blocks:
        yield block
        report(len(block))


def _ended_file(blocks: Iterator[Codes]) -> Iterator[Codes]:
    empty = True
    for block in blocks:
        empty = False
        yield block
    if not empty:
        yield np.array([END], np.uint32)
