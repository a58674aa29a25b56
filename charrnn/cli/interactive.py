"""`charrnn sample --interactive`: type a beginning, and the model goes on as you watch.

Ctrl-C stops the text, not the program; Ctrl-D ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.api import TrainedModel
from charrnn.cli.decoding import unescape
from charrnn.cli.terminal import Output, note
from charrnn.errors import CharRNNError, Parameter, SettingsError
from charrnn.inference.strategies import STRATEGIES, check_decoding
from charrnn.platform import enable_line_editing
from charrnn.storage.files import write_atomically

PROMPT = "> "
GREETING = (
    "Type a beginning and press Enter; :help lists commands, Ctrl-C stops a text, Ctrl-D ends."
)
HELP = r"""BEGINNING         go on from there (\n: a new line); nothing: a text from its start
:again            another text with the same beginning
:more             go on with the last text
:length N         characters of each text
:seed N           of the next text; it then counts up
:save FILE        write the last text to FILE
:settings         what is set
:help             this list
:STRATEGY VALUE   a decoding strategy, for example :temperature 0.5, :top-k 5, :argmax on"""
SWITCH = {"on": True, "off": False}


@dataclass
class Interactive:
    """What has been set and written so far.

    Attributes:
        model: what writes.
        output: where to.
        length: characters of each text; None for no limit.
        seed: of the next text.
        until_eos: whether the model may end a text.
        decoding: strategies by name.
        paint: shows a character and its log-probability; None to show it plainly.
        label: of all texts; None for any.
        prime: the beginning of the last text.
        text: the last text.
    """

    model: TrainedModel
    output: Output
    length: int | None
    seed: int
    until_eos: bool | None
    decoding: dict[str, Any]
    paint: Callable[[str, float], None] | None = None
    label: str | None = None
    prime: str = ""
    text: str = field(default="", repr=False)

    def run(self) -> None:
        """Read lines and answer them until there are no more."""
        if sys.stdin.isatty():
            enable_line_editing()
            note(GREETING)
        if self.prime:
            self._try(self._begin, self.prime)
        for line in self._lines():
            self._try(self.answer, line)

    def _try(self, action: Callable[[str], None], line: str) -> None:
        """Do it; Ctrl-C stops it, and an error is told."""
        try:
            action(line)
        except KeyboardInterrupt:
            self.output.line("")
        except CharRNNError as error:
            note(f"Error: {_as_typed(error)}")

    def answer(self, line: str) -> None:
        """Obey a command, or go on from a beginning.

        Raises:
            SettingsError: a command or its value makes no sense.
            OutputError: the text cannot be saved.
        """
        if not line.startswith(":") or line.startswith("::"):
            self._begin(unescape(line.removeprefix(":") if line.startswith("::") else line))
            return
        name, _, value = line[1:].strip().partition(" ")
        name, value = name.replace("-", "_"), value.strip()
        if name in COMMANDS:
            COMMANDS[name](self, value)
        elif name in STRATEGIES:
            self._set_strategy(name, value)
        else:
            raise SettingsError(f"there is no command :{name}; :help lists them")

    def _lines(self) -> Iterator[str]:
        """The lines typed."""
        while (line := self._line()) is not None:
            yield line

    def _line(self) -> str | None:
        """The next line; None at the end. Ctrl-C takes back what is typed."""
        typed = sys.stdin.isatty() and self.output.terminal
        while True:
            try:
                line = input(PROMPT) + "\n" if typed else sys.stdin.readline()
                return line.removesuffix("\n").removesuffix("\r") if line else None
            except KeyboardInterrupt:  # noqa: PERF203 - waits for a person
                self.output.line("")
            except EOFError:
                self.output.line("")
                return None

    def _begin(self, beginning: str) -> None:
        self.prime = self.text = beginning
        self.output.write(beginning)
        self._go_on()

    def _go_on(self) -> None:
        """Continue the text, and show what is new as it comes."""
        seed, self.seed = self.seed, self.seed + 1
        stream = self.model.stream_scored(
            self.length, self.text, seed, self.until_eos, self.label, **self.decoding
        )
        for character, log_probability in stream:
            self.text += character
            if self.paint is None:
                self.output.write(character)
            else:
                self.paint(character, log_probability)
        self.output.line("")
        self.output.flush()

    def again(self, value: str) -> None:
        """Another text with the same beginning."""
        self._begin(self.prime)

    def more(self, value: str) -> None:
        """Go on with the last text."""
        self._go_on()

    def set_length(self, value: str) -> None:
        """Set how many characters each text has, or say how many."""
        if not value:
            note(f":length {self.length}")
            return
        self.length = _count("length", value)

    def set_seed(self, value: str) -> None:
        """Set the seed of the next text, or say what it is."""
        if not value:
            note(f":seed {self.seed}")
            return
        self.seed = _count("seed", value)

    def save(self, value: str) -> None:
        """Write the last text to a file."""
        if not value:
            raise SettingsError("name a file, as in :save poem.txt")
        write_atomically(Path(value), (self.text + "\n").encode("utf-8", "surrogateescape"))
        note(f"{len(self.text):,} characters in {value}")

    def settings(self, value: str) -> None:
        """Say what is set."""
        changed = {
            name: each for name, each in self.decoding.items() if each != STRATEGIES[name].neutral
        }
        for name, each in {"length": self.length, "seed": self.seed, **changed}.items():
            note(f":{name.replace('_', '-')} {each}")

    def help(self, value: str) -> None:
        """List the commands."""
        for line in HELP.splitlines():
            note(line)

    def _set_strategy(self, name: str, value: str) -> None:
        changed = {**self.decoding, name: _parsed(name, value)}
        self.decoding = check_decoding(changed)


COMMANDS: dict[str, Callable[[Interactive, str], None]] = {
    "again": Interactive.again,
    "more": Interactive.more,
    "length": Interactive.set_length,
    "seed": Interactive.set_seed,
    "save": Interactive.save,
    "settings": Interactive.settings,
    "help": Interactive.help,
}


def _as_typed(error: CharRNNError) -> str:
    """The message with parameters as commands."""
    return "".join(
        ":" + part.replace("_", "-") if isinstance(part, Parameter) else part
        for part in error.parts
    )


def _count(name: str, value: str) -> int:
    if not value.isdecimal():
        raise SettingsError(f":{name} must be a number, 0 or more, not {value!r}")
    return int(value)


def _parsed(name: str, value: str) -> Any:
    """The value of a strategy, from what was typed after its name."""
    default = STRATEGIES[name].default
    if isinstance(default, str):
        return unescape(value)
    if isinstance(default, tuple):
        return (unescape(value),) if value else ()
    try:
        if isinstance(default, bool):
            return SWITCH[value]
        return int(value) if isinstance(default, int) else float(value)
    except (KeyError, ValueError):
        needed = "on or off" if isinstance(default, bool) else "a number"
        option = name.replace("_", "-")
        raise SettingsError(f":{option} must be {needed}, not {value!r}") from None
