"""Files, directories and standard input -> encoded, memory-mapped ids of documents.

Knows encodings, documents and the cache; nothing of models or training. A corpus is a sequence of
documents, each ended by EOS; text is kept exactly as it is. Everything is streamed: memory does
not grow with the corpus.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError, VocabularyError
from charrnn.storage.files import (
    TEMPORARY_SUFFIX,
    OutputError,
    explain,
    make_directory,
    remove_abandoned_temporaries,
    write_atomically,
)
from charrnn.text.vocabulary import (
    EOS,
    UNK,
    CodePoints,
    Vocabulary,
    count_code_points,
    vocabulary_of_counts,
)

Ids: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 20
MAX_IN_MEMORY = 1 << 26
END = 0x110000
"""Stands for the end of a document in a stream of code points: no character has this value."""
CARRIAGE_RETURN, NEWLINE = 0x0D, 0x0A
BYTE_ORDER_MARKS = (  # the longer first: UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ERRORS = ("strict", "replace")
"""Refuse bytes that are no text, or read them as U+FFFD."""
CACHE_FORMAT = 1


@dataclass(frozen=True)
class Reading:
    """How texts are read.

    Attributes:
        lines: each line is a document, without its newline (LF or CRLF); empty lines are none.
            Otherwise each file is one.
        encoding: a Python codec; with "utf-8" a byte-order mark overrules it.
        errors: what becomes of bytes that are no text: a member of ERRORS.
    """

    lines: bool = False
    encoding: str = "utf-8"
    errors: str = "strict"

    def __post_init__(self) -> None:
        try:
            "a".encode(self.encoding)  # refuses codecs that are not of text: rot13, base64
            codecs.getincrementaldecoder(self.encoding)
        except (LookupError, ValueError):
            raise CorpusError(
                f"unknown encoding {self.encoding!r}; try utf-8, utf-16, latin-1 or cp1252"
            ) from None


@dataclass(frozen=True)
class Documents:
    """Texts to be predicted, as spans of one id array: document d is ids[start : start + length].

    Attributes:
        ids: (N,) ids.
        starts: (D,) where each document begins.
        lengths: (D,) how many ids of it are predicted; its EOS is among them if it counts.
    """

    ids: Ids
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @property
    def characters(self) -> int:
        """How many ids are predicted in all."""
        return int(self.lengths.sum())

    def spread(self, most: int) -> Documents:
        """All, or at most `most` characters of them, in stretches spread evenly over the whole."""
        total = self.characters
        if total <= most:
            return self
        count = min(20, most)
        firsts = total * np.arange(count) // count  # counted in predicted characters
        ends = self.lengths.cumsum()
        starts, lengths = [], []
        for first in firsts:
            stop = first + most // count
            begin, last = np.searchsorted(ends, (first, stop - 1), "right")
            which = np.arange(begin, last + 1)
            before = ends[which] - self.lengths[which]
            begins = np.maximum(first, before)
            starts.append(self.starts[which] + begins - before)
            lengths.append(np.minimum(stop, ends[which]) - begins)
        return Documents(self.ids, np.concatenate(starts), np.concatenate(lengths))

    @property
    def unknown(self) -> int:
        """How many of them are UNK. Only documents' EOS can lie between the spans."""
        return count_id(self.ids, UNK)


def count_id(ids: Ids, wanted: int) -> int:
    """How many of `ids` are `wanted`; as much memory for a long text as for a short one."""
    return sum(int(np.count_nonzero(block == wanted)) for block in _blocks(ids))


def find_id(ids: Ids, wanted: int) -> npt.NDArray[np.int64]:
    """The positions in `ids` of `wanted`; beside them, memory as for a short text."""
    found = (
        np.flatnonzero(block == wanted) + number * BLOCK
        for number, block in enumerate(_blocks(ids))
    )
    return np.concatenate([*found, np.empty(0, np.int64)])


def _blocks(ids: Ids) -> Iterator[Ids]:
    return (ids[at : at + BLOCK] for at in range(0, len(ids), BLOCK))


def _joined(pieces: Sequence[Ids]) -> Ids:
    """All pieces one after the other: in memory, or mapped if they are long."""
    if len(pieces) == 1:
        return pieces[0]
    if sum(piece.nbytes for piece in pieces) <= MAX_IN_MEMORY:
        return np.concatenate(pieces)
    with tempfile.TemporaryFile() as file:  # the map outlives it
        for piece in pieces:
            for block in _blocks(piece):
                file.write(block.tobytes())
        file.flush()
        return np.memmap(file, pieces[0].dtype, mode="r")


