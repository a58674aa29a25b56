"""Texts in columns of a terminal, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from charrnn.cli.layout import pad, wrap
from charrnn.cli.terminal import visible

BETWEEN = " │ "


def in_columns(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The lines that show `rows` of texts (R, C), each text in a column of `width`.

    An empty line separates texts of several lines.
    """
    for number, row in enumerate(rows):
        if number > 1 and any("\n" in text for text in row):
            yield BETWEEN.join([" " * width] * len(row)).rstrip()
        for parts in zip_longest(*(_wrapped(text, width) for text in row), fillvalue=""):
            yield BETWEEN.join(pad(part, width) for part in parts).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    shown = visible(text.expandtabs())
    return [part for line in shown.split("\n") for part in wrap(line, width)]
