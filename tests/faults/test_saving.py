"""Faults while a run is saved: killed processes, full disks, other writers. Rows 1-4, 10, 34-38."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import stat
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from charrnn.models.checkpoint import load_checkpoint, save_checkpoint
from charrnn.storage.files import OutputError, write_atomically
from charrnn.training.state import load_run
from tests.conftest import Command, Report
from tests.faults import faulty_os
from tests.faults.faulty_os import FaultyOS
from tests.faults.support import (
    TINY,
    Launcher,
    forged,
    one_line_error,
    parts,
    temporaries,
    until,
)
from tests.support import prose, random_checkpoint

ERRORS = ("ENOSPC", "EIO", "EROFS")
CALLS_OF_A_WRITE = ("open", "chmod", "write", "fsync", "link", "replace", "open", "fsync")
RUN = Path("run")
MODEL = RUN / "model.safetensors"
TRAINING = RUN / "training.safetensors"
COMMAND = (
    *("train", "corpus.txt", "-o", "run", *TINY),
    *("--steps", "24", "--validate-every", "2", "-q"),
)


@pytest.fixture(autouse=True)
def corpus(isolation: None) -> None:
    Path("corpus.txt").write_text(prose(30))


@pytest.fixture(scope="module")
def left_alone(
    launcher: Launcher, tmp_path_factory: pytest.TempPathFactory, session_environment: None
) -> tuple[bytes, list[str]]:
    """The model that COMMAND ends with, and the calls that write its files."""
    directory = tmp_path_factory.mktemp("left_alone")
    (directory / "corpus.txt").write_text(prose(30))
    log = directory / "calls"
    done = launcher.run(*COMMAND, directory=directory, fault={"log": str(log)})
    assert done.status == 0, done.err
    return (directory / MODEL).read_bytes(), log.read_text().split()


def is_finished() -> bool:
    """Whether the run has come to its end; what files there are can be read."""
    if MODEL.exists():
        load_checkpoint(MODEL)
    return TRAINING.exists() and load_run(TRAINING).record.finished


def go_on_to_the_end(launcher: Launcher, model: bytes) -> None:
    """The same command ends as if nothing had happened."""
    if not is_finished():
        done = launcher.run(*COMMAND)
        assert done.status == 0, done.err
        assert temporaries(RUN) == []
    assert MODEL.read_bytes() == model


# --- rows 1 and 2: killed, or without power


def kill_at_random(launcher: Launcher, model: bytes, seed: int) -> int:
    """Kill a run up to three times, each at a random moment; how often it was killed."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(chance.randint(1, 3)):
        job = launcher.start(*COMMAND)
        time.sleep(chance.uniform(0.02, 0.25))
        job.kill()
        kills += job.wait().status == -signal.SIGKILL
        if is_finished():
            break
    go_on_to_the_end(launcher, model)
    return kills


@pytest.mark.fault(1)
@pytest.mark.parametrize("seed", range(10))
def test_a_run_killed_at_a_random_moment_goes_on(
    seed: int, launcher: Launcher, left_alone: tuple[bytes, list[str]]
) -> None:
    kill_at_random(launcher, left_alone[0], seed)


def kill_in_call(launcher: Launcher, model: bytes, at: int, late: bool) -> None:
    """Kill a run before or after a call that writes its files, and go on."""
    killed = launcher.run(*COMMAND, fault={"at": at, "error": "KILL", "late": late})
    assert killed.status == -signal.SIGKILL
    go_on_to_the_end(launcher, model)


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    ("at", "late"),
    [
        *((2, False), (4, False), (12, True), (20, True), (21, False), (22, False), (23, True)),
        *((28, False), (29, True), (30, True)),
    ],
)
def test_a_run_killed_between_the_calls_of_a_write_goes_on(
    at: int, late: bool, launcher: Launcher, left_alone: tuple[bytes, list[str]]
) -> None:
    kill_in_call(launcher, left_alone[0], at, late)


@pytest.mark.fault(1)
def test_what_a_killed_writer_leaves_is_removed_by_the_next(
    launcher: Launcher, left_alone: tuple[bytes, list[str]]
) -> None:
    written = [at for at, call in enumerate(left_alone[1]) if call == "write"]
    before_fsync = written[3] + 1
    assert launcher.run(*COMMAND, fault={"at": before_fsync, "error": "KILL"}).status < 0
    assert len(temporaries(RUN)) == 1
    go_on_to_the_end(launcher, left_alone[0])
    assert sorted(path.name for path in RUN.iterdir()) == [
        *(".lock", "log.jsonl", "model.safetensors", "training.safetensors")
    ]


