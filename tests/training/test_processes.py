"""Two processes on one machine that train together, as torchrun starts them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.cli import main as cli
from charrnn.errors import CharRNNError, CorpusError, SettingsError
from charrnn.training.processes import Alone, in_turn, joined, raise_together
from charrnn.training.signals import Dismissed
from charrnn.training.state import load_run
from tests.faults.support import TINY, Job, Launcher, one_line_error, parts, temporaries, until
from tests.support import Result, later_wins, prose

SIZES = (*TINY, "--layers", "2", "--dropout", "0.3", "--batch", "16", "--chunk", "16")
STEPS = ("--steps", "12", "--validate-every", "4")
LONGER = ("--steps", "120", "--validate-every", "20")
ENDLESS = ("--steps", "100000", "--validate-every", "40")
CONFIGURATIONS = {
    "text": (),
    "gru-lines-bfloat16": ("--cell", "gru", "--lines", "--precision", "bfloat16"),
}
FILES = {".lock", "model.safetensors", "training.safetensors", "log.jsonl"}
TRAINING = Path("run/training.safetensors")
SECONDS = 20.0
"""In which all processes are to end after one of them has; a stopped run is saved in a moment."""


@pytest.fixture(autouse=True)
def text() -> None:
    Path("corpus.txt").write_text(prose(60))


def start(
    launcher: Launcher,
    *options: str,
    corpus: str = "corpus.txt",
    count: int = 2,
    machines: bool = False,
    of_others: dict[str, Any] | None = None,
) -> list[Job]:
    """Start processes that train together; `of_others`: how the launcher starts all but the first.

    `machines`: let them believe that each is on a machine of its own.

    They are forked from one that has imported torch, with the environment that torchrun sets.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    jobs = []
    for rank in range(count):
        environment = {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count),
            "RANK": str(rank), "LOCAL_RANK": str(rank), "GLOO_SOCKET_IFNAME": "lo",
            "LOCAL_WORLD_SIZE": str(1 if machines else count),
        }
        command = ("train", corpus, "-o", "run", *SIZES, *options)
        jobs.append(launcher.start(*command, env=environment, **(of_others or {}) if rank else {}))
    return jobs


def ended(jobs: Sequence[Job]) -> Result:
    """Wait for all -> what the first left behind; the others print nothing, and end like it."""
    first, *others = [job.wait(SECONDS) for job in jobs]
    for other in others:
        assert (other.out, other.err) == ("", "")
        assert other.status == first.status
    return first


def alone(*options: str, output: str = "run") -> int:
    """Train in this process; the exit status."""
    return cli.run(later_wins(["train", "corpus.txt", "-o", output, "-q", *SIZES, *options]))


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def assert_same(run: str, other: str) -> None:
    """Both have the same model, to the last byte, and the same state of training."""
    model, expected = (Path(each, "model.safetensors").read_bytes() for each in (run, other))
    assert model == expected
    header, _, arrays = parts(Path(run, "training.safetensors").read_bytes())
    expected_header, _, expected_arrays = parts(Path(other, "training.safetensors").read_bytes())
    assert header == expected_header
    assert arrays == expected_arrays


@pytest.mark.parametrize(("name", "machines"), [("text", True), ("gru-lines-bfloat16", False)])
def test_two_processes_give_the_model_of_two_threads_to_the_last_bit(
    name: str, machines: bool, launcher: Launcher, two_threads: None
) -> None:
    options = (*STEPS, *CONFIGURATIONS[name])
    assert ended(start(launcher, *options, machines=machines)).status == 0
    assert {path.name for path in Path("run").iterdir()} == FILES
    assert alone(*options, output="threads") == 0
    assert_same("run", "threads")


