"""Arrays and a JSON description in one safetensors file, sealed with a SHA-256.

Knows the file format, not what the arrays mean. A file is data: reading one
allocates no more than its own size, runs no code, and yields exactly the arrays that its
description announces.

Layout (https://huggingface.co/docs/safetensors): 8 bytes of header length, the header in JSON, the
arrays' bytes. The header's metadata has one key, `charrnn`: canonical JSON, with a field `sha256`
that covers the whole file (counted with that field's own digits as zeros).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import save

from charrnn.arrays import Array
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.storage.files import write_atomically
from charrnn.storage.header import (
    MAX_HEADER,
    METADATA_KEY,
    Description,
    description_of,
    header_length,
    one_line,
    strict_json,
)
from charrnn.storage.sealed_file import NO_DIGEST, SealedFile, find_seal

Specification: TypeAlias = tuple[str, tuple[int, ...]]
"""An array's dtype, by NumPy's name, and its shape."""
Expectation: TypeAlias = Callable[[Description], Mapping[str, Specification]]

FORMAT_VERSION = 2
"""The newest format. A file that needs nothing of version 2 is written as version 1."""
WRITERS = {1: "0.1", 2: "0.2"}
"""Format version -> the first charrnn that reads it."""
DTYPES = {
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I64": "int64",
}


def canonical_json(value: object) -> str:
    """The one way to write `value`: sorted keys, no spaces, ASCII, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def encode(description: Description, arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a sealed file; equal contents give equal bytes.

    Raises:
        CheckpointError: the description is too long.
    """
    metadata = {METADATA_KEY: canonical_json({**description, "sha256": NO_DIGEST})}
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    unsealed = save(contiguous, metadata)
    digest = hashlib.sha256(unsealed).hexdigest().encode()
    if int.from_bytes(unsealed[:8], "little") > MAX_HEADER:
        raise CheckpointError("the description of the run is too long; validate less often")
    start, stop = find_seal(unsealed).span(1)
    return b"".join([unsealed[:start], digest, unsealed[stop:]])


def write(path: Path, description: Description, arrays: Mapping[str, Array]) -> None:
    """Write a sealed file atomically.

    Raises:
        OutputError: it cannot be written; an older file is intact.
        CheckpointError: the description is too long; an older file is intact.
    """
    write_atomically(path, encode(description, arrays))


def read(
    source: Path | SealedFile, expected: Expectation
) -> tuple[Description, dict[str, Array]]:
    """Read a sealed file. The arrays share the memory that it was read into.

    Args:
        source: its path, or the file that is being read already.
        expected: the dtype and shape of every array, given the description; may raise
            CharRNNError.

    Raises:
        CheckpointError: it is missing, not a sealed file, damaged or inconsistent.
    """
    with opened(source, expected) as contents:
        return contents


@contextmanager
def opened(
    source: Path | SealedFile, expected: Expectation
) -> Iterator[tuple[Description, dict[str, Array]]]:
    """Like `read`, for a block that checks the contents while the SHA-256 is being computed.

    What the block finds wrong is reported like what is found here; the contents may be used only
    after it. If the file is damaged, that is what is reported, whatever else is wrong.
    """
    file = SealedFile(source) if isinstance(source, Path) else source
    data = file.data()
    try:
        try:
            length = header_length(data)
            header = strict_json(bytes(data[8 : 8 + length]))
            description = description_of(header)
            specifications = expected(description)
            _check_arrays(header, specifications)
            yield description, _arrays(data[8 + length :], header, specifications)
        finally:
            file.check()
    except (CharRNNError, RecursionError, TypeError, ValueError) as error:
        message = f"{file.path} is not a usable checkpoint: {one_line(error)}"
        raise CheckpointError(message) from error


def check_version(description: Description, kind: str) -> None:
    """Raise CheckpointError unless `description` is of this `kind` and of a known format."""
    version = description.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"its format_version is {version!r}, not a positive integer")
    if version > FORMAT_VERSION:
        needed = WRITERS.get(version) or description.get("needs") or "a newer release"
        raise CheckpointError(f"its format {version} needs charrnn >= {needed}; upgrade charrnn")
    if description.get("kind") != kind:
        raise CheckpointError(f"it holds {description.get('kind')!r}, not {kind!r}")


def _check_arrays(header: dict[str, Any], expected: Mapping[str, Specification]) -> None:
    """Require the expected names, dtypes and shapes."""
    found = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if found.keys() != expected.keys():
        name = min(found.keys() ^ expected.keys())
        state = "lacks" if name in expected else "has an unexpected"
        raise CheckpointError(f"it {state} array {name!r}")
    for name, (dtype, shape) in expected.items():
        entry = found[name]
        if not isinstance(entry, dict):
            raise CheckpointError(f"its header does not describe array {name!r}")
        actual = DTYPES.get(str(entry.get("dtype"))), entry.get("shape")
        if actual[0] != dtype or not _are(actual[1], list(shape)):
            raise CheckpointError(
                f"array {name!r} is {actual[0]} {actual[1]}, but its description requires "
                f"{dtype} {list(shape)}"
            )


def _arrays(
    data: memoryview, header: dict[str, Any], specifications: Mapping[str, Specification]
) -> dict[str, Array]:
    """The arrays in `data`, which must fill it without overlaps or gaps."""
    arrays: dict[str, Array] = {}
    begin = 0
    offsets = {name: header[name].get("data_offsets") for name in specifications}
    for name in sorted(specifications, key=lambda name: offsets[name]):
        dtype, shape = specifications[name]
        end = begin + math.prod(shape) * np.dtype(dtype).itemsize
        if not _are(offsets[name], [begin, end]) or end > len(data):
            raise CheckpointError(f"array {name!r} is not at its place in the file")
        arrays[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        begin = end
    if begin != len(data):
        raise CheckpointError("it goes on after its last array")
    return arrays


def _are(found: Any, wanted: list[int]) -> bool:
    """Whether a JSON value is this list of integers: 2.0 and true are none."""
    return bool(found == wanted and all(type(number) is int for number in found))
