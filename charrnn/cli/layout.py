"""Lay out facts and tables in the width of a terminal. Knows no colours."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2
"""Columns between two columns of a table."""


@dataclass(frozen=True)
class FullColumn:
    """A column of a table with all its cells; those of cli/tables.py get them row by row.

    Attributes:
        heading: its first line.
        cells: one for each row.
        numbers: whether to align it to the right.
        rank: columns with the highest ranks are left out first where the width does not suffice.
    """

    heading: str
    cells: Sequence[str]
    numbers: bool = False
    rank: int = 0

    @property
    def width(self) -> int:
        """In columns of the terminal."""
        return max(map(display_width, [self.heading, *self.cells]))

    def padded(self) -> list[str]:
        """Heading and cells, all of the same width."""
        return [pad(cell, self.width, self.numbers) for cell in [self.heading, *self.cells]]


def facts(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Labels with texts beside them, wrapped; on narrow terminals below them.

    Lines of a text stay lines.
    """
    margin = max(len(label) for label, _ in rows) + GAP
    narrow = width < 3 * margin
    lines: list[str] = []
    for label, text in rows:
        indent = GAP if narrow else margin
        wrapped = [
            part for line in text.split("\n") for part in wrap(line, max(10, width - indent))
        ]
        if narrow:
            lines += [label, *(" " * indent + part for part in wrapped)]
        else:
            labels = [label, *[""] * (len(wrapped) - 1)]
            pairs = zip(labels, wrapped, strict=True)
            lines += [each.ljust(indent) + part for each, part in pairs]
    return lines


def table(columns: Sequence[FullColumn], width: int) -> list[str]:
    """Columns side by side, as many as fit; the rest of a line that is too long is cut off."""
    kept = list(columns)
    while len(kept) > 1 and sum(each.width + GAP for each in kept) - GAP > width:
        kept.remove(max(kept, key=lambda each: each.rank))
    rows = zip(*(each.padded() for each in kept), strict=True)
    return [cut((" " * GAP).join(row).rstrip(), width) for row in rows]


def display_width(text: str) -> int:
    """How many columns a terminal shows `text` in."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, width: int, right: bool = False) -> str:
    """`text` with spaces, before it if `right`, in `width` columns."""
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def wrap(line: str, width: int) -> list[str]:
    """`line` in parts of at most `width` columns, broken at spaces unless some take two columns."""
    if display_width(line) == len(line):
        return textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    parts = [""]
    for character in line:
        if display_width(parts[-1] + character) > width:
            parts.append("")
        parts[-1] += character
    return parts


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, with an ellipsis if it is longer."""
    if display_width(text) <= width:
        return text
    while display_width(text) >= width:
        text = text[:-1]
    return text + "…"