@pytest.mark.fault(30)
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_any_process_stops_all_and_the_run_goes_on_to_the_last_bit(
    signalled: int, launcher: Launcher
) -> None:
    jobs = start(launcher, *LONGER, "--json")
    jobs[0].wait_for('"event": "validation"')
    jobs[signalled].kill(signal.SIGTERM)
    stopped = ended(jobs)
    assert stopped.status == 143
    assert stopped.err == "saved in run; the same command goes on from there\n"
    assert not load_run(TRAINING).record.finished
    shutil.copytree("run", "other")
    resumed = ended(start(launcher, *LONGER))
    assert resumed.status == 0
    assert "resuming at step" in resumed.err
    assert "2 processes" in resumed.err
    assert "warning" not in resumed.err
    shutil.move("run", "resumed")
    assert ended(start(launcher, *LONGER)).status == 0
    assert_same("run", "resumed")


@pytest.mark.fault(36)
def test_another_number_of_processes_goes_on_with_a_warning_and_the_same_curve(
    launcher: Launcher
) -> None:
    options = (*LONGER, "--dropout", "0")
    jobs = start(launcher, *options, "--json")
    jobs[0].wait_for('"event": "validation"')
    jobs[0].kill(signal.SIGTERM)
    assert ended(jobs).status == 143
    shutil.copytree("run", "two")
    (single,) = start(launcher, *options, count=1)
    resumed = ended([single])
    assert resumed.status == 0
    assert "warning: resumed with processes 1, started with 2" in resumed.err
    one = load_run(TRAINING).record.history
    shutil.rmtree("run")
    shutil.move("two", "run")
    three = ended(start(launcher, *options, count=3))  # for a batch that keeps two of them busy
    assert "warning: resumed with processes 3, started with 2" in three.err
    found = load_run(TRAINING).record.history
    assert [entry["step"] for entry in found] == [entry["step"] for entry in one]
    for entry, expected in zip(found, one, strict=True):
        assert entry == pytest.approx(expected, abs=0.02)


def test_all_processes_stop_early_together(launcher: Launcher) -> None:
    options = ("--steps", "100", "--patience", "1", "--rate", "2", "--validate-every", "2")
    assert ended(start(launcher, *options)).status == 0
    run = load_run(TRAINING)
    assert run.record.finished
    assert run.step < 100


@pytest.mark.fault(10)
def test_divergence_ends_all_processes_with_one_error(launcher: Launcher) -> None:
    rates = ("--rate", "1e9", "--muon-rate", "1e9", "--clip", "1e9")
    assert "lower" in one_line_error(ended(start(launcher, *STEPS, *rates)))


def test_minutes_are_kept_by_all_processes(launcher: Launcher) -> None:
    done = ended(start(launcher, "--minutes", "0.03", "--json"))
    assert done.status == 0
    assert done.records[0]["processes"] == 2
    assert done.records[-1]["event"] == "done"


def test_only_the_first_process_writes(launcher: Launcher) -> None:
    """The others are not allowed to write a single byte to a file."""
    assert alone(*STEPS, output="alone") == 0  # encodes the corpus
    assert ended(start(launcher, *STEPS, of_others={"file_size": 0})).status == 0


@pytest.mark.fault(43)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_others_and_the_last_save_stays(
    killed: int, launcher: Launcher
) -> None:
    jobs = start(launcher, *ENDLESS, "--json")
    jobs[0].wait_for('"event": "validation"')
    jobs[killed].kill()
    results = [job.wait(SECONDS) for job in jobs]
    assert results[killed].status == -signal.SIGKILL
    if killed:
        assert "another process of this run has ended" in one_line_error(results[0])
    else:
        assert (results[1].status, results[1].err) == (1, "")
    saved = load_run(TRAINING)
    assert saved.record.history
    jobs = start(launcher, *ENDLESS, "--json")
    jobs[0].wait_for('"event": "step"')
    jobs[1].kill(signal.SIGTERM)
    assert ended(jobs).status == 143
    assert load_run(TRAINING).step > saved.step
    assert not temporaries(Path("run"))