@pytest.mark.fault(1)
def test_what_a_killed_reader_of_a_corpus_leaves_is_removed_by_the_next(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    Path("large.txt").write_text(prose(200_000))
    cache = Path("cache")
    job = launcher.start("train", "large.txt", "-o", "large", *TINY, "--steps", "1")
    until(lambda: cache.exists() and bool(temporaries(cache)))
    job.kill()
    job.wait()
    assert len(temporaries(cache)) == 1
    assert launcher.run(*COMMAND).status == 0
    assert temporaries(cache) == []


class LosingPower(FaultyOS):
    """The system's calls, and after each what `target` may hold if power is lost then.

    What is written may be lost or reach the disk in part until fsync returns, and a new name may
    or may not be there until its directory's fsync returns.
    """

    def __init__(self, old: bytes, new: bytes) -> None:
        super().__init__()
        self.found: list[set[bytes]] = []
        self._new = new
        self._temporary = {b""}
        self._target = {old}

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)
        if name not in {"write", "fsync", "link", "replace"}:
            return call

        def watched(*arguments: Any) -> Any:
            result = call(*arguments)
            self._happened(name, arguments)
            self.found.append(set(self._target))
            return result

        return watched

    def _happened(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write":
            self._temporary = {b"", self._new[:10], self._new}
        elif name == "replace":
            assert arguments[1].name == "target"
            self._target |= self._temporary
        elif name == "fsync" and stat.S_ISDIR(os.stat(arguments[0]).st_mode):
            self._target &= self._temporary  # the directory: the new name is there to stay
        elif name == "fsync":
            self._temporary = {self._new}


@pytest.mark.fault(2)
def test_without_power_at_any_moment_the_old_file_is_there_or_the_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = b"old" * 100, b"new" * 100
    target = Path("target")
    target.write_bytes(old)
    system = LosingPower(old, new)
    for name in faulty_os.MODULES:
        monkeypatch.setattr(f"{name}.os", system)
    write_atomically(target, new)
    assert system.found == [{old}, {old}, {old}, {old, new}, {new}]


@pytest.mark.fault(2)
def test_every_file_of_a_run_is_written_durably(left_alone: tuple[bytes, list[str]]) -> None:
    calls = " ".join(left_alone[1]) + " "
    assert re.fullmatch("(open (chmod )?(write )+fsync link replace open fsync )+", calls)
    assert calls.count("replace") >= 25


# --- row 3: a full, failing or read-only disk


@pytest.mark.fault(3)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("at", range(len(CALLS_OF_A_WRITE)))
def test_a_call_that_fails_leaves_the_old_file(
    at: int, error: str, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path("directory")
    directory.mkdir()
    target = directory / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    system = FaultyOS(at, error, late)
    for name in faulty_os.MODULES:
        monkeypatch.setattr(f"{name}.os", system)
    if CALLS_OF_A_WRITE[at] == "link":  # a file system without hard links can still be written to
        write_atomically(target, b"new")
        assert target.read_bytes() == b"new"
    else:
        with pytest.raises(OutputError, match=r"^cannot write directory/target: .*") as caught:
            write_atomically(target, b"new")
        assert "the previous file, if any, is intact" in str(caught.value)
        assert os.strerror(getattr(errno, error)).lower() in str(caught.value)
        assert target.read_bytes() == b"old"
    assert system.calls[at] == CALLS_OF_A_WRITE[at]
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in directory.iterdir()] == ["target"]


@pytest.mark.fault(3)
def test_files_have_the_permissions_that_the_umask_allows() -> None:
    before = os.umask(0o027)
    try:
        write_atomically(Path("target"), b"new")
    finally:
        os.umask(before)
    assert Path("target").stat().st_mode & 0o777 == 0o640


def fail_in_call(launcher: Launcher, model: bytes, at: int, error: str, late: bool) -> str:
    """Let a call that writes a run's files fail, then go on; the message."""
    broken = launcher.run(*COMMAND, fault={"at": at, "error": error, "late": late})
    message = ""
    if broken.status:  # but for hard links, which some file systems lack
        message = one_line_error(broken)
        assert message.startswith("cannot write run/"), message
        assert "intact" in message
        assert temporaries(RUN) == []
    go_on_to_the_end(launcher, model)
    return message


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    ("at", "error", "late"),
    [
        *((0, "EROFS", False), (1, "ENOSPC", True), (4, "EIO", False), (9, "ENOSPC", True)),
        *((22, "EIO", False), (23, "ENOSPC", True), (27, "EIO", False), (29, "EROFS", False)),
    ],
)
def test_a_run_on_a_disk_that_fails_keeps_its_last_good_files(
    at: int, error: str, late: bool, launcher: Launcher, left_alone: tuple[bytes, list[str]]
) -> None:
    assert fail_in_call(launcher, left_alone[0], at, error, late)


