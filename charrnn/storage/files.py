"""Whole files on disk: written atomically, one writer at a time. Knows nothing of their contents.

A write goes to a temporary file beside its target, is fsynced, renamed over it, and the directory
is fsynced, so that a reader or a crash at any instant finds the old file or the new one.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from charrnn.errors import CharRNNError

TEMPORARY_SUFFIX = ".partial"


class OutputError(CharRNNError):
    """A file or directory that cannot be written."""


def explain(error: OSError) -> str:
    """The operating system's reason, without the error number and path Python adds."""
    return (error.strerror or str(error)).lower()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` with `data`, or leave it as it is.

    A symbolic link stays a link: its target is replaced. Permissions are those of the old file,
    or, for a new one, what the umask allows.

    Raises:
        OutputError: the disk is full, read-only, or otherwise refuses; the old file is intact.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        _write_durably(temporary, data, _mode_of(target))
        _replace_durably(temporary, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {explain(error)}; the previous file, if any, is intact: "
            "free some space or choose another place with --output"
        ) from error
    finally:  # a signal's exception leaves nothing behind either
        with suppress(OSError):
            os.unlink(temporary)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def _write_durably(path: Path, data: bytes, mode: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_durably(temporary: Path, target: Path) -> None:
    """Rename `temporary` to `target`; where that cannot be made durable, undo it."""
    old = temporary.with_name(f".old{temporary.name}")
    with suppress(OSError):  # there is no old file, or a file system without hard links
        os.link(target, old)
    try:
        os.replace(temporary, target)
        fsync_directory(target.parent)
    except OSError:
        with suppress(OSError):
            os.replace(old, target)
        raise
    finally:
        with suppress(OSError):
            os.unlink(old)


def fsync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Create `directory` and its parents, and prove that files can be written there.

    Raises:
        OutputError: it is a file, or may not be created or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):  # without a name that a signal could leave
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to {directory}: {explain(error)}; choose another place with --output"
        ) from error


def remove_stale_temporaries(directory: Path, names: Iterable[str]) -> None:
    """Delete what killed writers of the files `names` left. Call only while holding the lock."""
    targets = "|".join(map(re.escape, names))
    temporary = re.compile(rf"(\.old)?\.({targets})\.\d+{re.escape(TEMPORARY_SUFFIX)}")
    for leftover in directory.glob(f".*{TEMPORARY_SUFFIX}"):
        if temporary.fullmatch(leftover.name):
            with suppress(OSError):
                leftover.unlink()


def remove_abandoned_temporaries(directory: Path) -> None:
    """Delete what writers that were killed left, where several write: their names tell whose."""
    for leftover in directory.glob(f".*{TEMPORARY_SUFFIX}"):
        writer = leftover.name.removesuffix(TEMPORARY_SUFFIX).rpartition(".")[2]
        if writer.isdecimal() and not _is_running(int(writer)):
            leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold `directory` as its only writer; a killed holder's lock frees itself.

    Raises:
        OutputError: another process holds it; the message gives its process id.
    """
    from filelock import FileLock, Timeout

    path = directory / ".lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"{directory} is in use by another training run (process {_holder(path)}); "
            "wait for it, or choose another --output"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot lock {directory}: {explain(error)}") from error
    try:
        _holder_file(path).write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        _holder_file(path).unlink(missing_ok=True)
        lock.release()


def _holder_file(lock: Path) -> Path:
    return lock.with_name(".lock.pid")


def _holder(lock: Path) -> str:
    try:
        return _holder_file(lock).read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
