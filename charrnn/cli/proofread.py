"""`charrnn proofread`: what is probably wrong in a text, and what should stand there."""

from __future__ import annotations

import click

from charrnn.cli.command import Command, PathName
from charrnn.cli.options import (
    checkpoint_option,
    device_option,
    encoding_options,
    json_option,
    ngram_option,
    raw_option,
)
from charrnn.cli.restoring import open_both, using_options
from charrnn.cli.tables import Column, Table
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError

KEYS = ("line", "column", "kind", "found", "suggested", "log_odds")
"""Columns where stdout is not a terminal."""


@click.command(
    cls=Command,
    name="proofread",
    examples=(
        "charrnn proofread unseen.txt",
        "charrnn proofread --fix - < unseen.txt > fixed.txt",
    ),
)
@click.argument("file", type=PathName(), metavar="FILE | -")
@checkpoint_option
@click.option("--fix", is_flag=True, help="Write the text with everything mended.")
@click.option(
    "--threshold",
    type=float,
    default=0.0,
    show_default=True,
    help="Log-odds, in nats, from which a place counts as wrong.",
)
@using_options
@encoding_options
@device_option
@ngram_option
@raw_option
@json_option
def command(
    file: str,
    checkpoint: str | None,
    fix: bool,
    threshold: float,
    using: str,
    with_forward: str | None,
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Find what is probably wrong in FILE, and what should stand there; - is stdin.

    A row for each place: line, column, what stands there, what should, and the log-odds that it is
    wrong. On a terminal, the text with marks: [-wrong-]{+right+}.
    """
    from charrnn.text.reading import text_pieces

    if fix and as_json:
        raise SettingsError("--fix and --json contradict each other; give one")
    output = Output(raw)
    model = open_both(checkpoint, with_forward, device, no_ngram)
    marks = output.terminal and not (fix or as_json)
    table = Table(output, [Column(name, name) for name in KEYS])
    count = 0
    for passage in model.proofread_pieces(text_pieces(file, encoding, errors), threshold, using):
        count += len(passage.slips)
        if fix:
            output.write(passage.fixed)
        elif marks:
            output.write(passage.marked)
        for slip in () if fix or marks else passage.slips:
            values = {name: getattr(slip, name) for name in KEYS}
            if as_json:
                output.record(values)
            else:
                table.row(*map(str, list(values.values())[:-1]), f"{slip.log_odds:.3f}")
        output.flush()
    if not (fix or marks or as_json):
        table.heading()  # of a table without rows, too
    note(f"{count:,} {'place is' if count == 1 else 'places are'} probably wrong")
