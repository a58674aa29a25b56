"""Print on a terminal what was taken for what, as a heat map: the more often, the redder."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charrnn.cli.heat_map import coloured_console
from charrnn.cli.layout import cut, pad
from charrnn.cli.terminal import one_line

WIDEST_LABEL = 16


def print_confusion(
    names: Sequence[str], counts: Sequence[Sequence[int]], console: Console | None = None
) -> bool:
    """Print a row for each right label (L,) with how many of its texts were taken for each.

    A cell's red is its share of the row. Labels without texts are left out.

    Args:
        names: (L,) of the labels.
        counts: (L, L).
        console: where to; None: standard output.

    Returns:
        False, and nothing is printed, if the terminal has no colours or is too narrow.
    """
    console = console or coloured_console()
    used = [at for at in range(len(names)) if any(counts[at]) or any(row[at] for row in counts)]
    if console is None or not used:
        return False
    shown = [cut(one_line(names[at]), WIDEST_LABEL) for at in used]
    numbers = [str(place) for place in range(1, len(used) + 1)]
    cells = [[str(counts[row][column]) for column in used] for row in used]
    width = 1 + max(len(text) for row in [numbers, *cells] for text in row)
    label_width = max(map(cell_len, shown)) + len(numbers[-1]) + 2
    if label_width + width * len(used) > console.width:
        return False
    console.print(Text(" " * label_width + "".join(each.rjust(width) for each in numbers)))
    for place, row in enumerate(used):
        line = Text(pad(f"{numbers[place]:>{len(numbers[-1])}} {shown[place]}", label_width))
        total = max(1, sum(counts[row]))
        for column, text in zip(used, cells[place], strict=True):
            line.append(text.rjust(width), style=_style(counts[row][column] / total))
        console.print(line)
    return True


def _style(share: float) -> str:
    """Black on white for 0, on full red for all of a row."""
    paleness = round(255 * (1 - share))
    return f"rgb(0,0,0) on rgb(255,{paleness},{paleness})"
