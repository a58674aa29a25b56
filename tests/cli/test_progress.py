from __future__ import annotations

import io
import os

import pytest

from charrnn.cli.dashboard import HINT
from charrnn.cli.progress import TrainingDisplay
from charrnn.training.events import (
    CheckpointEvent,
    DoneEvent,
    Event,
    NetworkStartEvent,
    SampleEvent,
    ValidationEvent,
    WarningEvent,
)
from charrnn.training.settings import DEFAULTS
from tests.cli.screen import Screen
from tests.conftest import Command
from tests.faults.support import on_terminal, the_launcher
from tests.support import QUICK, Trained

START = NetworkStartEvent(
    checkpoint="run",
    settings=vars(DEFAULTS),
    flags="--hidden 8",
    characters=12345,
    unknown_characters=0,
    vocabulary_size=30,
    validation_characters=1200,
    seed=1,
    steps=100,
    device="cpu",
    resumed=False,
    step=0,
    epochs=1.5,
    parameters=4321,
    ngram_nats_per_character=None,
    threads=2,
    torch="2",
)


def shown(*events: Event, raw: bool = False) -> None:
    with TrainingDisplay(raw) as display:
        for event in events:
            display(event)


def test_events_are_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    shown(
        START,
        ValidationEvent(50, 2.0, 1.75, best=True, seconds=6.0),
        WarningEvent("mind\nthe gap"),
        DoneEvent("run", 100, 50, 1.75, 12.34),
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training: 12,345 characters, 30 in the vocabulary, 1,200 held out" in captured.err
    assert "--hidden 8" not in captured.err
    assert "step 50: training 2.0000, validation 1.7500 nats per character (best so far)\n" in (
        captured.err
    )
    assert "warning: mind\\nthe gap\n" in captured.err
    assert captured.err.endswith(
        "done in 12.3 s: validation 1.7500 nats (2.5247 bits) per character at step 50; "
        "model in run\n"
    )


@pytest.mark.parametrize(("raw", "expected"), [(False, "  | a^[[31m\n  | b\n"), (True, "\x1b[31m")])
def test_samples_are_harmless(
    raw: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(SampleEvent(1, "a\x1b[31m\nb"), raw=raw)
    assert expected in capsys.readouterr().err


def test_an_event_with_nothing_to_show_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown(CheckpointEvent(1, "run/model.safetensors"))
    assert capsys.readouterr().err == ""


def on_a_terminal(*arguments: str, columns: int = 120) -> tuple[str, str, int]:
    """stdout and stderr, both terminals of their own, and the exit status."""
    parent_side, child_side = zip(os.openpty(), os.openpty(), strict=True)
    job = the_launcher().start(
        *arguments,
        stdout=child_side[0],
        stderr=child_side[1],
        env={"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24"},
    )
    for descriptor in child_side:
        os.close(descriptor)
    texts = []
    for descriptor in reversed(parent_side):  # stderr first: more of it than a terminal holds
        received = io.BytesIO()
        while True:
            try:
                block = os.read(descriptor, 4096)
            except OSError:
                break
            if not block:
                break
            received.write(block)
        os.close(descriptor)
        texts.append(received.getvalue().decode())
    return texts[1], texts[0], job.wait().status


def test_a_mixture_is_told_from_its_network(capsys: pytest.CaptureFixture[str]) -> None:
    shown(DoneEvent("run", 100, 50, 1.5, 12.34, 1.75, 1.625))
    assert capsys.readouterr().err == (
        "done in 12.3 s: validation 1.5000 nats (2.1640 bits) per character, network and n-gram "
        "model together; network alone 1.7500 at step 50, n-gram model alone 1.6250; model in run\n"
    )


def test_an_ngram_model_alone_has_one_figure(capsys: pytest.CaptureFixture[str]) -> None:
    shown(DoneEvent("run", 0, 0, 1.5, 0.5, ngram_nats_per_character=1.5))
    assert capsys.readouterr().err == (
        "done in 0.5 s: validation 1.5000 nats (2.1640 bits) per character; model in run\n"
    )


@pytest.mark.parametrize(
    ("variable", "value"), [("TERM", "dumb"), ("TERM", "unknown")], ids=["dumb", "unknown"]
)
def test_a_terminal_without_a_cursor_gets_plain_lines(
    variable: str, value: str, prose_model: Trained
) -> None:
    arguments = ("train", prose_model.corpus, "-o", "run", *QUICK, "--steps", "20")
    status, seen = on_terminal(*arguments, env={variable: value})
    assert status == 0
    assert "\x1b" not in seen
    assert "step 20: training" in seen


def test_a_pipe_gets_plain_lines_even_if_colours_are_forced(
    prose_model: Trained, run_charrnn: Command
) -> None:
    arguments = ("train", prose_model.corpus, "-o", "run", *QUICK, "--steps", "20")
    result = run_charrnn(*arguments, env={"FORCE_COLOR": "1"})
    assert result.status == 0
    assert "\x1b" not in result.err
    assert "step 20: training" in result.err


@pytest.mark.fault(30)
def test_after_ctrl_c_the_dashboard_is_gone(prose_model: Trained) -> None:
    arguments = ("train", prose_model.corpus, "-o", "run", *QUICK, "--steps", "1000000")
    status, seen = on_terminal(*arguments, press="\x03", after="char/s", columns=60)
    assert status == 130
    screen = Screen(60)
    screen.feed(seen)
    assert not any("━" in line or HINT in line for line in screen.lines)
    assert screen.lines[-1].startswith("saved in run; ") or "saved in run" in " ".join(screen.lines)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_training_shows_curves_on_a_terminal(columns: int, prose_model: Trained) -> None:
    arguments = ("train", str(prose_model.corpus), "-o", "run", *QUICK, "--steps", "60")
    out, err, status = on_a_terminal(*arguments, columns=columns)
    assert (status, out) == (0, "")
    assert "\x1b[" in err
    for expected in (" left  ", "━", "the network's loss, nats per character"[: columns - 2], "█"):
        assert expected in err
    assert "  | " in err
    assert "done in " in err
    screen = Screen(columns)
    screen.feed(err)
    assert not any("━" in line for line in screen.lines)
    assert "together; network alone" in " ".join("".join(screen.lines[-6:]).split())