@pytest.mark.fault(43)
def test_an_error_of_any_process_is_told_by_the_first(
    launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    there = {"directory": elsewhere}
    missing = one_line_error(ended(start(launcher, *STEPS, of_others=there)))
    assert missing.startswith("in process 1: ")
    assert "corpus.txt" in missing
    (elsewhere / "corpus.txt").write_text(prose(61))
    other = one_line_error(ended(start(launcher, *STEPS, of_others=there)))
    assert "in process 1: its corpus is not the first process's" in other
    assert not Path("run").exists()


def test_what_only_the_first_process_sees_ends_all(launcher: Launcher) -> None:
    assert ended(start(launcher, *STEPS)).status == 0
    assert "finished run" in one_line_error(ended(start(launcher, *STEPS)))
    ngram = start(launcher, "--fresh", "--cell", "none", "--epochs", "1")
    assert ended(ngram).status == 0


# --- torchrun itself


def workers(torchrun: int) -> list[int]:
    """Process ids of torchrun's workers, by rank."""
    threads = Path(f"/proc/{torchrun}/task").glob("*/children")
    found = {}
    for pid in [pid for children in threads for pid in children.read_text().split()]:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        values = dict(each.partition(b"=")[::2] for each in variables)
        if b"RANK" in values:
            found[int(values[b"RANK"])] = int(pid)
    return [found[rank] for rank in sorted(found)]


@pytest.mark.fault(30, 43)
def test_torchrun_restarts_from_the_last_save_and_passes_signals_on() -> None:
    often = ("--validate-every", "10")
    command = ("train", "corpus.txt", "-o", "run", "--fresh", "--json", *SIZES, *ENDLESS, *often)
    log = Path("run/log.jsonl")
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "--max-restarts", "1"),
            *("-m", "charrnn", *later_wins(command)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as torchrun:
        until(lambda: log.exists() and '"event": "validation"' in log.read_text())
        os.kill(workers(torchrun.pid)[1], signal.SIGKILL)
        until(lambda: '"resumed": true' in log.read_text())
        resumed = load_run(TRAINING).step
        until(lambda: _last_step(log) > resumed)
        torchrun.send_signal(signal.SIGTERM)
        assert torchrun.stderr is not None
        told = torchrun.stderr.read().decode()
        torchrun.wait(SECONDS)
    assert "saved in run; " in told
    assert log.read_text().count('"interrupted"') == 1
    assert load_run(TRAINING).step > resumed


def _last_step(log: Path) -> int:
    """The step of the last event that is written completely."""
    lines = log.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return int(next((event["step"] for event in reversed(events) if event.get("step")), 0))


# --- in this process


@pytest.mark.parametrize("size", [None, "1"])
def test_a_process_that_was_started_by_itself_is_alone(
    size: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    with joined("cpu") as group:
        assert isinstance(group, Alone)
        assert group.threads == (torch.get_num_threads(),)
        assert group.gather("x") == ["x"]
        assert group.share({"a": 1}) == {"a": 1}


def test_half_an_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(SettingsError, match="not RANK, MASTER_ADDR, MASTER_PORT; start several"),
        joined("cpu"),
    ):
        pass


class Second(Alone):
    """The second of two processes, the first of which has failed or not."""

    rank = 1

    def __init__(self, failed: bool) -> None:
        self._first = "the first failed" if failed else None

    def gather(self, value: Any) -> list[Any]:
        return [self._first, value]


def test_an_error_dismisses_all_but_the_first_process() -> None:
    raise_together(Second(failed=False), None)
    for failed, error in ((True, None), (False, CorpusError("no text"))):
        with pytest.raises(Dismissed) as dismissed:
            raise_together(Second(failed), error)
        assert dismissed.value.status == 1


def test_a_single_process_raises_its_own_error() -> None:
    def work() -> None:
        raise CorpusError("no text; give some")

    with pytest.raises(CharRNNError, match="no text; give some"):
        in_turn(Alone(), work)
    assert in_turn(Alone(), lambda: 3) == 3


@pytest.mark.fault(24)
def test_several_processes_cannot_read_stdin(launcher: Launcher) -> None:
    first, _ = [job.wait(SECONDS) for job in start(launcher, *STEPS, corpus="-")]
    assert "several processes cannot share stdin" in one_line_error(first, status=2)
