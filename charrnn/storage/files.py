"""Write files atomically and lock directories. Knows nothing of what the files contain.

A write goes to a temporary file in the directory of its target, which is synced and renamed over
the target; then the directory is synced. At any instant, also after a crash, the target is either
the old file or the new one.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from charrnn import platform
from charrnn.errors import CharRNNError, Parameter

TEMPORARY_SUFFIX = ".partial"
TEMPORARY = re.compile(r"(\.old)?\.(?P<target>.+)\.[0-9a-f]+" + re.escape(TEMPORARY_SUFFIX))
"""Names of temporary files: see `temporary_for` and `_replace_durably`."""
WRITERS = ".writers"
"""The lock file of a shared directory: every process that writes there holds a shared lock."""


class OutputError(CharRNNError):
    """A file or directory that cannot be written."""


def explain(error: OSError) -> str:
    """The operating system's reason, without the error number and path Python adds."""
    return (error.strerror or str(error)).lower()


def temporary_for(target: Path) -> Path:
    """A path in the directory of `target` that no other writer uses, on this machine or another."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` with `data`, or leave it as it is.

    A symbolic link stays a link: its target is replaced. Permissions are those of the old file,
    or, for a new one, what the umask allows.

    Raises:
        OutputError: the disk is full, read-only, or refuses otherwise; the old file is intact.
    """
    target = Path(os.path.realpath(path))
    temporary = temporary_for(target)
    try:
        _write_durably(temporary, data, _mode_of(target))
        _replace_durably(temporary, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {explain(error)}; the previous file, if any, is intact: "
            "free some space or choose another place"
        ) from error
    finally:  # also when a signal raises an exception
        with suppress(OSError):
            os.unlink(temporary)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def _write_durably(path: Path, data: bytes, mode: int | None) -> None:
    descriptor = os.open(path, platform.WRITING, 0o666)
    try:
        if mode is not None:
            os.chmod(path, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        platform.sync(descriptor)
    finally:
        os.close(descriptor)


def _replace_durably(temporary: Path, target: Path) -> None:
    """Rename `temporary` to `target`; undo it if it cannot be made durable."""
    old = temporary.with_name(f".old{temporary.name}")
    with suppress(OSError):  # no old file, or no hard links on this file system
        platform.link(target, old)
    try:
        os.replace(temporary, target)
        platform.sync_directory(target.parent)
    except OSError:
        with suppress(OSError):
            os.replace(old, target)
        raise
    finally:
        with suppress(OSError):
            os.unlink(old)


def make_directory(directory: Path) -> None:
    """Create `directory` and its parents, and check that files can be written there.

    Raises:
        OutputError: it is a file, or may not be created or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):  # has no name that a signal could leave
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to {directory}: {explain(error)}; choose another place with ",
            Parameter("output"),
        ) from error


def remove_stale_temporaries(directory: Path, targets: Collection[str]) -> None:
    """Delete the temporary files that killed writers of `targets` left in `directory`.

    Call it only while the directory is locked: see `exclusive`.
    """
    for target, leftover in _temporaries(directory):
        if target in targets:
            with suppress(OSError):
                leftover.unlink()


def _temporaries(directory: Path) -> Iterator[tuple[str, Path]]:
    """The temporary files in `directory`, each with the name of its target."""
    for path in directory.glob(f".*{TEMPORARY_SUFFIX}"):
        if match := TEMPORARY.fullmatch(path.name):
            yield match["target"], path


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Write in `directory` together with others; first delete what killed writers left there.

    Each writer holds a shared lock on one file, so a process that gets an exclusive lock knows that
    no other one is writing. Process ids would not show that: machines and containers that share a
    directory have separate ones. Nor would the age of a file: clocks jump, and a large text takes
    hours. Where such locks are not supported, nothing is deleted.
    """
    with open(directory / WRITERS, "a+b") as file:
        if platform.try_lock_exclusive(file.fileno()):
            for _, leftover in _temporaries(directory):
                with suppress(OSError):
                    leftover.unlink()
        platform.lock_shared(file.fileno())
        yield


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Lock `directory` for one writer; the operating system releases the lock of a killed process.

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
            "wait for it, or choose another ",
            Parameter("output"),
        ) from None
    except OSError as error:
        raise OutputError(f"cannot lock {directory}: {explain(error)}") from error
    try:
        _holder_file(path).write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        _holder_file(path).unlink(missing_ok=True)
        lock.release()


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of `exclusive`; a killed one holds none."""
    from filelock import FileLock, Timeout

    path = directory / ".lock"
    if not _holder_file(path).exists():  # then there is no need to take the lock for a moment
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def _holder_file(lock: Path) -> Path:
    return lock.with_name(".lock.pid")


def _holder(lock: Path) -> str:
    try:
        return _holder_file(lock).read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
