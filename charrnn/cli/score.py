"""`charrnn score`: compute how probable texts are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice

import click

from charrnn.cli.command import Command, PathName
from charrnn.cli.options import (
    check_characters,
    checkpoints_option,
    device_option,
    encoding_options,
    json_option,
    ngram_option,
    open_models,
    strict_option,
)
from charrnn.cli.score_output import Scored, reporter
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError
from charrnn.text.reading import line_batches

TEXTS_AT_ONCE = 4096
STDIN = "-"


@click.command(
    cls=Command,
    name="score",
    examples=(
        'charrnn score "To be, or not to be"',
        "charrnn score --per-character - < sentences.txt",
    ),
)
@click.argument("texts", nargs=-1, metavar="[TEXT]... | -")
@click.option(
    "-f", "--file", "file", type=PathName(), metavar="FILE", help="Score each line of FILE."
)
@checkpoints_option
@click.option(
    "--eos/--no-eos",
    default=None,
    help="Whether to predict the end of the text too.  [default: if the model was trained with "
    "--lines]",
)
@click.option(
    "--per-character",
    is_flag=True,
    help="A row for each character; on a terminal a heat map in nats, and what the model expected "
    "instead of the most surprising characters.",
)
@click.option(
    "--sort",
    is_flag=True,
    help="The most probable text first; with several models, by the first one's figures.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values.")
@encoding_options
@device_option
@ngram_option
@strict_option
@json_option
def command(
    texts: tuple[str, ...],
    file: str | None,
    checkpoint: tuple[str, ...],
    eos: bool | None,
    per_character: bool,
    sort: bool,
    as_csv: bool,
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Compute how probable each TEXT is; - reads one text a line from stdin.

    Logarithms are natural (nats); bits and perplexity are per character. Empty texts are skipped.
    With several -c, each model scores each text.
    """
    if bool(texts) == (file is not None):
        raise SettingsError("give texts, or - for stdin, or --file FILE")
    if as_json and as_csv:
        raise SettingsError("--json and --csv contradict each other; give one")
    waits = file == STDIN or texts == (STDIN,)
    output = Output()
    models = open_models(checkpoint, device, no_ngram)
    report = reporter(output, models, eos, per_character, as_json, as_csv)
    if waits and not sort:
        _ask()
        report.heading()
    scored: list[Scored] = []
    number = empty = unknown = 0
    for batch in _batches(texts, file, encoding, errors):
        nonempty = {number + at: text for at, text in enumerate(batch, 1) if text}
        number += len(batch)
        empty += len(batch) - len(nonempty)
        for model in models:
            check_characters(model, "".join(nonempty.values()), strict)
        found = report.score(nonempty)
        unknown += sum(score.unknown_characters for each in found for score in each.scores)
        if sort:
            scored += found
            continue
        report.print(found)
        output.flush()
    report.print(sorted(scored, key=lambda each: -each.scores[0].log_probability))
    report.heading()
    if empty:
        note(f"{empty:,} empty {'text' if empty == 1 else 'texts'} skipped")
    if unknown and len(models) > 1:
        note(
            "UNK stands for every character that a model does not know: with unknown characters, "
            "figures of models with different vocabularies do not compare"
        )


def _ask() -> None:
    """Say what is waited for, if a person is to type it."""
    if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
        note("type a text and press Enter for its score; Ctrl-D ends")


def _batches(
    texts: tuple[str, ...], file: str | None, encoding: str, errors: str
) -> Iterator[list[str]]:
    """The texts to score, TEXTS_AT_ONCE at a time; those of stdin as they arrive."""
    if file == STDIN or texts == (STDIN,):
        yield from line_batches(STDIN, encoding, errors)
        return
    source = iter(texts)
    if file is not None:
        source = chain.from_iterable(line_batches(file, encoding, errors))
    while batch := list(islice(source, TEXTS_AT_ONCE)):
        yield batch
