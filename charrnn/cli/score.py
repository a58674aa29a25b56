"""`charrnn score`: compute how probable texts are."""

from __future__ import annotations

import click

from charrnn.cli.adapting import Adaptation, adaptive_options
from charrnn.cli.command import Command, PathName
from charrnn.cli.given_texts import (
    are_awaited,
    ask_for_texts,
    note_empty,
    require_texts,
    text_batches,
)
from charrnn.cli.options import (
    check_characters,
    checkpoints_option,
    device_option,
    encoding_options,
    json_option,
    label_option,
    ngram_option,
    open_models,
    strict_option,
)
from charrnn.cli.score_output import Asked, Scored, reporter
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError


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
@label_option(multiple=False)
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
@adaptive_options
@strict_option
@json_option
def command(
    texts: tuple[str, ...],
    file: str | None,
    checkpoint: tuple[str, ...],
    label: str | None,
    eos: bool | None,
    per_character: bool,
    sort: bool,
    as_csv: bool,
    encoding: str,
    errors: str,
    device: str,
    no_ngram: bool,
    adaptive: bool,
    adaptive_rate: float | None,
    save: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Compute how probable each TEXT is; - reads one text a line from stdin.

    Logarithms are natural (nats); bits and perplexity are per character. Empty texts are skipped.
    With several -c, each model scores each text. With --adaptive, it then learns from it.
    """
    require_texts(texts, file)
    if as_json and as_csv:
        raise SettingsError("--json and --csv contradict each other; give one")
    adaptation = Adaptation(adaptive, adaptive_rate, save, device, len(checkpoint))
    output = Output()
    models = adaptation.begin(open_models(checkpoint, device, no_ngram))
    if label is not None:
        for model in models:
            model.require_label(label)
    report = reporter(output, models, Asked(eos, per_character, label), as_json, as_csv)
    if are_awaited(texts, file) and not sort:
        ask_for_texts("score")
        report.heading()
    scored: list[Scored] = []
    number = empty = unknown = 0
    for batch in text_batches(texts, file, encoding, errors):
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
    note_empty(empty)
    if unknown and len(models) > 1:
        note(
            "UNK stands for every character that a model does not know: with unknown characters, "
            "figures of models with different vocabularies do not compare"
        )
    adaptation.finish(models)
