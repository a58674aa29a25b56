"""Files of arrays that are memory-mapped as they lie, with their description at the end.

So arrays of unknown length can be written one after another, block by block. A file is complete
only if its size is what the description says. Knows nothing of texts or where such files are kept.

Layout: the arrays, each aligned to ALIGNMENT bytes; JSON {"arrays": {name: [type, offset, length]},
"facts": {...}}; MARK and the length of the JSON, in 8 bytes each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
MARK = b"charrnn\n"
TRAILER = 16
MAX_DESCRIPTION = 1 << 22
"""Bytes; the largest vocabulary needs an eighth of it."""
TYPES = ("|u1", "<u2", "<u4", "<i8")


@dataclass(frozen=True)
class ArrayFile:
    """The contents of a file: memory-mapped arrays, all (N,), and facts about them."""

    arrays: Mapping[str, npt.NDArray[Any]]
    facts: Mapping[str, Any]


class ArrayWriter:
    """Writes arrays to an open file, which is at its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0
        self._arrays: dict[str, list[Any]] = {}

    def add(self, name: str, blocks: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> int:
        """Write the array that `blocks` make up -> its length."""
        self._put(bytes(-self._size % ALIGNMENT))
        offset, length = self._size, 0
        stored = np.dtype(dtype).newbyteorder("<")
        for block in blocks:
            self._put(np.ascontiguousarray(block, stored).data)
            length += len(block)
        self._arrays[name] = [stored.str, offset, length]
        return length

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write the description, with `facts`."""
        description = json.dumps({"arrays": self._arrays, "facts": dict(facts)}).encode()
        self._put(description + MARK + len(description).to_bytes(8, "little"))
        self._file.flush()

    def _put(self, data: bytes | memoryview) -> None:
        """Writing to a memory map instead would raise SIGBUS on a full disk."""
        self._file.write(data)
        self._size += len(data) if isinstance(data, bytes) else data.nbytes


def read_arrays(file: BinaryIO) -> ArrayFile:
    """Map the arrays of an open file; they stay valid after it is closed.

    Raises:
        ValueError, LookupError, TypeError, RecursionError, OSError: it is damaged or incomplete.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(size - TRAILER)
    trailer = file.read(TRAILER)
    length = int.from_bytes(trailer[8:], "little")
    if trailer[:8] != MARK or length > MAX_DESCRIPTION:
        raise ValueError("not a file of arrays")
    end = file.seek(size - TRAILER - length)
    described = json.loads(file.read(length))
    arrays = {}
    last = 0
    for name, (stored, offset, count) in described["arrays"].items():
        if stored not in TYPES or offset % ALIGNMENT or not last <= offset or count < 0:
            raise ValueError("impossible array")
        dtype = np.dtype(stored)
        last = offset + count * dtype.itemsize
        arrays[name] = _mapped(file, dtype, offset, count)
    if last != end:
        raise ValueError("incomplete")
    return ArrayFile(arrays, described["facts"])


def _mapped(
    file: BinaryIO, dtype: np.dtype[Any], offset: int, count: int
) -> npt.NDArray[Any]:
    if not count:  # nothing can be mapped
        return np.empty(0, dtype)
    return np.memmap(file, dtype, "r", offset, (count,))
