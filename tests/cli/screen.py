"""What a terminal shows after a program has written to it: enough of one for these tests."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<command>[A-Za-z])|(?P<text>[\s\S])")


class Screen:
    """A terminal of `columns` columns and endless lines: text, CR, LF, cursor up, erase line."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows: list[str] = [""]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """The lines, without empty ones at the end."""
        lines = [row.rstrip() for row in self._rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def feed(self, text: str) -> None:
        """Show what a program has written."""
        for token in TOKEN.finditer(text):
            if token["command"] is not None:
                self._obey(token["command"], token["numbers"])
            elif token["text"] == "\r":
                self._column = 0
            elif token["text"] == "\n":
                self._move_to(self._row + 1)
            else:
                self._write(token["text"])

    def _obey(self, command: str, numbers: str) -> None:
        if command == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif command == "K":
            keep = 0 if numbers == "2" else self._column
            self._rows[self._row] = self._rows[self._row][:keep]
        else:
            assert command in "mhl", command

    def _write(self, character: str) -> None:
        if self._column == self._columns:
            self._move_to(self._row + 1)
            self._column = 0
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _move_to(self, row: int) -> None:
        self._row = row
        self._rows += [""] * (row + 1 - len(self._rows))
