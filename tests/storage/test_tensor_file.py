from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from charrnn.arrays import Array
from charrnn.errors import CheckpointError, SettingsError
from charrnn.storage import tensor_file
from charrnn.storage.files import TEMPORARY_SUFFIX, OutputError
from charrnn.storage.header import Description
from charrnn.storage.sealed_file import LARGE, SealedFile
from charrnn.storage.tensor_file import Expectation, Specification

DESCRIPTION = {"kind": "test", "text": "é \u2028 \\", "numbers": [1, 2.5, None, True]}
ARRAYS: dict[str, Array] = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "count": np.array(7, np.uint64),
    "empty": np.zeros((0, 4), np.float64),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner),
    max_leaves=8,
)


def expecting(arrays: Mapping[str, Array]) -> Expectation:
    def expected(description: Description) -> Mapping[str, Specification]:
        return {name: (array.dtype.name, array.shape) for name, array in arrays.items()}

    return expected


def read_bytes(data: bytes, arrays: Mapping[str, Array] = ARRAYS) -> tuple[Any, dict[str, Array]]:
    path = Path("file.safetensors")
    path.write_bytes(data)
    return tensor_file.read(path, expecting(arrays))


def sealed(header: bytes, body: bytes) -> bytes:
    """A file with a valid digest and any header."""
    zeros = b"0" * 64
    assert header.count(zeros) == 1
    header += b" " * (-len(header) % 8)
    whole = struct.pack("<Q", len(header)) + header + body
    return whole.replace(zeros, hashlib.sha256(whole).hexdigest().encode())


def header_of(description: str, **entries: Any) -> bytes:
    return json.dumps({"__metadata__": {"charrnn": description}, **entries}).encode()


ZEROS = "0" * 64
GOOD = json.dumps({"sha256": ZEROS}, separators=(",", ":"))


def test_what_is_written_is_read() -> None:
    description, arrays = read_bytes(tensor_file.encode(DESCRIPTION, ARRAYS))
    assert description == DESCRIPTION
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert np.array_equal(arrays[name], array)


@given(
    st.dictionaries(st.text("abcé. \"\\", min_size=1), JSON).filter(lambda d: "sha256" not in d),
    arrays_of.arrays(
        st.sampled_from(list(tensor_file.DTYPES.values())), arrays_of.array_shapes(min_dims=0)
    ),
)
def test_any_description_and_array_survive(description: dict[str, Any], array: Array) -> None:
    data = tensor_file.encode(description, {"x": array})
    found, arrays = read_bytes(data, {"x": array})
    assert found == description
    assert arrays["x"].tobytes() == array.tobytes()


def test_a_header_of_any_length_is_no_pickle_or_archive() -> None:
    beginnings = set()
    for length in range(0x4B50 - 300, 0x4B50 + 300, 4):
        data = tensor_file.encode({"text": "x" * length}, {})
        beginnings.add(data[:1])
        assert read_bytes(data, {})[0] == {"text": "x" * length}
    assert {b"\x80", b"P"} <= beginnings  # as a pickle and a zip archive begin


def test_equal_contents_give_equal_bytes() -> None:
    again = {name: ARRAYS[name].copy() for name in reversed(ARRAYS)}
    again["a.weight"] = np.asfortranarray(again["a.weight"])
    description = dict(reversed(DESCRIPTION.items()))
    assert tensor_file.encode(description, again) == tensor_file.encode(DESCRIPTION, ARRAYS)


def test_the_digest_covers_every_byte() -> None:
    data = tensor_file.encode(DESCRIPTION, ARRAYS)
    path = Path("file.safetensors")
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(CheckpointError, match=r"file\.safetensors is not a usable checkpoint"):
            tensor_file.read(path, expecting(ARRAYS))


