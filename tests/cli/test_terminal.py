from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from charrnn.cli.terminal import Output, note, one_line, visible
from charrnn.errors import CharRNNError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 漢字, 👩‍👩‍👧, e\u0301", "plain, é, 漢字, 👩‍👩‍👧, e\u0301"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07", "^[[31mred^G"),
        ("\0\r\x7f", "^@^M^?"),
        ("\x80\x9b2J\x9f", "\\u0080\\u009b2J\\u009f"),
        ("a\u202eb\u2066c\u061c\u200f", "a\\u202eb\\u2066c\\u061c\\u200f"),
        ("\u2028\u2029", "\\u2028\\u2029"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_one_line() -> None:
    assert one_line("a\tb\nc\rd\x1b") == "a\\tb\\nc^Md^["
    every = "".join(map(chr, range(0x3000)))
    assert len(one_line(every).splitlines()) == 1


def test_piped_output_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.write("\x1b[31m\r")
    output.line("é\u202e")
    assert capsys.readouterr().out == "\x1b[31m\ré\u202e\n"


def test_records_are_json_in_ascii_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().record({"text": "é\n\x1b", "nats": 1.5})
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii()
    assert json.loads(line) == {"text": "é\n\x1b", "nats": 1.5}


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_json_cannot_say_is_null(
    value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    Output().record({"perplexity": value})
    assert capsys.readouterr().out == '{"perplexity": null}\n'


def test_a_note_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("bad name: a\nb\x1b")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "bad name: a\\nb^[\n")


def test_closed_streams_are_an_error_or_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    note("nobody listens")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(CharRNNError, match="standard output is closed"):
        Output()


def on_a_terminal(raw: bool) -> str:
    """What a terminal receives of a text with control characters."""
    program = f"from charrnn.cli.terminal import Output; Output({raw}).line('\\x1b[2J\\u202e\\tx')"
    parent_side, child_side = os.openpty()
    subprocess.run([sys.executable, "-c", program], stdout=child_side, check=True)
    os.close(child_side)
    with open(parent_side, "rb", buffering=0) as terminal:
        return terminal.read(1000).decode().rstrip("\r\n")


def test_a_terminal_gets_no_control_characters_but_on_request() -> None:
    assert on_a_terminal(raw=False) == "^[[2J\\u202e\tx"
    assert on_a_terminal(raw=True) == "\x1b[2J\u202e\tx"