def documents_of(pieces: Sequence[Ids], with_eos: bool) -> Documents:
    """The documents in `pieces`, id arrays in which EOS ends each one; the last may lack it."""
    ids = _joined(pieces)
    edges = np.cumsum([0, *(len(piece) for piece in pieces)])
    ends = find_id(ids, EOS)
    stops = np.union1d(ends + 1, edges[1:])
    starts = np.concatenate([[0], stops[:-1]]) if len(stops) else stops
    ended = np.isin(stops - 1, ends)
    lengths = stops - starts - (ended & (not with_eos))
    kept = lengths > 0
    return Documents(ids, starts[kept].astype(np.int64), lengths[kept].astype(np.int64))


@dataclass(frozen=True)
class Corpus:
    """Encoded text.

    Attributes:
        ids: (N,) ids of all documents, each ended by EOS; usually a memory map.
        part_ends: where in `ids` each corpus that was named ends.
        vocabulary: what the ids mean.
        reading: how the text was read.
        digest: SHA-256 of the bytes read and of how they were read.
        names: what was named.
    """

    ids: Ids
    part_ends: tuple[int, ...]
    vocabulary: Vocabulary
    reading: Reading
    digest: str
    names: tuple[str, ...]

    @cached_property
    def characters(self) -> int:
        """How many characters the corpus has, EOS not counted."""
        return len(self.ids) - count_id(self.ids, EOS)

    @property
    def unknown_characters(self) -> int:
        """How many of them are not in the vocabulary."""
        return count_id(self.ids, UNK)

    def documents(self) -> Documents:
        """All of it, to be predicted; with EOS where lines are documents."""
        return documents_of([self.ids], self.reading.lines)

    def split(self, fraction: float) -> tuple[Ids, Documents]:
        """The training part, and the last `fraction` of each corpus named as documents.

        Where lines are documents none is cut in two.
        """
        training: list[Ids] = []
        held_out: list[Ids] = []
        begin = 0
        for end in self.part_ends:
            part = self.ids[begin:end]
            cut = self._cut(part, fraction)
            training.append(part[:cut])
            held_out.append(part[cut:])
            begin = end
        return _joined(training), documents_of(held_out, self.reading.lines)

    def _cut(self, part: Ids, fraction: float) -> int:
        cut = len(part) - int(len(part) * fraction)
        if self.reading.lines:
            ends = find_id(part[:cut], EOS)
            return int(ends[-1]) + 1 if len(ends) else 0
        return cut


class Source:
    """One text's bytes, which can be read more than once.

    A regular file is read up to the length it had when opened; a pipe is spooled to a temporary
    file first.

    Raises:
        CorpusError: there is no such file, or it is neither a file nor a pipe.
    """

    def __init__(self, name: str) -> None:
        self.name = "standard input" if name == "-" else name
        self._digest: str | None = None
        try:
            self._file, self._length = self._open(name)
        except OSError as error:
            raise CorpusError(
                f"cannot read {self.name}: {explain(error)}; name a text file, a directory of "
                "*.txt files, or - for standard input"
            ) from None

    @staticmethod
    def _open(name: str) -> tuple[BinaryIO, int]:
        if name == "-":
            return _spool(standard_input())
        kind = os.stat(name)
        if stat.S_ISFIFO(kind.st_mode):
            with open(name, "rb") as pipe:
                return _spool(pipe)
        if not stat.S_ISREG(kind.st_mode):
            raise OSError(None, "neither a text file nor a pipe")
        file = open(name, "rb")  # noqa: SIM115 - stays open so that every pass reads one file
        return file, os.fstat(file.fileno()).st_size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def bytes(self) -> Iterator[bytes]:
        """Its bytes from the beginning, in blocks."""
        self._file.seek(0)
        rest = self._length
        digest = hashlib.sha256()
        while rest and (block := self._file.read(min(rest, BLOCK))):
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
            for _ in self.bytes():
                pass
        assert self._digest is not None
        return self._digest

    def code_points(self, encoding: str, errors: str = "strict") -> Iterator[CodePoints]:
        """Its characters from the beginning, in blocks.

        Raises:
            CorpusError: the bytes are not text in that encoding; gives the byte's offset.
        """
        if encoding.lower().replace("_", "-") in {"utf-8", "utf8"}:
            encoding = self._marked_encoding() or "utf-8"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        end = 0  # of the bytes decoded so far, and so of those that an error shows
        try:
            for block in chain(self.bytes(), [b""]):
                end += len(block)
                text = decoder.decode(block, final=not block)
                if text:
                    yield np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        except UnicodeDecodeError as error:
            offset = end - len(error.object) + error.start
            raise CorpusError(
                f"{self.name} is not {encoding} text: byte {error.object[error.start]:#04x} at "
                f"offset {offset:,} ({error.reason}); convert it to UTF-8, or name its --encoding "
                "(train, evaluate), for example latin-1 or cp1252, or give --errors replace"
            ) from None
        except UnicodeError as error:
            raise CorpusError(
                f"{self.name} is not {encoding} text ({error}); name its --encoding"
            ) from None

    def _marked_encoding(self) -> str | None:
        self._file.seek(0)
        beginning = self._file.read(4)
        for mark, encoding in BYTE_ORDER_MARKS:
            if beginning.startswith(mark):
                return encoding
        return None


