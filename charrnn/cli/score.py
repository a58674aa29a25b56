"""`charrnn score`: compute how probable texts are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import click

from charrnn.api import CharacterScores, TrainedModel
from charrnn.cli.command import Command, PathName
from charrnn.cli.options import (
    check_characters,
    checkpoint_option,
    device_option,
    json_option,
    ngram_option,
    open_model,
    strict_option,
)
from charrnn.cli.terminal import Output, note, one_line
from charrnn.errors import SettingsError
from charrnn.inference.scoring import FIGURES, Score
from charrnn.text.reading import line_batches

TEXTS_AT_ONCE = 4096


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
@checkpoint_option
@click.option(
    "--eos/--no-eos",
    default=None,
    help="Whether to predict the end of the text too.  [default: if the model was trained with "
    "--lines]",
)
@click.option(
    "--per-character",
    is_flag=True,
    help="Print the log-probability of each character too; on a terminal as a heat map in nats.",
)
@device_option
@ngram_option
@strict_option
@json_option
def command(
    texts: tuple[str, ...],
    file: str | None,
    checkpoint: str | None,
    eos: bool | None,
    per_character: bool,
    device: str,
    no_ngram: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Compute how probable each TEXT is; - reads one text a line from stdin.

    Logarithms are natural (nats); bits and perplexity are per character. Empty texts are skipped.
    """
    if bool(texts) == (file is not None):
        raise SettingsError("give texts, or - for stdin, or --file FILE")
    output = Output()
    model = open_model(checkpoint, device, no_ngram)
    if not as_json:
        output.line("\t".join((*FIGURES, "text")))
    empty = 0
    for batch in _batches(texts, file):
        nonempty = [text for text in batch if text]
        empty += len(batch) - len(nonempty)
        check_characters(model, "".join(nonempty), strict)
        _print_scores(model, output, nonempty, eos, per_character, as_json)
        output.flush()
    if empty:
        note(f"{empty:,} empty {'text' if empty == 1 else 'texts'} skipped")


def _batches(texts: tuple[str, ...], file: str | None) -> Iterator[list[str]]:
    """The texts to score, TEXTS_AT_ONCE at a time; those of stdin as they arrive."""
    if file == "-" or texts == ("-",):
        yield from line_batches("-")
        return
    source = iter(texts) if file is None else chain.from_iterable(line_batches(file))
    while batch := list(islice(source, TEXTS_AT_ONCE)):
        yield batch


def _print_scores(
    model: TrainedModel,
    output: Output,
    texts: list[str],
    eos: bool | None,
    per_character: bool,
    as_json: bool,
) -> None:
    scores = model.score(texts, eos)
    characters = model.score_characters(texts, eos) if per_character else [None] * len(texts)
    for text, score, each in zip(texts, scores, characters, strict=True):
        if as_json:
            output.record(
                {"text": text, **_facts(score, each), "checkpoint": str(model.path)}
            )
            continue
        figures = (f"{value:.6g}" for value in score.figures().values())
        output.line("\t".join([*figures, one_line(text)]))
        if each is not None:
            _print_characters(output, each)


def _facts(score: Score, characters: CharacterScores | None) -> dict[str, Any]:
    if characters is None:
        return score.figures()
    pairs = zip(characters.characters, characters.log_probabilities, strict=True)
    parts = [{"character": character, "log_probability": value} for character, value in pairs]
    return {**score.figures(), "per_character": parts}


def _print_characters(output: Output, scores: CharacterScores) -> None:
    if sys.stdout.isatty():
        from charrnn.cli.heat_map import print_heat_map

        if print_heat_map(scores.characters, scores.log_probabilities):
            return
    for character, value in zip(scores.characters, scores.log_probabilities, strict=True):
        output.line(f"{value:.6g}\t{one_line(character) or '<EOS>'}")
