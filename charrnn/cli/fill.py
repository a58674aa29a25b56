"""`charrnn fill`: what stands in the gaps of a text."""

from __future__ import annotations

import click

from charrnn.cli.command import Command
from charrnn.cli.options import (
    check_characters,
    checkpoint_option,
    device_option,
    json_option,
    ngram_option,
    raw_option,
)
from charrnn.cli.restoring import open_both, using_options
from charrnn.cli.terminal import Output
from charrnn.inference.fill_options import BLANK, GAP, LONGEST, SWEEPS, FillOptions


@click.command(
    cls=Command,
    name="fill",
    examples=(
        'charrnn fill "To be, or ___ to be"',
        'charrnn fill "To be, or [...] to be" --num 3 --json',
    ),
)
@click.argument("text")
@checkpoint_option
@click.option("--num", type=int, default=1, show_default=True, help="Number of texts.")
@click.option(
    "--argmax", is_flag=True, help="Look for the most probable texts instead of drawing them."
)
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Below 1, texts are drawn more from the probable ones; 0 is --argmax.",
)
@click.option(
    "--blank", default=BLANK, show_default=True, help="Character that stands for a missing one."
)
@click.option(
    "--longest",
    type=int,
    default=LONGEST,
    show_default=True,
    help=f"Maximum characters of a gap, {GAP}.",
)
@click.option(
    "--sweeps",
    type=int,
    default=SWEEPS,
    show_default=True,
    help="How often the reader draws each missing character again.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same texts.")
@using_options
@device_option
@ngram_option
@raw_option
@json_option
def command(
    text: str,
    checkpoint: str | None,
    num: int,
    argmax: bool,
    temperature: float,
    blank: str,
    longest: int,
    sweeps: int,
    seed: int | None,
    using: str,
    with_forward: str | None,
    device: str,
    no_ngram: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Fill the gaps of TEXT.

    Each _ is one missing character, [...] a gap of unknown length. The forward model proposes what
    fits on both sides; a reader (train --bidirectional), if there is one, polishes it.
    """
    from charrnn.inference.arguments import seed_or_new

    output = Output(raw)
    options = FillOptions(num, temperature, argmax, sweeps, seed_or_new(seed))
    model = open_both(checkpoint, with_forward, device, no_ngram)
    check_characters(model, text.replace(GAP, "").replace(blank, ""), strict=False)
    for filled in model.fillings(text, options, blank, longest, using):
        if as_json:
            record = {"text": filled.text, "fills": list(filled.fills), "seed": options.seed}
            output.record(record | {"probability": filled.probability})
        else:
            output.line(filled.text)