def standard_input() -> BinaryIO:
    """Standard input, as bytes.

    Raises:
        CorpusError: it is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise CorpusError("standard input is closed; pipe text into it, or name a file")
    return sys.stdin.buffer


def _spool(stream: BinaryIO) -> tuple[BinaryIO, int]:
    spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its Source
    while block := stream.read(BLOCK):
        spool.write(block)
    return spool, spool.tell()


def find_sources(names: Sequence[str]) -> list[list[Source]]:
    """The texts of each corpus named: a file, `-`, or the *.txt files of a directory, sorted.

    Raises:
        CorpusError: nothing is there, or a directory has no *.txt file.
    """
    with ExitStack() as opened:
        parts = []
        for name in names:
            files = [name]
            if name != "-" and Path(name).is_dir():
                files = sorted(str(path) for path in Path(name).glob("*.txt"))
            if not files:
                raise CorpusError(f"{name} has no *.txt file; name the files themselves")
            parts.append([opened.enter_context(closing(Source(file))) for file in files])
        opened.pop_all()  # they stay open
        return parts


def load_corpus(
    names: Sequence[str],
    reading: Reading,
    min_count: int = 1,
    vocabulary: Vocabulary | None = None,
) -> Corpus:
    """Read and encode the corpora `names`, from the cache where they are known already.

    Args:
        names: files, directories, or `-`.
        reading: how to read them.
        min_count: characters rarer than this become UNK; used where no vocabulary is given.
        vocabulary: the one to encode with; without it, the corpus's own.

    Raises:
        CorpusError: a text is missing, empty or badly encoded.
        VocabularyError: there are no characters to learn, or too many.
    """
    parts = find_sources(names)
    try:
        digest = _digest(parts, reading)
        key = _cache_key(digest, min_count, vocabulary)
        encoded = _read_cache(key) or _encode(parts, reading, min_count, vocabulary, key)
        ids, part_ends, found = encoded
        return Corpus(ids, part_ends, found, reading, digest, tuple(names))
    finally:
        for part in parts:
            for source in part:
                source.close()


def find_encoded(digest: str, min_count: int) -> Ids | None:
    """The ids of the corpus with this digest, if it is still in the cache.

    They come in the order of the corpus, so its held-out ends are among them.
    """
    found = _read_cache(_cache_key(digest, min_count, None))
    return None if found is None else found[0]


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
    last = END  # the character before the block: an END here makes an empty first line no document
    held = np.empty(0, np.uint32)  # a carriage return whose newline may begin the next block
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


def _digest(parts: list[list[Source]], reading: Reading) -> str:
    whole = hashlib.sha256(f"{reading.lines} {reading.encoding} {reading.errors}".encode())
    for part in parts:
        whole.update(b"part")
        for source in part:
            whole.update(bytes.fromhex(source.digest()))
    return whole.hexdigest()


def _encode(
    parts: list[list[Source]],
    reading: Reading,
    min_count: int,
    vocabulary: Vocabulary | None,
    key: str,
) -> tuple[Ids, tuple[int, ...], Vocabulary]:
    counts = [
        count_code_points(block for source in part for block in code_point_blocks(source, reading))
        for part in parts
    ]
    for part, part_counts in zip(parts, counts, strict=True):
        if not part_counts[:END].any():
            names = ", ".join(source.name for source in part)
            raise CorpusError(f"{names} is empty; a corpus needs text")
    if vocabulary is None:
        vocabulary = vocabulary_of_counts(np.sum(counts, 0)[:END], min_count)
    part_ends = tuple(int(end) for end in np.cumsum([part.sum() for part in counts]))
    blocks = (
        block for part in parts for source in part for block in code_point_blocks(source, reading)
    )
    ids = _write_cache(key, blocks, part_ends, vocabulary)
    return ids, part_ends, vocabulary


def cache_directory() -> Path:
    """Where encoded corpora are kept: $CHARRNN_CACHE, else under the user's cache directory."""
    if own := os.environ.get("CHARRNN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "charrnn"
    except RuntimeError:  # a user without a home
        return Path(os.devnull) / "charrnn"


def _cache_key(digest: str, min_count: int, vocabulary: Vocabulary | None) -> str:
    points = "" if vocabulary is None else json.dumps(vocabulary.code_points)
    whole = f"{CACHE_FORMAT} {digest} {min_count if vocabulary is None else ''} {points}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _read_cache(key: str) -> tuple[Ids, tuple[int, ...], Vocabulary] | None:
    """What an earlier run encoded; anything odd about it counts as nothing there."""
    stem = cache_directory() / key
    with suppress(OSError, ValueError, LookupError, TypeError, EOFError, VocabularyError):
        described = json.loads(stem.with_suffix(".json").read_text(encoding="ascii"))
        vocabulary = Vocabulary(tuple(described["code_points"]))
        part_ends = tuple(described["part_ends"])
        ids = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        if ids.shape == (part_ends[-1],) and ids.dtype == vocabulary.dtype:
            return ids, part_ends, vocabulary
    return None


def _write_cache(
    key: str, blocks: Iterator[CodePoints], part_ends: tuple[int, ...], vocabulary: Vocabulary
) -> Ids:
    """Encode `blocks` into the cache; where there can be none, into a temporary file."""
    try:
        directory = cache_directory()
        try:
            make_directory(directory)
        except OutputError:
            with tempfile.TemporaryDirectory() as scratch:  # the map outlives the name on POSIX
                return _fill(Path(scratch) / "ids.npy", blocks, part_ends[-1], vocabulary)
        return _fill_cache(directory, key, blocks, part_ends, vocabulary)
    except OSError as error:
        raise OutputError(
            f"cannot write the encoded corpus: {explain(error)}; set CHARRNN_CACHE to a "
            "directory with more room"
        ) from error


def _fill_cache(
    directory: Path,
    key: str,
    blocks: Iterator[CodePoints],
    part_ends: tuple[int, ...],
    vocabulary: Vocabulary,
) -> Ids:
    stem = directory / key
    partial = directory / f".{key}.{os.getpid()}{TEMPORARY_SUFFIX}"
    described = {"code_points": vocabulary.code_points, "part_ends": part_ends}
    try:
        remove_abandoned_temporaries(directory)
        ids = _fill(partial, blocks, part_ends[-1], vocabulary)
        os.replace(partial, stem.with_suffix(".npy"))
        write_atomically(stem.with_suffix(".json"), json.dumps(described).encode())
        return ids
    finally:
        partial.unlink(missing_ok=True)


def _fill(path: Path, blocks: Iterator[CodePoints], length: int, vocabulary: Vocabulary) -> Ids:
    """Write the ids of `blocks` to a new file, durably, and map it.

    They are written, not filled into a map: on a full disk that would be a bus error.
    """
    descr = np.lib.format.dtype_to_descr(np.dtype(vocabulary.dtype))
    header = {"descr": descr, "fortran_order": False, "shape": (length,)}
    written = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            encoded = vocabulary.encode_code_points(block)
            encoded[block == END] = EOS
            file.write(encoded.tobytes())
            written += len(encoded)
        file.flush()
        os.fsync(file.fileno())
    if written != length:
        raise CorpusError("the corpus changed while it was read; run the command again")
    ids: Ids = np.load(path, mmap_mode="r", allow_pickle=False)
    return ids
