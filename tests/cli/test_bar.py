from __future__ import annotations

import io
import sys

import pytest

from charrnn.cli.bar import PATIENCE, DelayedBar


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("seconds", [PATIENCE - 0.1, PATIENCE + 0.1])
def test_only_what_takes_long_has_a_bar_and_only_on_a_terminal(
    terminal: bool, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = FakeTerminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("charrnn.cli.bar.time.monotonic", iter((0.0, seconds, 9.0)).__next__)
    monkeypatch.setenv("TERM", "xterm")
    bar = DelayedBar("evaluating")
    monkeypatch.setattr("charrnn.cli.bar.time.monotonic", lambda: seconds)
    with bar:
        bar.update(5, 10)
        bar.update(10, 10)
    assert ("evaluating" in stream.getvalue()) == (terminal and seconds > PATIENCE)
