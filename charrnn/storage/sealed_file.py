"""Read a sealed file and check its SHA-256 in a thread, while the caller does something else.

Knows the seal in the header, not the arrays. Needs no NumPy: a large model is read while NumPy is
being imported.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from pathlib import Path

from charrnn.errors import CharRNNError, CheckpointError
from charrnn.platform import large_buffer
from charrnn.storage.files import explain
from charrnn.storage.header import REMEDY, header_length, open_regular

NO_DIGEST = "0" * 64
LARGE = 1 << 20
"""Bytes; a smaller file is read and checked in less time than a thread takes to start."""
SEAL = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')


class SealedFile:
    """The bytes of a file, all read at once: what happens to the file later changes nothing.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        """Begin to read; errors are raised by `data` and `check`."""
        self.path = path
        self._data = memoryview(b"")
        self._unreadable: CheckpointError | None = None
        self._damage: CharRNNError | None = None
        self._has_read = threading.Event()
        self._thread: threading.Thread | None = None
        if _size(path) < LARGE:
            self._read_and_check()
        else:
            self._thread = threading.Thread(target=self._read_and_check)
            self._thread.start()

    def data(self) -> memoryview:
        """Wait for the whole file.

        Raises:
            CheckpointError: it cannot be read.
        """
        self._has_read.wait()
        if self._unreadable is not None:
            raise self._unreadable
        return self._data

    def check(self) -> None:
        """Wait for the SHA-256.

        Raises:
            CheckpointError: it is not what the file says, or the file says none.
        """
        if self._thread is not None:
            self._thread.join()
        if self._damage is not None:
            raise self._damage

    def _read_and_check(self) -> None:
        try:
            self._data = _read(self.path)
        except CheckpointError as error:
            self._unreadable = error
            return
        finally:
            self._has_read.set()
        try:
            _check_seal(self._data)
        except CharRNNError as error:
            self._damage = error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # reading it tells what is wrong
        return 0


def _read(path: Path) -> memoryview:
    """The whole file."""
    try:
        with open_regular(path) as file:
            data = large_buffer(os.fstat(file.fileno()).st_size)
            return data[: file.readinto(data)]
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {explain(error)}; {REMEDY}") from None


def _check_seal(data: memoryview) -> None:
    seal = find_seal(data)
    start, stop = seal.span(1)
    whole = hashlib.sha256(data[:start])
    whole.update(NO_DIGEST.encode())
    whole.update(data[stop:])
    if whole.hexdigest().encode() != seal[1]:
        raise CheckpointError("its SHA-256 does not match: the file is damaged; copy it again")


def find_seal(data: bytes | memoryview) -> re.Match[bytes]:
    """Where the SHA-256 stands in a file.

    Raises:
        CheckpointError: nowhere, or more than once.
    """
    seals = list(SEAL.finditer(data, 8, 8 + header_length(data)))
    if len(seals) != 1:
        raise CheckpointError(f"it was not written by charrnn; {REMEDY}")
    return seals[0]
