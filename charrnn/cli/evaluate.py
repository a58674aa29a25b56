"""`charrnn evaluate`: measure a model on whole corpora."""

from __future__ import annotations

import time

import click

from charrnn.cli.command import Command, PathName
from charrnn.cli.options import (
    checkpoint_option,
    device_option,
    encoding_options,
    json_option,
    ngram_option,
    open_model,
)
from charrnn.cli.terminal import Output


@click.command(
    cls=Command,
    name="evaluate",
    examples=(
        "charrnn evaluate unseen.txt",
        "charrnn evaluate -c shakespeare unseen.txt --json",
    ),
)
@click.argument("corpora", nargs=-1, required=True, type=PathName(), metavar="CORPUS...")
@checkpoint_option
@encoding_options
@device_option
@ngram_option
@json_option
def command(
    corpora: tuple[str, ...],
    checkpoint: str | None,
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    as_json: bool,
) -> None:
    """Measure a trained model on CORPUS: files, directories of *.txt, or - for stdin.

    The text is read as in training: lines as documents if the model was trained with --lines.
    """
    output = Output()
    model = open_model(checkpoint, device, no_ngram)
    started = time.monotonic()
    score = model.evaluate(corpora, encoding, errors)
    seconds = time.monotonic() - started
    figures = score.figures() | {
        "seconds": seconds,
        "characters_per_second": score.characters / max(seconds, 1e-9),
    }
    if as_json:
        output.record({**figures, "checkpoint": str(model.path)})
        return
    for name, value in figures.items():
        output.line(f"{name}\t{value:.10g}")
