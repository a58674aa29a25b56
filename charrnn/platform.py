"""Everything that depends on the operating system, with a fallback where a system lacks it.

Signals that end a process, durable writes, locks on files, memory-mapped pages, the C library's
allocator. Other modules use only those parts of `os` and `signal` that every system has.
"""

from __future__ import annotations

import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

Fingerprint: TypeAlias = tuple[int, int, int, int, int]
"""Size, time of modification, time of change (both in ns), inode and device of a file."""
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
EXIT_STATUS = {
    number: 128 + number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None
}
"""Exit status for each signal that ends the program."""
READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to open a file for reading: do not wait for a pipe's writer, do not translate line ends."""
WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""Flags to create a file: an existing file or link of that name is an error."""
SPIN_COUNT = "1000"
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
KEPT_BYTES = 1 << 30
LARGEST_BLOCK_KEPT = 1 << 25
"""The largest value that glibc accepts."""


@contextmanager
def handle_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the number of each signal that would end the process.

    A hangup that is ignored, as under nohup, stays ignored. Only the main thread can set handlers:
    in another one, nothing changes.
    """

    def receive(number: int, frame: FrameType | None) -> None:
        handle(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, receive)
        for number in (EXIT_STATUS if in_main_thread else ())
        if (number, signal.getsignal(number)) != (HANGUP, signal.SIG_IGN)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exit_on_signal() -> Iterator[None]:
    """End the process immediately on a signal, while there is nothing to save or clean up.

    For imports: a Python exception raised while C++ code imports a module aborts the process.
    """
    with handle_signals(lambda number: os._exit(EXIT_STATUS[signal.Signals(number)])):
        yield


def sync(descriptor: int) -> None:
    """Return when the file's contents will survive a power failure.

    On macOS, fsync(2) stops at the drive's own cache; F_FULLFSYNC writes to the medium. On file
    systems without it, such as network drives, fsync is used.
    """
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, getattr(fcntl, "F_FULLFSYNC"))  # noqa: B009 - macOS only
        return
    os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power failure, where a directory can be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows: relies on the file system's journal
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def link(source: Path, target: Path) -> None:
    """Give the file `source` a second name.

    Raises:
        OSError: the system or the file system has no hard links, or refuses.
    """
    if not hasattr(os, "link"):
        raise OSError(None, "no hard links")
    os.link(source, target)


def try_lock_exclusive(descriptor: int) -> bool:
    """Try to lock an open file exclusively -> whether no other process holds a lock on it.

    The lock ends when the file is closed or the process ends. Where such locks are not supported,
    the result is False.
    """
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def lock_shared(descriptor: int) -> None:
    """Lock an open file with a shared lock, after waiting for an exclusive lock to end."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_SH)


def fingerprint(status: os.stat_result) -> Fingerprint | None:
    """What differs whenever a file has changed: size, times, number and device.

    Restoring the time of modification changes the time of the last change of the status (ctime).
    Windows has none; the result is None there.
    """
    if os.name != "posix":
        return None
    return (
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
    )


def wait_without_spinning() -> None:
    """Let libgomp's threads sleep while they wait for each other; call it before importing torch.

    By default they spin, and any other busy process makes training up to a hundred times slower
    (tests/benchmarks/README.md).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def keep_freed_memory() -> None:
    """Make the C library reuse freed blocks instead of returning them; without glibc, do nothing.

    glibc returns large blocks to the system at once and requests them again soon after; the page
    faults cost a quarter of the time of training (tests/benchmarks/README.md).
    """
    _mallopt({TRIM_THRESHOLD: KEPT_BYTES, MMAP_THRESHOLD: LARGEST_BLOCK_KEPT})


def share_freed_memory() -> None:
    """Make threads that start later reuse each other's freed blocks; without glibc, do nothing.

    By default each has an arena of its own: counting n-grams in two threads takes 770 MB instead of
    460 MB.
    """
    _mallopt({ARENA_MAX: 1})


def _mallopt(parameters: Mapping[int, int]) -> None:
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, AttributeError, TypeError, OSError):  # TypeError: Windows
        return
    for parameter, value in parameters.items():
        mallopt(parameter, value)


def large_buffer(size: int) -> memoryview:
    """Zeroed memory, in huge pages where the system has them: several times faster to fill."""
    if not size:
        return memoryview(bytearray())
    private = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    buffer = mmap.mmap(-1, size, flags=private) if private else mmap.mmap(-1, size)
    with suppress(AttributeError, OSError):
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(buffer)


def release_pages(array: npt.NDArray[Any]) -> None:
    """Give the pages under `array` back to the system, if it is a span of a memory-mapped file.

    What was read of a file counts as memory of this process until it is given back. The contents
    stay in the system's cache; reading them again is cheap. Systems without madvise(2) decide for
    themselves.
    """
    mapped = getattr(array, "_mmap", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if mapped is None or advice is None or not array.size or array.flags.writeable:
        return
    import numpy as np  # not at the top: --help does without it

    first = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    start = first // mmap.PAGESIZE * mmap.PAGESIZE
    mapped.madvise(advice, start, first + array.nbytes - start)


def enable_line_editing() -> None:
    """Let `input` edit its line and remember earlier ones, where Python has readline."""
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it is all that is needed
