"""`charrnn score`: how probable texts are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import click

from charrnn.api import TrainedModel
from charrnn.cli.options import (
    check_characters,
    checkpoint_option,
    device_option,
    json_option,
    ngram_option,
    open_model,
    strict_option,
)
from charrnn.cli.terminal import Output, one_line
from charrnn.errors import CorpusError, SettingsError
from charrnn.text.corpus import Source, standard_input

TEXTS_AT_ONCE = 4096
COLUMNS = (
    "log_probability",
    "nats_per_character",
    "bits_per_character",
    "perplexity",
    "characters",
    "unknown_characters",
)


@click.command(name="score")
@click.argument("texts", nargs=-1, metavar="[TEXT]... | -")
@click.option("-f", "--file", "file", metavar="FILE", help="Score each line of FILE.")
@checkpoint_option
@click.option(
    "--eos/--no-eos",
    default=None,
    help="Whether to predict the text's end too. Default: if the model was trained with --lines.",
)
@click.option("--per-character", is_flag=True, help="Each character's probability too.")
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
    """Say how probable each TEXT is; - reads one text a line from stdin.

    Logarithms are natural (nats); bits and perplexity are per character.
    """
    if bool(texts) == (file is not None):
        raise SettingsError("give texts, or - for stdin, or --file FILE")
    output = Output()
    model = open_model(checkpoint, device, no_ngram)
    if not as_json:
        output.line("\t".join((*COLUMNS, "text")))
    source = _lines("-" if file is None else file) if file or texts == ("-",) else iter(texts)
    while batch := list(islice(source, TEXTS_AT_ONCE)):
        check_characters(model, "".join(batch), strict)
        _print_scores(model, output, batch, eos, per_character, as_json)


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
        figures = score.figures()
        if as_json:
            record = {"text": text, **figures, "checkpoint": str(model.path)}
            if each is not None:
                record["per_character"] = [
                    {"character": character, "log_probability": value}
                    for character, value in zip(
                        each.characters, each.log_probabilities, strict=True
                    )
                ]
            output.record(record)
            continue
        output.line("\t".join([*(f"{figures[name]:.6g}" for name in COLUMNS), one_line(text)]))
        if each is not None:
            _print_characters(output, each.characters, each.log_probabilities)


def _print_characters(
    output: Output, characters: tuple[str, ...], values: tuple[float, ...]
) -> None:
    if sys.stdout.isatty():
        from charrnn.cli.heat_map import heat_map

        heat_map(characters, values)
        return
    for character, value in zip(characters, values, strict=True):
        output.line(f"{value:.6g}\t{one_line(character) or '<EOS>'}")


def _lines(name: str) -> Iterator[str]:
    """The lines of a file or of stdin, without their ends; stdin as they come."""
    if name == "-":
        yield from _stdin_lines()
        return
    source = Source(name)
    try:
        rest = ""
        for block in source.code_points("utf-8"):
            *lines, rest = (rest + block.tobytes().decode("utf-32-le")).split("\n")
            for line in lines:
                yield line.removesuffix("\r")
        if rest:
            yield rest
    finally:
        source.close()


def _stdin_lines() -> Iterator[str]:
    """As a file is read: UTF-8 whatever the locale, lines ended by LF or CRLF."""
    offset = 0
    for line in standard_input():
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"standard input is not utf-8 text: byte {error.object[error.start]:#04x} at "
                f"offset {offset + error.start:,} ({error.reason}); convert it to UTF-8"
            ) from None
        if offset == 0:
            text = text.removeprefix("\ufeff")
        offset += len(line)
        yield text.removesuffix("\n").removesuffix("\r")
