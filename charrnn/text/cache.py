"""Encoded corpora on disk, as memory maps. Knows nothing of how a text is read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from charrnn.errors import CorpusError, VocabularyError
from charrnn.storage.files import (
    TEMPORARY_SUFFIX,
    OutputError,
    explain,
    make_directory,
    remove_abandoned_temporaries,
    write_atomically,
)
from charrnn.text.documents import Ids
from charrnn.text.reading import END
from charrnn.text.vocabulary import EOS, CodePoints, Vocabulary

CACHE_FORMAT = 1


def cache_directory() -> Path:
    """Where encoded corpora are kept: $CHARRNN_CACHE, else under the user's cache directory."""
    if own := os.environ.get("CHARRNN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "charrnn"
    except RuntimeError:  # a user without a home
        return Path(os.devnull) / "charrnn"


def cache_key(digest: str, min_count: int, vocabulary: Vocabulary | None) -> str:
    """The name of an entry: what was read, and how it was encoded."""
    points = "" if vocabulary is None else json.dumps(vocabulary.code_points)
    whole = f"{CACHE_FORMAT} {digest} {min_count if vocabulary is None else ''} {points}"
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def read_cache(key: str) -> tuple[Ids, tuple[int, ...], Vocabulary] | None:
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


def write_cache(
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