@pytest.mark.fault(3)
def test_a_limit_on_the_size_of_files_keeps_the_last_good_ones(launcher: Launcher) -> None:
    assert launcher.run(*COMMAND).status == 0
    before = MODEL.read_bytes(), TRAINING.read_bytes()
    refused = launcher.run(*COMMAND, "--fresh", file_size=len(before[0]) // 2)
    assert "file too large" in one_line_error(refused)
    assert (MODEL.read_bytes(), TRAINING.read_bytes()) == before


@pytest.mark.fault(3)
def test_a_full_disk_under_the_cache_is_an_error(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    Path("large.txt").write_text(prose(3000))
    refused = launcher.run(
        *("train", "large.txt", "-o", "run", *TINY, "--steps", "1"), file_size=20_000
    )
    message = one_line_error(refused)
    assert "file too large" in message
    assert "CHARRNN_CACHE" in message
    assert temporaries(Path("cache")) == []


# --- row 4: nowhere to write


@pytest.mark.fault(4)
@pytest.mark.parametrize("output", ["corpus.txt/run", "/proc/run", "corpus.txt", "/dev/null"])
def test_an_output_that_cannot_be_written_to_is_refused_before_the_first_step(
    output: str, launcher: Launcher
) -> None:
    refused = launcher.run("train", "corpus.txt", "-o", output, *TINY, "--steps", "5", "--json")
    message = one_line_error(refused)
    assert output in message
    assert "--output" in message
    assert refused.out == ""


@pytest.mark.fault(4)
def test_an_output_on_read_only_storage_is_refused(
    launcher: Launcher, charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Permissions do not stop the superuser, whom tests often run as: the call itself fails here.
    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    refused = charrnn("train", "corpus.txt", "-o", "run", *TINY, "--steps", "5", "--json")
    assert "cannot write to run: read-only file system" in one_line_error(refused)


# --- row 10: numbers that are none


@pytest.mark.fault(10)
@pytest.mark.parametrize("rates", [("--rate", "1e9", "--muon-rate", "1e9"), ("--rate", "1e5")])
def test_a_run_that_diverges_keeps_the_last_good_checkpoint(
    rates: tuple[str, ...], launcher: Launcher
) -> None:
    assert launcher.run(*COMMAND).status == 0
    before = MODEL.read_bytes()
    diverged = launcher.run(*COMMAND, "--fresh", "--steps", "400", "--clip", "1e9", *rates)
    message = one_line_error(diverged)
    assert "rate" in message
    load_run(TRAINING)
    load_checkpoint(MODEL)
    assert before


# --- row 34: one writer


@pytest.mark.fault(34)
def test_a_second_trainer_is_refused_with_the_process_id_of_the_first(launcher: Launcher) -> None:
    endless = (*COMMAND, "--steps", "1000000", "--validate-every", "1000")
    first = launcher.start(*endless)
    until(TRAINING.exists)
    message = one_line_error(launcher.run(*endless))
    assert f"process {first.pid}" in message
    assert one_line_error(launcher.run(*endless, "--fresh")) == message
    first.kill()
    assert first.wait().status == -signal.SIGKILL
    # The lock of the killed process is released.
    assert (RUN / ".lock.pid").exists()
    assert launcher.run(*COMMAND, "--fresh").status == 0
    assert not (RUN / ".lock.pid").exists()


# --- row 35: a clock that jumps


@pytest.mark.fault(35)
def test_the_time_of_day_means_nothing(
    launcher: Launcher, left_alone: tuple[bytes, list[str]]
) -> None:
    job = launcher.start(*COMMAND, wrong_clock=True)
    until(TRAINING.exists)
    job.kill(signal.SIGTERM)
    job.wait(5)
    for path in RUN.iterdir():
        os.utime(path, (0, random.choice([0, 4e9])))
    if not is_finished():
        done = launcher.run(*COMMAND, wrong_clock=True)
        assert done.status == 0, done.err
    assert MODEL.read_bytes() == left_alone[0]


@pytest.mark.fault(35)
def test_the_run_trained_last_is_not_found_by_file_times(
    launcher: Launcher, run_charrnn: Command
) -> None:
    for name in ("one", "two"):
        done = launcher.run("train", "corpus.txt", "-o", f"checkpoints/{name}", *TINY, "--steps=1")
        assert done.status == 0, done.err
    for name, when in (("one", 4e9), ("two", 0)):
        for path in Path("checkpoints", name).iterdir():
            os.utime(path, (when, when))
    assert "checkpoint: checkpoints/two\n" in run_charrnn("sample", "--length", "1").err


# --- row 37: out of memory


@pytest.mark.fault(37)
@pytest.mark.parametrize("sizes", [("--hidden", "8000"), ("--hidden", "3000", "--layers", "20")])
def test_out_of_memory_names_what_to_lower_and_keeps_the_checkpoint(
    sizes: tuple[str, ...], launcher: Launcher
) -> None:
    assert launcher.run(*COMMAND).status == 0
    before = MODEL.read_bytes()
    starved = launcher.run(*COMMAND, "--fresh", *sizes, more_memory=200 << 20)
    message = one_line_error(starved)
    assert message.startswith("out of memory; lower --batch, --hidden")
    assert MODEL.read_bytes() == before


# --- row 38: links and paths


@pytest.mark.fault(38)
def test_links_to_files_stay_links(launcher: Launcher, left_alone: tuple[bytes, list[str]]) -> None:
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    RUN.mkdir()
    for path in (MODEL, TRAINING):
        path.symlink_to(Path("..") / elsewhere / path.name)
    done = launcher.run(*COMMAND)
    assert done.status == 0, done.err
    assert MODEL.is_symlink()
    assert TRAINING.is_symlink()
    assert (elsewhere / "model.safetensors").read_bytes() == left_alone[0]
    assert temporaries(elsewhere) == []


@pytest.mark.fault(38)
def test_no_path_in_a_checkpoint_is_opened(launcher: Launcher) -> None:
    assert launcher.start(*COMMAND, fault={"at": 40, "error": "KILL"}).wait().status < 0
    for path in (MODEL, TRAINING):
        header, description, buffer = parts(path.read_bytes())
        description["corpus"] = {"names": ["/forbidden"], "digest": "../forbidden"}
        description["training"] = {"settings": "../../forbidden", "checkpoint": "forbidden"}
        if path == TRAINING:
            description["record"]["environment"]["output"] = "../forbidden"
        path.write_bytes(forged(header, description, buffer))
    for command in (("info", "run"), ("sample", "-c", "run", "--length", "5"), COMMAND):
        done = launcher.run(*command)
        assert done.status == 0, done.err


@pytest.mark.fault(38)
def test_the_name_of_the_latest_run_leads_nowhere_else(launcher: Launcher) -> None:
    Path("checkpoints").mkdir()
    for run in ("forbidden", "checkpoints/good"):
        Path(run).mkdir()
        save_checkpoint(Path(run) / "model.safetensors", random_checkpoint())
    Path("checkpoints/.latest").write_text("../forbidden\n")
    done = launcher.run("sample", "--length", "1")
    assert "checkpoint: checkpoints/good\n" in done.err


# --- make soak


@pytest.mark.fault(1)
@pytest.mark.soak
def test_200_runs_killed_at_random_moments_go_on(
    launcher: Launcher,
    left_alone: tuple[bytes, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    report: Report,
) -> None:
    kills = 0
    for seed in range(1000, 1200):
        directory = tmp_path / str(seed)
        directory.mkdir()
        monkeypatch.chdir(directory)
        Path("corpus.txt").write_text(prose(30))
        kills += kill_at_random(launcher, left_alone[0], seed)
    assert kills > 200
    report(f"200 runs, killed {kills} times at random moments: all went on to the last bit")


@pytest.mark.fault(3)
@pytest.mark.soak
def test_a_run_killed_or_failing_in_every_call_goes_on(
    launcher: Launcher,
    left_alone: tuple[bytes, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    report: Report,
) -> None:
    killed = failed = harmless = 0
    for at, late, error in product(range(48), (False, True), ("KILL", *ERRORS)):
        directory = tmp_path / f"{at}{late}{error}"
        directory.mkdir()
        monkeypatch.chdir(directory)
        Path("corpus.txt").write_text(prose(30))
        if error == "KILL":
            kill_in_call(launcher, left_alone[0], at, late)
            killed += 1
        elif fail_in_call(launcher, left_alone[0], at, error, late):
            failed += 1
        else:
            harmless += 1  # hard links, without which a file can be written, too
    assert killed == 96
    assert failed > 200
    report(f"{killed} kills, {failed} errors, {harmless} harmless ones in 48 calls: no run lost")
