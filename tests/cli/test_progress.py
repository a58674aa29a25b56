from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

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
    assert "to repeat: --hidden 8\n" in captured.err
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


def on_a_terminal(*arguments: str) -> tuple[str, str, int]:
    """stdout and stderr, both terminals of their own, and the exit status."""
    parent_side, child_side = zip(os.openpty(), os.openpty(), strict=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=child_side[0],
        stderr=child_side[1],
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
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
    return texts[1], texts[0], process.wait()


def test_training_shows_a_bar_on_a_terminal(prose_model: Trained) -> None:
    out, err, status = on_a_terminal(
        *("train", str(prose_model.corpus), "-o", "run", *QUICK, "--steps", "60")
    )
    assert (status, out) == (0, "")
    assert "\x1b[" in err
    assert "60" in err
    assert "done in " in err
    assert "validation " in err