def test_a_large_file_is_checked_in_a_thread() -> None:
    arrays = {"large": np.arange(LARGE // 4, dtype=np.float32)}
    data = bytearray(tensor_file.encode(DESCRIPTION, arrays))
    _, found = read_bytes(bytes(data), arrays)
    np.testing.assert_array_equal(found["large"], arrays["large"])
    data[-1] ^= 1
    with pytest.raises(CheckpointError, match="SHA-256 does not match"):
        read_bytes(bytes(data), arrays)


@pytest.mark.parametrize("size", [LARGE, 100])
def test_a_file_that_changes_while_it_is_read_ahead(size: int) -> None:
    arrays = {"values": np.arange(size // 4, dtype=np.float32)}
    path = Path("file.safetensors")
    path.write_bytes(tensor_file.encode(DESCRIPTION, arrays))
    file = SealedFile(path)
    file.data()
    with path.open("r+b") as changed:
        changed.truncate(50)
    _, found = tensor_file.read(file, expecting(arrays))
    np.testing.assert_array_equal(found["values"], arrays["values"])


def test_what_is_wrong_with_a_file_that_is_read_ahead_is_told_when_it_is_used() -> None:
    file = SealedFile(Path("missing.safetensors"))
    with pytest.raises(CheckpointError, match=r"cannot read missing\.safetensors"):
        tensor_file.read(file, expecting({}))


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place() -> None:
    data = tensor_file.encode(DESCRIPTION, ARRAYS)
    length = struct.unpack("<Q", data[:8])[0]
    metadata = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["charrnn"])
    digest = metadata["sha256"].encode()
    assert hashlib.sha256(data.replace(digest, b"0" * 64)).hexdigest().encode() == digest


@pytest.mark.parametrize("length", [0, 4, 8, 60, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    data = tensor_file.encode(DESCRIPTION, ARRAYS)
    with pytest.raises(CheckpointError, match=r"truncated|damaged"):
        read_bytes(data[:length])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        read_bytes(tensor_file.encode(DESCRIPTION, ARRAYS) + b"\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps({"weights": 1}), "a pickle; such files can run code"),
        (b"GGUF\3\0\0\0", "a GGUF file"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (b"To be, or not to be, that is the question", "not a safetensors file"),
        (b"\xff" * 100, "not a safetensors file"),
        (struct.pack("<Q", 2) + b"{}", "not written by charrnn"),
    ],
)
def test_other_files_are_named_for_what_they_are(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"{message}.*written by charrnn"):
        read_bytes(data)


def test_a_zip_archive_is_refused() -> None:
    with zipfile.ZipFile("model.pt", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(CheckpointError, match=r"a zip archive, perhaps a PyTorch \.pt file"):
        tensor_file.read(Path("model.pt"), expecting({}))


@pytest.mark.parametrize(
    ("header", "body", "message"),
    [
        (header_of(GOOD)[:-1], b"", "not valid JSON"),
        (header_of(GOOD, x={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}), b"\0" * 4,
         "unexpected array 'x'"),
        (header_of(json.dumps({"a": 1, "sha256": ZEROS}, separators=(",", ":"))).replace(
            b'"__metadata__"', b'"x": NaN, "__metadata__"'), b"", "holds NaN"),
        (header_of(GOOD).replace(b'"__metadata__"', b'"y": 1, "y": 2, "__metadata__"'), b"",
         "repeats a key"),
        (header_of(GOOD).replace(b'{\\"', b'[{\\"').replace(b'\\"}', b'\\"}]'), b"",
         "no description"),
        (header_of(GOOD).replace(b'"charrnn"', b'"strange"'), b"", "no description"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    header: bytes, body: bytes, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_bytes(sealed(header, body), {})


@pytest.mark.parametrize(
    ("entry", "body"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, 4),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, 4),
        ({"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}, 12),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, 8),
        ({"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}, 16),
        ({"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": None, "data_offsets": [0, 8]}, 8),
        ({"dtype": "Q9", "shape": [2], "data_offsets": [0, 8]}, 8),
        ({}, 8),
    ],
)
def test_arrays_that_do_not_fit_their_bytes_or_their_description_are_refused(
    entry: dict[str, Any], body: int
) -> None:
    with pytest.raises(CheckpointError):
        read_bytes(sealed(header_of(GOOD, x=entry), b"\0" * body), {"x": np.zeros(2, np.float32)})


def test_what_the_description_announces_must_be_there() -> None:
    data = tensor_file.encode(DESCRIPTION, {"a": np.zeros(1)})
    with pytest.raises(CheckpointError, match="lacks array 'b'"):
        read_bytes(data, {"a": np.zeros(1), "b": np.zeros(1)})


def test_a_description_that_the_reader_refuses_is_no_checkpoint() -> None:
    def refuse(description: Description) -> Mapping[str, Specification]:
        raise SettingsError("hidden must be 1 or more")

    Path("file").write_bytes(tensor_file.encode({}, {}))
    with pytest.raises(CheckpointError, match="file is not a usable checkpoint: hidden must be 1"):
        tensor_file.read(Path("file"), refuse)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        tensor_file.encode({"loss": value}, {})


def test_a_pipe_a_device_and_a_directory_are_refused_at_once() -> None:
    os.mkfifo("pipe")
    Path("directory").mkdir()
    for name, message in (
        ("pipe", "pipe is a pipe, not a checkpoint"),
        ("/dev/zero", "not a regular file, not a checkpoint"),
        ("directory", "cannot read directory: is a directory"),
        ("missing", "cannot read missing: no such file"),
    ):
        with pytest.raises(CheckpointError, match=f"{message}.*name a run directory"):
            tensor_file.read(Path(name), expecting({}))


def test_writing_replaces_the_file_and_leaves_nothing_else() -> None:
    path = Path("file.safetensors")
    path.write_bytes(b"old")
    path.chmod(0o640)
    tensor_file.write(path, DESCRIPTION, ARRAYS)
    assert path.read_bytes() == tensor_file.encode(DESCRIPTION, ARRAYS)
    assert path.stat().st_mode & 0o777 == 0o640
    assert not list(Path().glob(f".*{TEMPORARY_SUFFIX}"))


def test_writing_through_a_link_keeps_the_link() -> None:
    Path("real").write_bytes(b"old")
    Path("link").symlink_to("real")
    tensor_file.write(Path("link"), {}, {})
    assert Path("link").is_symlink()
    assert Path("real").read_bytes() == tensor_file.encode({}, {})


def test_a_place_that_cannot_be_written_to_is_an_error_with_a_remedy() -> None:
    message = "cannot write missing/file: no such file.*choose another place"
    with pytest.raises(OutputError, match=message):
        tensor_file.write(Path("missing/file"), {}, {})
