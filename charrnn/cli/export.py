"""`charrnn export`: give a trained model to others, as one file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from charrnn.cli.command import Command, PathName
from charrnn.cli.options import checkpoint_option, json_option, note_chosen
from charrnn.cli.terminal import Output
from charrnn.export.kinds import KINDS, export, kind_of
from charrnn.export.reduction import Reduction
from charrnn.storage.runs import find_checkpoint

DEFAULTS = {field.name: field.default for field in fields(Reduction)}
HELP = "\n\n".join(
    [
        "Write a trained model to OUTPUT, for others.",
        "The suffix of OUTPUT says what is written:",
        *(f"{suffix}: {kind.description}." for suffix, kind in KINDS.items()),
    ]
)


class ExportCommand(Command):
    """`charrnn export`, whose --force is neither suggested nor taken from elsewhere."""

    never_suggested = frozenset({"--force"})


@click.command(
    cls=ExportCommand,
    name="export",
    help=HELP,
    examples=(
        "charrnn export small.safetensors --half --max-ngrams 200000",
        "charrnn export page.html -c names",
    ),
)
@click.argument("output", type=PathName(), metavar="OUTPUT")
@checkpoint_option
@click.option(
    "--half",
    is_flag=True,
    default=DEFAULTS["half"],
    help="Round the network's weights to float16, which halves their size.",
)
@click.option(
    "--max-ngrams",
    type=click.IntRange(1),
    default=DEFAULTS["max_ngrams"],
    help="Keep at most this many n-grams; the rarest are dropped.",
)
@click.option(
    "--no-ngram", is_flag=True, default=DEFAULTS["no_ngram"], help="Leave out the n-gram model."
)
@click.option(
    "--without-history",
    is_flag=True,
    default=DEFAULTS["without_history"],
    help="Leave out the history of the training run.",
)
@click.option(
    "--card", is_flag=True, help="Write a model card beside OUTPUT: Markdown, with the suffix .md."
)
@click.option("--force", is_flag=True, help="Replace OUTPUT if it exists.")
@json_option
def command(
    output: str,
    checkpoint: str | None,
    half: bool,
    max_ngrams: int | None,
    no_ngram: bool,
    without_history: bool,
    card: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a trained model to a file."""
    from charrnn.models.checkpoint import load_checkpoint

    path = Path(output)
    kind_of(path)  # refuse an unknown suffix before anything is read
    reduction = Reduction(half, max_ngrams, no_ngram, without_history)
    results = Output()
    found = find_checkpoint(checkpoint)
    if checkpoint is None:
        note_chosen(found)
    files = export(load_checkpoint(found), path, reduction, with_card=card, force=force)
    for file in files:
        size = file.stat().st_size
        if as_json:
            results.record({"output": str(file), "bytes": size, "checkpoint": str(found)})
        else:
            results.line(f"{file}\t{size:,} bytes")
