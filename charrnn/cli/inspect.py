"""`charrnn inspect`: show what a network remembers."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import click

from charrnn.cli.command import Command, PathName
from charrnn.cli.layout import FullColumn, table
from charrnn.cli.options import checkpoint_option, encoding_options, json_option, open_model
from charrnn.cli.terminal import Output, terminal_width

if TYPE_CHECKING:
    from charrnn.inference.inspection import Memory

WIDEST_BAR = 40
"""Columns."""
DECADES = 8
"""A gradient's bar is empty where its norm is so many powers of ten below the largest."""


@click.command(
    cls=Command,
    name="inspect",
    examples=(
        "charrnn inspect unseen.txt",
        "charrnn inspect -c shakespeare unseen.txt --no-gradient --json",
    ),
)
@click.argument("corpora", nargs=-1, required=True, type=PathName(), metavar="CORPUS...")
@checkpoint_option
@encoding_options
@click.option(
    "--positions",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Characters of CORPUS to predict, at most.",
)
@click.option(
    "--no-gradient",
    is_flag=True,
    help="Leave out how far back the gradient reaches; torch is needed for that alone.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Chooses them.")
@json_option
def command(
    corpora: tuple[str, ...],
    checkpoint: str | None,
    encoding: str,
    errors: str,
    positions: int,
    no_gradient: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Show what a network remembers of CORPUS: files, directories of *.txt, or - for stdin.

    First how much its predictions improve with context: nats per character when only the last 0, 1,
    2, 4, ..., 1,024 characters are read. Then how far back the gradient reaches, with which it was
    trained: the norm of d loss(t) / d hidden(t - k), for k up to 200. The n-gram model is left out.
    """
    from charrnn.inference.inspection import inspect_corpora

    output = Output()
    model = open_model(checkpoint, "cpu", no_ngram=False)
    memory = inspect_corpora(
        model.checkpoint, corpora, positions, seed, encoding, errors, gradient=not no_gradient
    )
    if not as_json:
        _show(output, memory)
        return
    common = {"positions": memory.positions, "checkpoint": str(model.path)}
    for context, nats in memory.nats_per_character.items():
        output.record({"context": context, "nats_per_character": nats, **common})
    for distance, norm in enumerate(memory.gradient_norms):
        output.record({"distance": distance, "gradient_norm": norm, **common})


def _show(output: Output, memory: Memory) -> None:
    nats = memory.nats_per_character
    bars = _bars([each / max(*nats.values(), 1e-9) for each in nats.values()])
    names = ("context", "nats_per_character")
    _print_table(output, names, {str(each): f"{value:.4f}" for each, value in nats.items()}, bars)
    if memory.gradient_norms:
        output.line("")
        norms = _some_distances(memory.gradient_norms)
        bars = _bars([_share(norm, max(norms.values())) for norm in norms.values()])
        names = ("distance", "gradient_norm")
        cells = {str(each): f"{norm:.3g}" for each, norm in norms.items()}
        _print_table(output, names, cells, bars)


def _some_distances(norms: tuple[float, ...]) -> dict[int, float]:
    """Distances 0, 1, 2, 4, ... and the last one, with their norms."""
    last = len(norms) - 1
    shown = sorted({0, last, *(1 << power for power in range(last.bit_length()))})
    return {distance: norms[distance] for distance in shown}


def _share(norm: float, largest: float) -> float:
    """Of a bar whose length is the logarithm of the norm."""
    if not norm > 0:
        return 0.0
    return max(0.0, 1 + math.log10(norm / largest) / DECADES)


def _bars(shares: list[float]) -> list[str]:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "█".encode(encoding)
        block = "█"
    except (UnicodeEncodeError, LookupError):
        block = "#"
    return [block * round(share * WIDEST_BAR) for share in shares]


def _print_table(
    output: Output, names: tuple[str, str], cells: dict[str, str], bars: list[str]
) -> None:
    """Two columns: tab separated, or on a terminal aligned, with bars beside them."""
    width = terminal_width()
    if width is None:
        output.line("\t".join(names))
        for row in cells.items():
            output.line("\t".join(row))
        return
    columns = [
        FullColumn(names[0], list(cells), numbers=True),
        FullColumn(names[1].replace("_", " "), list(cells.values()), numbers=True),
        FullColumn("", bars, rank=1),
    ]
    for line in table(columns, width):
        output.line(line)
