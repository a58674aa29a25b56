"""`charrnn cache`: show what the cache of encoded texts takes, and clear it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.command import Command
from charrnn.cli.layout import FullColumn, table
from charrnn.cli.options import json_option
from charrnn.cli.terminal import Output, note, one_line, terminal_width
from charrnn.storage.places import cache_directory

if TYPE_CHECKING:
    from charrnn.text.cache import Entry

KEYS = ("corpus", "part", "bytes", "used", "file")
"""Columns where stdout is not a terminal."""


@click.command(
    cls=Command,
    name="cache",
    examples=("charrnn cache", "charrnn cache --json"),
)
@click.argument("corpora", nargs=-1, metavar="[CORPUS]...")
@click.option("--clear", is_flag=True, help="Remove the entries, or those of CORPUS alone.")
@json_option
def command(corpora: tuple[str, ...], clear: bool, as_json: bool) -> None:
    """Show the encoded texts that are kept so that the next start is fast.

    Each entry is of the CORPUS as it was named when it was read. What is removed is encoded again
    when it is needed.
    """
    from charrnn.text.cache import clear_cache, list_cache

    output = Output()
    entries = [each for each in list_cache() if not corpora or each.corpus in corpora]
    if clear:
        removed = clear_cache(entries, everything=not corpora)
        note(f"removed {_size(removed)} from {cache_directory()}")
        return
    if as_json:
        for entry in entries:
            output.record(_record(entry))
        return
    width = terminal_width()
    if width is None:
        output.line("\t".join(KEYS))
        for entry in entries:
            output.line("\t".join(one_line(str(value)) for value in _record(entry).values()))
        return
    for line in table(_columns(entries), width) if entries else ():
        output.line(line)
    note(f"{_size(sum(entry.bytes for entry in entries))} in {cache_directory()}")


def _record(entry: Entry) -> dict[str, Any]:
    values = asdict(entry)
    values["used"] = datetime.fromtimestamp(entry.used, timezone.utc).isoformat(timespec="seconds")
    return {name: values[name] for name in KEYS}


def _columns(entries: list[Entry]) -> list[FullColumn]:
    times = [_record(entry)["used"][:16].replace("T", " ") for entry in entries]
    return [
        FullColumn("corpus", [one_line(entry.corpus) for entry in entries]),
        FullColumn("part", [entry.part for entry in entries], rank=3),
        FullColumn("MB", [f"{entry.bytes / 1e6:,.1f}" for entry in entries], numbers=True, rank=1),
        FullColumn("last used (UTC)", times, rank=2),
    ]


def _size(used: int) -> str:
    return f"{used / 1e9:.1f} GB" if used >= 1e9 else f"{used / 1e6:.1f} MB"
