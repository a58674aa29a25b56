"""Tables of results, a row at a time: aligned on a terminal, tab-separated or CSV elsewhere.

Elsewhere every column is there, under its full name. On a terminal the least important ones are
left out where it is narrow, and the text gets what is left of the width.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.cli.layout import GAP, cut
from charrnn.cli.terminal import Output, one_line

TEXT_WIDTH = 16
"""A text has at least so many columns of a terminal."""
NUMBERS = ".6g"
"""How numbers are written where no person reads them."""

Cell = str | int | float


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: in a file.
        heading: on a terminal.
        width: on a terminal; 0 for a text, which gets what is left.
        format: of its numbers on a terminal.
        importance: the lowest are left out first on a narrow terminal.
    """

    name: str
    heading: str
    width: int = 0
    format: str = ","
    importance: int = 9


TEXT = Column("text", "text")


class Table:
    """Prints rows as they come, below a heading.

    Args:
        output: where to.
        columns: the last one may be a text.
        as_csv: comma-separated values (RFC 4180) instead of tab-separated ones.
        numbers: format of numbers that are not on a terminal.
    """

    def __init__(
        self,
        output: Output,
        columns: Sequence[Column],
        as_csv: bool = False,
        numbers: str = NUMBERS,
    ) -> None:
        self._output = output
        self._columns = tuple(columns)
        self._csv = as_csv
        self._numbers = numbers
        self._aligned = output.terminal and not as_csv
        self._width = shutil.get_terminal_size().columns
        self._shown = _fitting(self._columns, self._width)
        self._begun = False

    def heading(self) -> None:
        """Print the heading now, if it is not there yet."""
        if self._begun:
            return
        self._begun = True
        if self._aligned:
            self._align([column.heading for column in self._columns])
        else:
            self._separate([column.name for column in self._columns])

    def row(self, *cells: Cell) -> None:
        """Print a row."""
        self.heading()
        if self._aligned:
            pairs = zip(cells, self._columns, strict=True)
            self._align([_formatted(cell, column.format) for cell, column in pairs])
        else:
            self._separate([_formatted(cell, self._numbers) for cell in cells])

    def _separate(self, cells: list[str]) -> None:
        if not self._csv:
            self._output.line("\t".join(map(one_line, cells)))
            return
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        self._output.write(line.getvalue())

    def _align(self, cells: list[str]) -> None:
        left = self._width
        parts: list[str] = []
        for index in self._shown:
            cell, width = one_line(cells[index]), self._columns[index].width
            parts.append(cell.rjust(width) if width else cut(cell, left))
            left -= width + GAP
        self._output.line((" " * GAP).join(parts).rstrip())


def _formatted(cell: Cell, number_format: str) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) and number_format == NUMBERS:
        return str(cell)
    return format(cell, number_format)


def _fitting(columns: Sequence[Column], width: int) -> list[int]:
    """Indices of the columns that a terminal has room for."""
    shown = list(range(len(columns)))

    def needed() -> int:
        return sum((columns[index].width or TEXT_WIDTH) + GAP for index in shown) - GAP

    while len(shown) > 1 and needed() > width:
        shown.remove(min(shown, key=lambda index: (columns[index].importance, -index)))
    return shown
