from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.faults.support import the_launcher
from tests.support import Trained

PLAY = ("--interactive", "--seed", "1", "--length", "20")


def play(charrnn: Command, model: tuple[str, Path], *lines: str) -> tuple[str, list[str]]:
    """What is written on stdout and on stderr when these lines come through a pipe."""
    done = charrnn("sample", *model, *PLAY, stdin="".join(line + "\n" for line in lines))
    assert done.status == 0, done.err
    return done.out, done.err.splitlines()


def sample(charrnn: Command, model: tuple[str, Path], *options: str) -> str:
    return charrnn("sample", *model, "--length", "20", *options).out


def test_a_beginning_is_continued(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    out, err = play(charrnn, prose_c, "the cat", r"a dog\n", "")
    expected = (("the cat", "1"), ("a dog\n", "2"), ("", "3"))
    assert out == "".join(
        sample(charrnn, prose_c, "--prime", prime, "--seed", seed) for prime, seed in expected
    )
    assert err == []


def test_again_and_more(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    out, _ = play(charrnn, prose_c, "the", ":seed 1", ":again", ":length 5", ":more")
    first = sample(charrnn, prose_c, "--prime", "the", "--seed", "1")
    assert out.startswith(first + first)
    assert len(out) == 2 * len(first) + 6


def test_settings_can_be_changed(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    out, err = play(
        charrnn, prose_c, ":temperature 0.5", ":top-k 3", ":argmax on", ":argmax off", "the cat",
        r":stop \n", ":forbid xy", ":seed", ":length", ":settings",
    )
    options = ("--prime", "the cat", "--seed", "1", "--temperature", "0.5", "--top-k", "3")
    assert out == sample(charrnn, prose_c, *options)
    assert err[:2] == [":seed 2", ":length 20"]
    assert err[2:] == [
        ":length 20", ":seed 2", ":forbid xy", ":temperature 0.5", ":top-k 3", r":stop ('\n',)",
    ]


def test_a_prime_is_continued_at_once(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    done = charrnn("sample", *prose_c, *PLAY, "--prime", "the", stdin=":seed 1\n:again\n")
    first = sample(charrnn, prose_c, "--prime", "the", "--seed", "1")
    assert done.out == first + first


def test_a_text_can_be_saved(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    out, err = play(charrnn, prose_c, "the cat", ":save a poem.txt", "::x")
    assert out.startswith(Path("a poem.txt").read_text())
    assert err[0] == "27 characters in a poem.txt"
    assert ":x" in out


def test_help_names_every_command(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    _, err = play(charrnn, prose_c, ":help")
    shown = "\n".join(err)
    for command in (":again", ":more", ":length", ":seed", ":save", ":settings", ":temperature"):
        assert command in shown


@pytest.mark.fault(42)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":agian", "there is no command :agian; :help lists them"),
        (":", "there is no command :; :help lists them"),
        (":length many", ":length must be a number, 0 or more, not 'many'"),
        (":seed -1", ":seed must be a number, 0 or more, not '-1'"),
        (":temperature hot", ":temperature must be a number, not 'hot'"),
        (":temperature -1", ":temperature must be 0 or more, not -1"),
        (":top-k", ":top-k must be a number, not ''"),
        (":argmax maybe", ":argmax must be on or off, not 'maybe'"),
        (":only ?", ""),
        (":save", "name a file, as in :save poem.txt"),
        (":save missing/poem.txt", "missing"),
        (":beam 5000", ":beam must be 0 to 1,024, not 5,000"),
    ],
)
def test_a_mistake_is_told_and_the_program_goes_on(
    line: str, message: str, charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    out, err = play(charrnn, prose_c, line, "the cat")
    assert "the cat" in out or line == ":only ?"
    told = [each for each in err if each.startswith("Error: ")]
    assert len(told) == 1
    assert message in told[0]


# --- on a pseudo-terminal


class Terminal:
    """The program on a pseudo-terminal: what a person types, and what is shown."""

    def __init__(self, arguments: Sequence[str | Path]) -> None:
        self._master, slave = pty.openpty()
        self.job = the_launcher().start(
            *arguments, stdin=slave, stdout=slave, stderr=slave,
            env={"TERM": "xterm", "COLUMNS": "80"}, session=True,
        )
        os.close(slave)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C, and again if no prompt follows.

        Python misses a signal that comes after a key has been read and before the next is awaited.
        """
        for seconds in (5, 5, 60):
            os.killpg(self.job.pid, signal.SIGINT)
            with suppress(AssertionError):
                self.wait_for("> ", seconds)
                return
        pytest.fail(f"no prompt after Ctrl-C, but {self.shown!r}")

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Wait until `text` is shown; all up to there since the last call."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            ready = select.select([self._master], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"not shown: {text!r} in {self.shown!r}"
            self.shown += os.read(self._master, 1 << 16).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before

    def close(self) -> None:
        self.job.kill()
        self.job.wait()
        os.close(self._master)


@pytest.fixture
def terminal(prose_model: Trained) -> Iterator[Terminal]:
    found = Terminal(
        ("sample", "-c", prose_model.run, "--interactive", "--seed", "1", "--length", "15")
    )
    yield found
    found.close()


@pytest.mark.fault(42)
def test_a_person_can_play(terminal: Terminal) -> None:
    terminal.wait_for("Ctrl-D ends.\r\n")
    terminal.wait_for("> ")
    terminal.type("the cat\n")
    terminal.wait_for("\r\nthe cat")
    terminal.wait_for("> ")
    # Ctrl-C stops a text without end, and takes back what is typed; the program goes on.
    terminal.type(":length 100000000\n")
    terminal.wait_for("> ")
    terminal.type("a dog\n")
    terminal.wait_for("\r\na dog")
    terminal.press_ctrl_c()
    terminal.type("half a li")
    terminal.wait_for("half a li")
    terminal.press_ctrl_c()
    terminal.type(":length 5\n")
    terminal.wait_for("> ")
    # The line before the last one is there again, where Python has readline.
    terminal.type("my sister\n")
    terminal.wait_for("\r\nmy sister")
    terminal.wait_for("> ")
    terminal.type("\x1b[A\n")
    terminal.wait_for("my sister")
    terminal.wait_for("\r\nmy sister")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.job.wait().status == 0
