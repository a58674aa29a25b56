"""Fixtures of all tests. Every test runs in a directory, a cache and an environment of its own."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

import tests.one_thread  # noqa: F401 - first of all that may import NumPy
from charrnn.cli import main as cli
from charrnn.platform import HANGUP
from tests import support
from tests.disk import do_not_wait
from tests.faults.support import (
    Launcher,
    close_the_launcher,
    run_process,
    the_launcher,
    train_process,
)
from tests.support import (
    REPOSITORY,
    Result,
    Trained,
    labelled_lines,
    later_wins,
    names,
    prose,
)

# The same examples every time, and no time limit for a machine that is busy.
settings.register_profile("charrnn", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("charrnn")

Command = Callable[..., Result]
Report = Callable[[str], None]


def pytest_configure() -> None:
    """Undo what a shell or nohup has made tests and their processes ignore; wait for no disk."""
    do_not_wait()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that all workers of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty directory, with nothing of the user's own."""
    monkeypatch.chdir(tmp_path)
    for variable in [each for each in os.environ if each.startswith("CHARRNN_")]:
        monkeypatch.delenv(variable)
    for variable in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CHARRNN_CACHE", str(shared / "cache"))
    monkeypatch.setenv("CHARRNN_DATA", str(tmp_path.with_name(f"{tmp_path.name}-data")))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # equal runs give equal files


@pytest.fixture
def run_charrnn() -> Command:
    """The real command line: a process of its own."""
    return run_process


@pytest.fixture
def run_interpreter() -> Command:
    """The same in a new Python, where it matters how that starts."""
    return support.run_interpreter


@pytest.fixture
def charrnn(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line in this process: for what would take too long with a new torch each time."""

    def run(*arguments: str | Path, stdin: str | bytes = b"") -> Result:
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
        capfdbinary.readouterr()
        status = cli.run(later_wins(arguments))
        captured = capfdbinary.readouterr()
        return Result(status, captured.out.decode(), captured.err.decode())

    return run


def _train_once(directory: Path, text: str, *options: str) -> Trained:
    """Train in `directory`, or take what another worker has trained there."""
    with FileLock(f"{directory}.lock"):
        corpus, run, log = directory / "corpus.txt", directory / "run", directory / "events.jsonl"
        if log.exists():
            lines = log.read_text().splitlines()
            return Trained(run, corpus, Result(0, "\n".join(lines), "").records, text)
        directory.mkdir()
        corpus.write_bytes(text.encode())
        trained = train_process(run, corpus, *options)
        log.write_bytes((run / "log.jsonl").read_bytes())
        return trained


@pytest.fixture(scope="session")
def prose_model(shared: Path, session_environment: None) -> Trained:
    """A small model of whole files."""
    return _train_once(
        shared / "prose", prose(300), "--steps", "300", "--validate-every", "100"
    )


@pytest.fixture(scope="session")
def names_model(shared: Path, session_environment: None) -> Trained:
    """A small model of lines."""
    text = "".join(name + "\n" for name in names(600))
    return _train_once(
        shared / "names", text, "--lines", "--steps", "200", "--validate-every", "100"
    )


@pytest.fixture(scope="session")
def labelled_model(shared: Path, session_environment: None) -> Trained:
    """A small model of labelled lines."""
    return _train_once(
        shared / "labelled", labelled_lines(400), "--labelled", "--steps", "60",
        "--validate-every", "30",
    )


@pytest.fixture(scope="session")
def session_environment(shared: Path) -> None:
    """What `isolation` sets, for the fixtures that are made once."""
    os.environ["CHARRNN_CACHE"] = str(shared / "cache")
    os.environ["CHARRNN_DATA"] = str(shared / "data")
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"


@pytest.fixture(scope="session")
def launcher() -> Launcher:
    """Command lines that start at once, although they import torch."""
    return the_launcher()


def pytest_sessionfinish() -> None:
    """End what the tests have started."""
    close_the_launcher()


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Add a line to the summary: what was counted or measured."""
    return lambda message: record_property("report", message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests reported, from every worker."""
    for report in terminalreporter.getreports("passed"):
        for name, message in report.user_properties:
            if name == "report":
                terminalreporter.write_line(str(message))
