"""Lay out help for terminals of 40 to 200 columns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable

import click

NARROWEST, WIDEST = 30, 100
"""Help is at least and at most so many columns wide; longer lines are hard to read."""
TWO_COLUMNS = 60
"""From this width on, explanations stand beside the options, otherwise below them."""
PLAIN = (
    (re.compile(r"\[default: \((.*)\)([];])"), r"[default: \1\2"),  # click marks those in words
    (re.compile(r"; x>=0]$"), "]"),
    (re.compile(r"  \[x>=0]$"), ""),
    (re.compile(r"x>=([\d.]+)]$"), r"\1 or more]"),
)


class HelpFormatter(click.HelpFormatter):
    """click's, whose narrowest text has 50 columns, for narrower terminals too."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        columns = shutil.get_terminal_size().columns
        fitting = max(NARROWEST, min(columns, max_width or WIDEST) - 2)
        super().__init__(indent_increment, width or fitting)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write options and their explanations."""
        if self.width < TWO_COLUMNS:
            rows, col_max = [(name.rstrip(), text) for name, text in rows], 2
        super().write_dl(list(rows), col_max, col_spacing)


def plain_record(record: tuple[str, str]) -> tuple[str, str]:
    """An option and its explanation, without click's notation for defaults and ranges."""
    option, text = record
    for pattern, replacement in PLAIN:
        text = pattern.sub(replacement, text)
    return option, text
