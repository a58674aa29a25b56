"""Print a text on stdout as a heat map: below each character its nats; more nats are redder.

rich never interprets text from a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charrnn.cli.terminal import one_line

IMPROBABLE_NATS = 8 * math.log(2)
"""A character of 8 bits or more is shown in full red."""
GAP = 1
"""Columns between two characters."""


def print_heat_map(
    characters: tuple[str, ...],
    log_probabilities: tuple[float, ...],
    console: Console | None = None,
) -> bool:
    """Print the characters (T,) in rows, and below each its nats: minus its log-probability.

    Returns:
        False, and nothing is printed, if the terminal has no colours.
    """
    console = console or Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    if console.color_system is None or console.no_color or console.is_dumb_terminal:
        return False
    cells = [_Cell(*each) for each in zip(characters, log_probabilities, strict=True)]
    for row in _rows(cells, console.width):
        console.print(Text().join(cell.shown() for cell in row))
        console.print(Text().join(cell.number() for cell in row))
    return True


class _Cell:
    """A character and its nats, printed in the same number of columns."""

    def __init__(self, character: str, log_probability: float) -> None:
        self._character = "<EOS>" if character == "" else one_line(character)
        self._nats = max(0.0, -log_probability)
        self._number = f"{self._nats:.2f}" if self._nats < 9.995 else f"{self._nats:.1f}"
        self.width = GAP + max(cell_len(self._character), len(self._number))

    def shown(self) -> Text:
        """The character, on a background that shows its nats."""
        paleness = round(255 * (1 - min(1.0, self._nats / IMPROBABLE_NATS)))
        text = Text().append(self._character, style=f"rgb(0,0,0) on rgb(255,{paleness},{paleness})")
        return text.append(" " * (self.width - cell_len(self._character)))

    def number(self) -> Text:
        """The nats, below the character."""
        return Text(self._number.ljust(self.width))


def _rows(cells: list[_Cell], width: int) -> Iterator[list[_Cell]]:
    """The cells in rows of at most `width` columns."""
    row: list[_Cell] = []
    for cell in cells:
        if row and sum(each.width for each in row) + cell.width > width:
            yield row
            row = []
        row.append(cell)
    if row:
        yield row
