"""Encoded corpora on disk, as memory maps: private to the user, and of limited size.

Knows nothing of how a text is read. An entry is one file: a line of JSON, the vocabulary and how
many ids there are, padded to a multiple of ALIGNMENT bytes; then the ids.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from charrnn import platform
from charrnn.errors import CorpusError, VocabularyError
from charrnn.storage.files import OutputError, explain, make_directory, shared, temporary_for
from charrnn.storage.places import cache_directory
from charrnn.text.documents import Ids
from charrnn.text.reading import END
from charrnn.text.vocabulary import EOS, CodePoints, Vocabulary

CACHE_FORMAT = 2
SUFFIX = ".ids"
LIMIT = 8 << 30
"""Bytes of all entries together; the least recently used are removed first."""
ALIGNMENT = 64
MAX_HEADER = 1 << 20
"""Bytes; the largest vocabulary needs half as many."""
OLD_ENTRY = re.compile(r"[0-9a-f]{32}\.(npy|json)")
"""Files of format 1, which were readable by everyone and never removed."""


def cache_key(digest: str, min_count: int, vocabulary: Vocabulary | None) -> str:
    """The name of an entry: what was read, and how it was encoded."""
    points = "" if vocabulary is None else json.dumps(vocabulary.code_points)
    whole = f"{CACHE_FORMAT} {digest} {min_count if vocabulary is None else ''} {points}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def read_cache(key: str) -> tuple[Ids, Vocabulary] | None:
    """The ids and vocabulary of an entry; None if there is none, or it is damaged."""
    path = cache_directory() / f"{key}{SUFFIX}"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError, VocabularyError):
        with path.open("rb") as file:
            header = file.readline(MAX_HEADER)
        described = json.loads(header)
        vocabulary = Vocabulary(tuple(described["code_points"]))
        length, dtype = described["length"], np.dtype(vocabulary.dtype)
        if path.stat().st_size == len(header) + length * dtype.itemsize:
            ids = np.memmap(path, dtype, "r", len(header), (length,))
            os.utime(path)  # marks the entry as used just now
            return ids, vocabulary
    return None


def write_cache(
    key: str, blocks: Iterator[CodePoints], length: int, vocabulary: Vocabulary, keep: bool
) -> Ids:
    """Encode `blocks` into the cache, or, if not `keep`, into a temporary file without a name.

    Args:
        key: the entry's name.
        blocks: code points, with END after each document.
        length: how many there are.
        vocabulary: what they are encoded with.
        keep: whether the text may stay on disk; text that came through a pipe may not.

    Returns:
        (length,) ids, as a memory map.

    Raises:
        CorpusError: there are more or fewer than `length`.
        OutputError: the disk is full.
    """
    header = _header(length, vocabulary)
    size = len(header) + length * np.dtype(vocabulary.dtype).itemsize
    try:
        directory = _open_cache() if keep and size <= LIMIT else None
        if directory is not None:
            path = directory / f"{key}{SUFFIX}"
            with shared(directory):
                _make_space(directory, size)
                _write_entry(path, header, blocks, length, vocabulary)
                return np.memmap(path, vocabulary.dtype, "r", len(header), (length,))
        with tempfile.TemporaryFile() as file:  # the memory map stays valid after it is closed
            _write_ids(file, header, blocks, length, vocabulary)
            return np.memmap(file, vocabulary.dtype, "r", len(header), (length,))
    except OSError as error:
        raise OutputError(
            f"cannot write the encoded corpus: {explain(error)}; set CHARRNN_CACHE to a "
            "directory with more space"
        ) from error


def _header(length: int, vocabulary: Vocabulary) -> bytes:
    described = json.dumps({"code_points": vocabulary.code_points, "length": length}).encode()
    return described + b" " * (-(len(described) + 1) % ALIGNMENT) + b"\n"


def _open_cache() -> Path | None:
    """The cache's directory, private if it is new; None if it cannot be created or written."""
    directory = cache_directory()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        make_directory(directory)
    except (OutputError, OSError):
        return None
    return directory


def _make_space(directory: Path, size: int) -> None:
    """Remove the least recently used entries, so that `size` more bytes stay within LIMIT.

    A run that has one of them mapped can go on reading it: on POSIX a removed file exists as long
    as its memory map, and other systems refuse to remove it.
    """
    for path in directory.iterdir():
        if OLD_ENTRY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
    entries = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(OSError):  # another run may have removed it
            status = path.stat()
            entries.append((status.st_mtime_ns, path, status.st_size))
    excess = sum(bytes_used for _, _, bytes_used in entries) + size - LIMIT
    for _, path, bytes_used in sorted(entries):
        if excess <= 0:
            return
        with suppress(OSError):
            path.unlink()
            excess -= bytes_used


def _write_entry(
    path: Path, header: bytes, blocks: Iterator[CodePoints], length: int, vocabulary: Vocabulary
) -> None:
    partial = temporary_for(path)
    descriptor = os.open(partial, platform.WRITING, 0o600)
    try:
        with open(descriptor, "wb") as file:
            _write_ids(file, header, blocks, length, vocabulary)
            platform.sync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_ids(
    file: BinaryIO, header: bytes, blocks: Iterator[CodePoints], length: int, vocabulary: Vocabulary
) -> None:
    """Write an entry to an open file.

    Writing to a memory map instead would raise SIGBUS on a full disk.
    """
    written = 0
    file.write(header)
    for block in blocks:
        encoded = vocabulary.encode_code_points(block)
        encoded[block == END] = EOS
        file.write(encoded.tobytes())
        written += len(encoded)
    file.flush()
    if written != length:
        raise CorpusError("the corpus changed while it was read; run the command again")
