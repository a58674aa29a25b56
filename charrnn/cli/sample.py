"""`charrnn sample`: generate text, on stdout as it is generated."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from charrnn.api import DEFAULT_LENGTH, TrainedModel, new_seed
from charrnn.cli.command import Command, PathName
from charrnn.cli.decoding import STRATEGY_OPTIONS, strategy_options
from charrnn.cli.options import (
    check_characters,
    checkpoint_option,
    device_option,
    json_option,
    ngram_option,
    open_model,
    raw_option,
    strict_option,
)
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError
from charrnn.inference.novelty import Novelty, measure_novelty
from charrnn.inference.strategies import Value, check_decoding
from charrnn.inference.texts import Sample
from charrnn.text.decoding import decode
from charrnn.text.reading import ERRORS, Source

GROUPS = {
    "What to write": ("checkpoint", "prime", "prime-file", "length", "until-eos", "num", "seed"),
    "Decoding strategies, in the order in which they apply": STRATEGY_OPTIONS,
}
"""Heading in the help -> options, those used most first."""


@click.command(
    cls=Command,
    name="sample",
    examples=(
        "charrnn sample --temperature 0.5 --length 300",
        'charrnn sample -c shakespeare --prime "ROMEO:" --seed 1',
    ),
    groups=GROUPS,
)
@checkpoint_option
@strategy_options
@click.option(
    "--length",
    type=click.IntRange(0),
    help=f"Maximum characters of each text after the prime.  [default: {DEFAULT_LENGTH}]",
)
@click.option(
    "--until-eos",
    is_flag=True,
    help="End each text where the model predicts its end; no limit unless --length is given. "
    "Models trained with --lines always do so.",
)
@click.option("--prime", default="", help="Text to continue; - reads it from stdin.")
@click.option(
    "--prime-file", type=PathName(), metavar="FILE", help="A file with text to continue."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="The same seed, options and --num give the same texts on the same machine.  "
    "[default: a new one every time]",
)
@click.option("--num", type=click.IntRange(0), default=1, show_default=True, help="How many texts.")
@click.option(
    "--novelty",
    is_flag=True,
    help="Report on stderr how much of each text is copied from the training text: the longest run "
    "of characters found there, and the share of 20-character windows found there.",
)
@click.option(
    "--corpus",
    type=PathName(),
    metavar="PATH",
    help="The training text for --novelty, if it is no longer in the cache.",
)
@click.option("--encoding", help="Encoding of --corpus.  [default: as in training]")
@click.option(
    "--errors",
    type=click.Choice(ERRORS),
    help="Refuse bytes of --corpus that are not text, or replace each by U+FFFD.  "
    "[default: as in training]",
)
@device_option
@ngram_option
@strict_option
@raw_option
@json_option
def command(
    checkpoint: str | None,
    length: int | None,
    until_eos: bool,
    prime: str,
    prime_file: str | None,
    seed: int | None,
    num: int,
    novelty: bool,
    corpus: str | None,
    encoding: str | None,
    errors: str | None,
    device: str,
    no_ngram: bool,
    strict: bool,
    raw: bool,
    as_json: bool,
    **decoding: Value,
) -> None:
    """Write new text from a trained model.

    A text has --length characters; a model trained with --lines ends it earlier where a line would
    end. The prime is printed with it.

    Decoding strategies apply in the order in which they are listed: first what may not be written,
    then the shape of the distribution, then the choice, then where to stop.
    """
    check_decoding(decoding)
    _check_corpus_options(novelty, corpus, encoding or errors)
    output = Output(raw)
    model = open_model(checkpoint, device, no_ngram)
    prime = _read_prime(prime, prime_file)
    check_characters(model, prime, strict)
    if length is None and not until_eos:
        length = DEFAULT_LENGTH
    if seed is None:
        seed = new_seed()
        note(f"seed: {seed}")
    training_text = model.training_text(corpus, encoding, errors) if novelty else None
    options: dict[str, Any] = {
        "length": length, "prime": prime, "seed": seed, "until_eos": until_eos or None, **decoding
    }
    if num == 1 and not as_json and not novelty:
        _stream(model, output, **options)
        return
    for number, sample in enumerate(model.samples(range(num), **options)):
        generated = sample.text[len(prime) :]
        copied = None if training_text is None else measure_novelty(generated, training_text)
        if as_json:
            facts = {"seed": seed, "number": number, "characters": len(generated)}
            output.record({**_facts(sample, copied), **facts, "checkpoint": str(model.path)})
            continue
        if number and not model.checkpoint.lines:
            output.write("\n")
        output.line(sample.text)
        if copied is not None:
            note(
                f"longest run found in the corpus: {copied.longest_run} characters; "
                f"20-character windows found there: {copied.copied_windows:.1%}"
            )


def _check_corpus_options(novelty: bool, corpus: str | None, reading: str | None) -> None:
    if corpus is not None and not novelty:
        raise SettingsError("--corpus is for --novelty; give both")
    if reading is not None and corpus is None:
        raise SettingsError("--encoding and --errors are for --corpus; give that too")


def _stream(model: TrainedModel, output: Output, **options: Any) -> None:
    output.write(options["prime"])
    for character in model.stream(**options):
        output.write(character)
    if options["length"] != 0 or options["prime"]:
        output.write("\n")


def _facts(sample: Sample, copied: Novelty | None) -> dict[str, Any]:
    facts = {"text": sample.text, "ended_by": sample.ended_by}
    return {**facts, **({} if copied is None else asdict(copied))}


def _read_prime(prime: str, prime_file: str | None) -> str:
    if prime_file is not None and prime:
        raise SettingsError("give --prime or --prime-file, not both")
    name = "-" if prime == "-" else prime_file
    if name is None:
        return prime
    source = Source(name)
    try:
        return "".join(decode(source.blocks(), source.name, "utf-8"))
    finally:
        source.close()
