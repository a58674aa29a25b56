"""Encoded corpora on disk, as memory maps: private to the user, and of limited size.

Knows nothing of how a text is read. An entry is one file of arrays, named by its key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn import platform
from charrnn.storage.files import OutputError, explain, make_directory, shared, temporary_for
from charrnn.storage.places import cache_directory
from charrnn.text.array_file import ArrayFile, ArrayWriter, read_arrays
from charrnn.text.vocabulary import Vocabulary

CACHE_FORMAT = 4
SUFFIX = ".ids"
SEEN = ".seen"
"""Of the records of texts that were read before."""
LIMIT = 24 << 30
"""Bytes of all entries together; the least recently used are removed first."""
NOTICED = 10**9
"""Bytes of all entries together; whoever goes beyond is told."""
DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a damaged entry raises."""
OLD_ENTRY = re.compile(r"[0-9a-f]{32}\.(npy|json)")
"""Files of format 1, which were readable by everyone and never removed."""


def cache_key(digest: str, min_count: int | None, vocabulary: Vocabulary | None) -> str:
    """The name of an entry: what was read, and how it was encoded."""
    points = "" if vocabulary is None else json.dumps(vocabulary.code_points)
    whole = f"{CACHE_FORMAT} {digest} {min_count if vocabulary is None else ''} {points}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def read_entry(key: str) -> ArrayFile | None:
    """The entry with this key; None if there is none, or it is damaged."""
    path = cache_directory() / f"{key}{SUFFIX}"
    with suppress(*DAMAGE):
        with path.open("rb") as file:
            entry = read_arrays(file)
        os.utime(path)  # marks the entry as used just now
        return entry
    return None


@dataclass(frozen=True)
class Entry:
    """What is known of an entry.

    Attributes:
        corpus: the names it was read from; "" if the entry is damaged or of an older version.
        part: "text", or "training text" for a copy without what is held out.
        bytes: of its file.
        used: when it was used last, in seconds since 1970.
        file: its path.
    """

    corpus: str
    part: str
    bytes: int
    used: float
    file: str


def list_cache() -> list[Entry]:
    """All entries, those used last first."""
    found = []
    for path in cache_directory().glob(f"*{SUFFIX}"):
        facts: Mapping[str, Any] = {}
        with suppress(*DAMAGE), path.open("rb") as file:
            facts = read_arrays(file).facts
        with suppress(OSError):  # another process may have removed it
            status = path.stat()
            corpus, part = str(facts.get("corpus", "")), str(facts.get("part", "text"))
            found.append(Entry(corpus, part, status.st_size, status.st_mtime, str(path)))
    return sorted(found, key=lambda entry: -entry.used)


def cache_size() -> int:
    """Bytes of all entries together."""
    return sum(entry.bytes for entry in list_cache())


def clear_cache(entries: Iterable[Entry], everything: bool) -> int:
    """Remove `entries`, and what interrupted processes left -> how many bytes that were.

    `everything`: remove the records of texts seen before, too.
    """
    directory = cache_directory()
    if not directory.is_dir():
        return 0
    before = _size_of(directory)
    with suppress(OSError), shared(directory):
        paths = [Path(entry.file) for entry in entries]
        for path in (*paths, *(directory.glob(f"*{SEEN}") if everything else ())):
            with suppress(OSError):
                path.unlink()
    return before - _size_of(directory)


def _size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file())


def write_entry(write: Callable[[ArrayWriter], str], size: int, keep: bool) -> ArrayFile:
    """Write an entry into the cache, or, if not `keep`, a temporary file without a name.

    Args:
        write: writes the arrays and finishes the file -> the entry's key.
        size: its bytes, at most.
        keep: whether the text may stay on disk; text that came through a pipe may not.

    Raises:
        OutputError: the disk is full.
    """
    try:
        directory = _open_cache() if keep and size <= LIMIT else None
        if directory is not None:
            with shared(directory):
                _make_space(directory, size)
                return _write_kept(directory, write)
        with tempfile.TemporaryFile() as file:  # a memory map stays valid after it is closed
            write(ArrayWriter(file))
            return read_arrays(file)
    except OSError as error:
        raise OutputError(
            f"cannot write the encoded corpus: {explain(error)}; set CHARRNN_CACHE to a "
            "directory with more space"
        ) from error


def _write_kept(directory: Path, write: Callable[[ArrayWriter], str]) -> ArrayFile:
    partial = temporary_for(directory / f"entry{SUFFIX}")
    try:
        # Within: a signal that comes while the file is created is raised as soon as it is.
        with open(os.open(partial, platform.WRITING, 0o600), "wb") as file:
            key = write(ArrayWriter(file))
            platform.sync(file.fileno())
        os.replace(partial, directory / f"{key}{SUFFIX}")
    finally:
        partial.unlink(missing_ok=True)
    with (directory / f"{key}{SUFFIX}").open("rb") as written:
        return read_arrays(written)


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
