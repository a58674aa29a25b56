"""An interrupted run is saved, even if the listener fails."""

from __future__ import annotations

import errno
import os
import pty
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from charrnn.errors import TrainingError
from charrnn.models.checkpoint import load_checkpoint
from charrnn.text.reading import Reading
from charrnn.training.events import (
    CheckpointEvent,
    Event,
    InterruptedEvent,
    SampleEvent,
    StepEvent,
    ValidationEvent,
)
from charrnn.training.request import Budget, TrainingRequest
from charrnn.training.session import train
from charrnn.training.signals import Interrupted
from charrnn.training.state import load_run
from tests.faults.support import TINY, Job, Launcher
from tests.support import prose

RUN = Path("run")
TRAINING = RUN / "training.safetensors"
SMALL: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch": 4, "chunk": 8, "precision": "float32",
    "dropout": 0.0, "validation": 0.1, "validate_every": 10, "ngram_order": 0,
}
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
ERRORS = [
    OSError(errno.EIO, "Input/output error"), BrokenPipeError(errno.EPIPE, "Broken pipe"),
    RuntimeError("a bug"),
]
ENDLESS = (
    *("train", "corpus.txt", "-o", "run", *TINY),
    *("--steps", "1000000", "--validate-every", "100"),
)


@pytest.fixture(autouse=True)
def corpus() -> None:
    Path("corpus.txt").write_text(prose(60))


def run(on_event: Callable[[Event], None]) -> None:
    request = TrainingRequest(
        ("corpus.txt",), Reading(), Budget(steps=40), RUN, SMALL, device="cpu"
    )
    train(request, on_event)


def broken(error: Exception, number: int | None, kind: type, step: int) -> Callable[[Event], None]:
    """A listener that fails for good from an event on, with a signal just before it."""
    failed = False

    def on_event(event: Event) -> None:
        nonlocal failed
        if not failed and isinstance(event, kind) and getattr(event, "step", 0) >= step:
            failed = True
            if number is not None:
                signal.raise_signal(number)
        if failed:
            raise error

    return on_event


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", [ValidationEvent, CheckpointEvent, SampleEvent, StepEvent])
def test_a_listener_that_dies_of_the_same_signal_changes_nothing(
    number: signal.Signals, error: Exception, kind: type
) -> None:
    with pytest.raises(Interrupted) as stopped:
        run(broken(error, number, kind, 20))
    assert stopped.value.status == STATUS[number]
    saved = load_run(TRAINING)
    assert saved.step == 20
    assert saved.record.history[0]["step"] == 10
    assert load_checkpoint(RUN).training["step"] == saved.record.best_step
    run(lambda event: None)
    assert load_run(TRAINING).record.finished


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_listener_that_fails_on_the_interruption(error: Exception) -> None:
    emitted: list[Event] = []
    saved: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, ValidationEvent):
            signal.raise_signal(signal.SIGTERM)
        if isinstance(event, InterruptedEvent):
            saved.append(load_run(TRAINING).step)
            emitted.append(event)
            raise error

    with pytest.raises(Interrupted) as stopped:
        run(on_event)
    assert stopped.value.status == 143
    assert saved == [11]  # the step after the validation
    assert emitted == [InterruptedEvent(f"interrupted: {stopped.value.summary}")]


@pytest.mark.parametrize("error", ERRORS[:2], ids=lambda error: type(error).__name__)
def test_without_a_signal_a_run_that_nobody_watches_is_saved_and_says_why(error: OSError) -> None:
    reason = str(error.strerror).lower()
    with pytest.raises(TrainingError, match=f"{reason}; the run is saved in run; "):
        run(broken(error, None, ValidationEvent, 20))
    assert load_run(TRAINING).step == 20


def test_a_bug_in_a_listener_is_shown_as_it_is_and_the_run_saved() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        run(broken(ERRORS[2], None, ValidationEvent, 20))
    assert load_run(TRAINING).step == 20


# --- processes


def leading_its_group(launcher: Launcher, *arguments: str, **streams: Any) -> Job:
    return launcher.start(
        *(*ENDLESS, *arguments), env={"TERM": "xterm", "COLUMNS": "200"}, session=True, **streams
    )


def assert_saved(status: int, expected: int) -> None:
    assert status == expected
    saved = load_run(TRAINING)
    assert saved.record.history
    assert not saved.record.finished
    assert saved.step >= saved.record.history[-1]["step"]



@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_reader_that_dies_with_the_interrupt_leaves_a_saved_run(
    delay: float, launcher: Launcher
) -> None:
    """`train --json | reader`, and Ctrl-C: both are signalled, the reader dies first."""
    with leading_its_group(launcher, "--json", stdout=PIPE, stderr=PIPE) as job:
        while b'"event": "validation"' not in job.pipes["stdout"].readline():
            pass
        job.kill(signal.SIGINT)
        job.pipes["stdout"].close()
        time.sleep(delay)
        status = job.wait(30).status
    assert_saved(status, 130)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_window_that_is_closed_while_the_bar_is_up_leaves_a_saved_run(
    number: signal.Signals, launcher: Launcher
) -> None:
    """The terminal was closed: every write to it fails with EIO."""
    master, slave = pty.openpty()
    job = leading_its_group(launcher, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while b"step 100" not in shown:
        shown += os.read(master, 1 << 16)
    job.kill(number)
    os.close(master)
    assert_saved(job.wait(30).status, STATUS[number])


def test_a_terminal_that_hangs_up_by_itself_leaves_a_saved_run(launcher: Launcher) -> None:
    """As the kernel does it: the controlling terminal goes away, and SIGHUP comes of that."""
    master, slave = pty.openpty()
    job = leading_its_group(launcher, stdin=slave, stdout=slave, stderr=slave, control=True)
    os.close(slave)
    shown = b""
    while b"step 100" not in shown:
        shown += os.read(master, 1 << 16)
    os.close(master)
    assert_saved(job.wait(30).status, 129)
