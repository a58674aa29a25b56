from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charrnn.text.array_file import ArrayFile, ArrayWriter, read_arrays


def written(path: Path) -> ArrayFile:
    with path.open("wb") as file:
        writer = ArrayWriter(file)
        assert writer.add("small", [np.array([1, 2]), np.array([3])], np.uint8) == 3
        assert writer.add("none", [], np.int64) == 0
        assert writer.add("large", [np.array([2**40, -1])], np.int64) == 2
        writer.finish({"colour": "green"})
    with path.open("rb") as file:
        return read_arrays(file)


def test_arrays_are_mapped_as_they_were_written() -> None:
    found = written(Path("file"))
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        "small": [1, 2, 3], "none": [], "large": [2**40, -1]
    }
    assert [array.dtype for array in found.arrays.values()] == [np.uint8, np.int64, np.int64]
    assert found.facts == {"colour": "green"}
    assert isinstance(found.arrays["large"], np.memmap)


def test_a_file_that_was_cut_or_extended_is_refused() -> None:
    path = Path("file")
    written(path)
    data = path.read_bytes()
    for damaged in (*(data[:end] for end in range(len(data))), data + b"\0", b"\0" + data):
        path.write_bytes(damaged)
        with path.open("rb") as file, pytest.raises((ValueError, LookupError, TypeError, OSError)):
            read_arrays(file)
