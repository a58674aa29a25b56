"""Read the description in the header of a sealed file, without NumPy: completion needs no arrays.

The file format is that of tensor_file.py.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

from charrnn.errors import CharRNNError, CheckpointError
from charrnn.platform import READING

Description: TypeAlias = dict[str, Any]
METADATA_KEY = "charrnn"
MAX_HEADER = 1 << 21
"""In bytes. Parsed JSON can take 25 times the memory of its text; 50 MB are acceptable."""
FOREIGN_SIGNATURES = (  # first bytes of files that could be mistaken for checkpoints
    (b"PK", "a zip archive, perhaps a PyTorch .pt file; such files can run code when opened"),
    (b"\x80", "a pickle; such files can run code when opened"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
)
MAX_SIGNATURE = 8
REMEDY = "name a run directory or a model.safetensors written by charrnn train"


def read_description(path: Path) -> Description:
    """The description of a sealed file, without reading its arrays or checking its SHA-256.

    Raises:
        CheckpointError: it is missing, not a sealed file, or its size is not what its header says.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(min(size, 8 + MAX_HEADER))
        length = header_length(beginning)
        header = strict_json(beginning[8 : 8 + length])
        description = description_of(header)
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        if size != 8 + length + max(ends, default=0):
            raise CheckpointError("its size is not what its header says: it is truncated")
    except (CharRNNError, RecursionError, TypeError, ValueError, LookupError, OSError) as error:
        raise CheckpointError(f"{path} is not a usable checkpoint: {one_line(error)}") from error
    return description


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a file for reading; never waits for a pipe or opens a device."""
    descriptor = os.open(path, READING)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a pipe" if stat.S_ISFIFO(mode) else "not a regular file"
            raise CheckpointError(f"{path} is {kind}, not a checkpoint; {REMEDY}")
        yield file


def header_length(data: bytes | memoryview) -> int:
    """The length of the header that begins after 8 bytes of a file.

    Raises:
        CheckpointError: it is no such file.
    """
    length = int.from_bytes(data[:8], "little")
    if bytes(data[8:9]) == b"{" and 2 <= length <= min(MAX_HEADER, len(data) - 8):
        return length  # checked first: a length may have the first byte of a pickle
    beginning = bytes(data[:MAX_SIGNATURE])
    kind = foreign_kind(beginning) or "truncated or not a safetensors file"
    raise CheckpointError(f"it is {kind}; {REMEDY}")


def foreign_kind(beginning: bytes) -> str | None:
    """The kind of an unsealed file, recognised by its first bytes; None if unknown."""
    kinds = (kind for signature, kind in FOREIGN_SIGNATURES if beginning.startswith(signature))
    return next(kinds, None)


def strict_json(text: bytes | str) -> Any:
    """Parse JSON without NaN, infinity or repeated keys.

    Raises:
        CheckpointError: it is not such JSON.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_no_repeats,
            parse_constant=_no_constant,
            parse_float=_finite_float,
        )
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its header is not valid JSON ({one_line(error)})") from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("its header repeats a key")
    return found


def _no_constant(name: str) -> float:
    raise CheckpointError(f"its header holds {name}, which is not a number")


def _finite_float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text[:20])


def description_of(header: Any) -> Description:
    """The description in a header, without its SHA-256.

    Raises:
        CheckpointError: there is none.
    """
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    description = strict_json(text) if isinstance(text, str) else None
    if not isinstance(description, dict):
        raise CheckpointError(f"its header has no description by charrnn; {REMEDY}")
    description.pop("sha256", None)
    return description


def one_line(error: Exception) -> str:
    """What an error says, shortened."""
    return " ".join(str(error).split())[:300]
