"""Print text on stdout as a heat map: the more nats a character has, the redder it is.

rich never interprets text from a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charrnn.cli.terminal import naming_standard_output, one_line, visible

IMPROBABLE_NATS = 8 * math.log(2)
"""A character of 8 bits or more is shown in full red."""
GAP = 1
"""Columns between two characters."""


def _style(nats: float) -> str:
    """Black on white for no nats, on red for IMPROBABLE_NATS and more."""
    paleness = round(255 * (1 - min(1.0, nats / IMPROBABLE_NATS)))
    return f"rgb(0,0,0) on rgb(255,{paleness},{paleness})"


def coloured_console() -> Console | None:
    """Standard output, if it is a terminal with colours."""
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    return console if _has_colours(console) else None


def _has_colours(console: Console) -> bool:
    return not (console.color_system is None or console.no_color or console.is_dumb_terminal)


class Painter:
    """Writes characters one by one, each on a background that shows its probability."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @classmethod
    def of_terminal(cls) -> Painter | None:
        """A painter on standard output; None if that has no colours."""
        console = coloured_console()
        return None if console is None else cls(console)

    def __call__(self, character: str, log_probability: float) -> None:
        """Write one character."""
        if character in "\n\t":
            self._console.file.write(character)
            return
        text = Text(visible(character), style=_style(max(0.0, -log_probability)))
        with naming_standard_output():
            self._console.print(text, end="")
            self._console.file.flush()


def print_legend(console: Console) -> None:
    """Print what the colours mean."""
    steps = [0.0, *(bits * math.log(2) for bits in (1, 2, 4, 6, 8))]
    legend = Text("nats: ")
    for nats in steps:
        last = nats >= IMPROBABLE_NATS
        legend.append(f" {nats:.1f}{' or more' if last else ''} ", style=_style(nats))
    console.print(legend)


def print_heat_map(
    characters: tuple[str, ...],
    log_probabilities: tuple[float, ...],
    console: Console | None = None,
) -> bool:
    """Print the characters (T,) in rows, and below each its nats: minus its log-probability.

    Returns:
        False, and nothing is printed, if the terminal has no colours.
    """
    console = console or coloured_console()
    if console is None or not _has_colours(console):
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
        text = Text().append(self._character, style=_style(self._nats))
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
