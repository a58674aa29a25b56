from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path
from platform import libc_ver

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.platform import (
    KEPT_BYTES,
    LARGEST_BLOCK_KEPT,
    keep_freed_memory,
    release_pages,
    share_freed_memory,
    sync,
)
from tests.faults.support import TINY, Launcher, until
from tests.support import Trained, prose

LACKING = (
    *("os.O_NONBLOCK", "os.O_NOFOLLOW", "os.O_DIRECTORY", "os.fchmod", "os.link", "os.kill"),
    *("signal.SIGHUP", "fcntl", "ctypes"),
)
"""What some systems lack."""
TRAIN = (
    *("train", "corpus.txt", "-o", "run", *TINY),
    *("--steps", "400", "--validate-every", "100", "--json"),
)
SAMPLE = ("sample", "-c", "run", "--seed", "1", "--length", "20")
MODEL = Path("run/model.safetensors")
DARWIN_FULLFSYNC = 51

# --- systems that lack something


def train_and_sample(launcher: Launcher, *without: str) -> tuple[bytes, str]:
    """Interrupt a run, go on with it, and sample: the model and the text."""
    Path("corpus.txt").write_text(prose(30))
    job = launcher.start(*TRAIN, without=without)
    until(Path("run/training.safetensors").exists)
    job.kill(signal.SIGTERM)
    stopped = job.wait()
    assert (stopped.status, stopped.err[:13]) == (143, "saved in run;")
    done = launcher.run(*TRAIN, without=without)
    assert (done.status, done.err) == (0, "")
    sample = launcher.run(*SAMPLE, without=without)
    assert (sample.status, sample.err) == (0, "")
    assert not list(Path("run").glob("*.partial"))
    return MODEL.read_bytes(), sample.out


@pytest.fixture(scope="module")
def on_this_system(
    launcher: Launcher, tmp_path_factory: pytest.TempPathFactory, session_environment: None
) -> tuple[bytes, str]:
    """What `train_and_sample` gives where nothing is lacking."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("whole"))
        return train_and_sample(launcher)


@pytest.mark.parametrize("without", [*((name,) for name in LACKING), LACKING], ids=" ".join)
def test_a_system_that_lacks_something_trains_resumes_and_samples(
    without: tuple[str, ...],
    launcher: Launcher,
    on_this_system: tuple[bytes, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    assert train_and_sample(launcher, *without) == on_this_system


def test_a_new_process_on_such_a_system_starts(prose_model: Trained) -> None:
    program = (
        "import ctypes, os, signal, sys\n"
        "load = ctypes.CDLL\n"
        "def on_windows(name, *others, **more):\n"
        "    if name is None:\n"
        "        raise TypeError('argument of type NoneType is not iterable')\n"
        "    return load(name, *others, **more)\n"
        "ctypes.CDLL = on_windows\n"
        "del signal.SIGHUP, os.O_NONBLOCK, os.O_NOFOLLOW, os.O_DIRECTORY, os.fchmod, os.link\n"
        "from charrnn.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "evaluate", "-c", str(prose_model.run)]
    Path("unseen.txt").write_text(prose(20))
    done = subprocess.run([*command, "unseen.txt"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "perplexity" in done.stdout


# --- durability


def calls_of_sync(monkeypatch: pytest.MonkeyPatch, refused: bool = False) -> list[str]:
    """The calls that `sync` makes for descriptor 7."""
    calls = []

    def fake_fcntl(descriptor: int, command: int) -> int:
        calls.append(f"fcntl {descriptor} {command}")
        if refused:
            raise OSError
        return 0

    monkeypatch.setattr(fcntl, "fcntl", fake_fcntl)
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(f"fsync {descriptor}"))
    sync(7)
    return calls


def test_macos_syncs_the_medium_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", DARWIN_FULLFSYNC, raising=False)
    assert calls_of_sync(monkeypatch) == ["fcntl 7 51"]


def test_a_file_system_that_cannot_do_so_gets_an_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", DARWIN_FULLFSYNC, raising=False)
    assert calls_of_sync(monkeypatch, refused=True) == ["fcntl 7 51", "fsync 7"]


def test_elsewhere_a_file_gets_an_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    assert calls_of_sync(monkeypatch) == ["fsync 7"]


# --- the allocator


class Library:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return 1


def test_the_allocator_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    keep_freed_memory()
    assert library.calls == [(-1, KEPT_BYTES), (-3, LARGEST_BLOCK_KEPT)]
    share_freed_memory()
    assert library.calls[2:] == [(-8, 1)]


def test_windows_has_no_such_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: None) -> None:
        raise TypeError("argument of type 'NoneType' is not iterable")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    keep_freed_memory()
    share_freed_memory()


def test_a_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda path: object())
    keep_freed_memory()


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_the_values() -> None:
    library = ctypes.CDLL(None)
    assert library.mallopt(-1, KEPT_BYTES) == 1
    assert library.mallopt(-3, LARGEST_BLOCK_KEPT) == 1


# --- pages of memory maps


def resident(mapped: npt.NDArray[np.uint8]) -> int:
    """Bytes of a memory map that count as memory of this process."""
    address = f"{np.frombuffer(mapped._mmap, np.uint8).ctypes.data:x}-"  # type: ignore[attr-defined]
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    next(line for line in lines if line.startswith(address))
    (kilobytes,) = next(line for line in lines if line.startswith("Rss:")).split()[1:2]
    return int(kilobytes) << 10


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system decides for itself")
def test_pages_that_were_read_are_given_back() -> None:
    Path("file").write_bytes(bytes(range(256)) * 40_000)
    mapped = np.memmap("file", np.uint8, "r", offset=64)
    total = int(mapped.sum())
    assert resident(mapped) > 10_000_000
    release_pages(mapped[5_000_000:])
    assert resident(mapped) < 5_200_000
    release_pages(mapped[100:5_000_000])
    assert resident(mapped) == 0
    assert int(mapped.sum()) == total


@pytest.mark.parametrize("array", [np.arange(9), np.arange(0)])
def test_memory_that_is_no_file_is_kept(array: npt.NDArray[np.int64]) -> None:
    before = array.tolist()
    release_pages(array)
    assert array.tolist() == before


def test_what_is_written_to_a_map_is_kept() -> None:
    Path("file").write_bytes(bytes(10_000))
    mapped = np.memmap("file", np.uint8, "c")  # writing changes memory only, not the file
    mapped[:] = 7
    release_pages(mapped)
    assert mapped.tolist() == [7] * 10_000


def test_a_system_without_advice_decides_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_bytes(b"abc")
    mapped = np.memmap("file", np.uint8, "r")
    monkeypatch.delattr(mmap, "MADV_DONTNEED", raising=False)
    release_pages(mapped)
    assert bytes(mapped) == b"abc"
