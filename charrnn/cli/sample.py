"""`charrnn sample`: new text on stdout, as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from charrnn.api import DEFAULT_LENGTH, SIDE_BY_SIDE, TrainedModel, new_seed
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
from charrnn.inference.novelty import measure_novelty
from charrnn.inference.sampling import STRATEGIES, check_decoding
from charrnn.text.reading import Source


def strategy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for every decoding strategy, from its entry."""
    for name, strategy in reversed(STRATEGIES.items()):
        flag = isinstance(strategy.default, bool)
        function = click.option(
            f"--{name.replace('_', '-')}",
            is_flag=flag,
            type=None if flag else type(strategy.default),
            default=strategy.default,
            show_default=not flag,
            help=strategy.help,
        )(function)
    return function


@click.command(name="sample")
@checkpoint_option
@strategy_options
@click.option(
    "--length",
    type=click.IntRange(0),
    help=f"Characters of each text beyond the prime.  [default: {DEFAULT_LENGTH}]",
)
@click.option("--prime", default="", help="Text to go on from; - reads it from stdin.")
@click.option("--prime-file", metavar="FILE", help="A file with text to go on from.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same text.")
@click.option("--num", type=click.IntRange(0), default=1, show_default=True, help="How many texts.")
@click.option("--until-eos", is_flag=True, help="No limit but --length, if given: go on until EOS.")
@click.option(
    "--novelty",
    is_flag=True,
    help="Say how much of each text is copied from the training text: its longest run of "
    "characters that stands there, and the share of its 20-character windows that do.",
)
@click.option(
    "--corpus", metavar="PATH", help="The training text for --novelty, if no longer in the cache."
)
@device_option
@ngram_option
@strict_option
@raw_option
@json_option
def command(
    checkpoint: str | None,
    length: int | None,
    prime: str,
    prime_file: str | None,
    seed: int | None,
    num: int,
    until_eos: bool,
    novelty: bool,
    corpus: str | None,
    device: str,
    no_ngram: bool,
    strict: bool,
    raw: bool,
    as_json: bool,
    **decoding: float | int | bool,
) -> None:
    """Write new text from a trained model.

    A text ends after --length characters, or where the model ends it. The prime is part of the
    text that is printed.
    """
    check_decoding(decoding)
    output = Output(raw)
    model = open_model(checkpoint, device, no_ngram)
    prime = _read_prime(prime, prime_file)
    check_characters(model, prime, strict)
    if length is None and not until_eos:
        length = DEFAULT_LENGTH
    if seed is None:
        seed = new_seed()
        note(f"seed: {seed}")
    training_text = model.training_text(corpus) if novelty else None
    if num == 1 and not as_json and not novelty:
        _stream(model, output, length, prime, seed, decoding)
        return
    texts = _texts(model, num, length, prime, seed, decoding)
    for number, text in enumerate(texts):
        made = text[len(prime) :]
        copied = None if training_text is None else measure_novelty(made, training_text)
        if as_json:
            record = {"text": text, "seed": seed, "number": number, "characters": len(made)}
            figures = {} if copied is None else asdict(copied)
            output.record({**record, **figures, "checkpoint": str(model.path)})
            continue
        if number and not model.checkpoint.lines:
            output.write("\n")
        output.line(text)
        if copied is not None:
            note(
                f"longest run that stands in the corpus: {copied.longest_run} characters; "
                f"20-character windows that do: {copied.copied_windows:.1%}"
            )


def _stream(
    model: TrainedModel,
    output: Output,
    length: int | None,
    prime: str,
    seed: int,
    decoding: dict[str, float | int | bool],
) -> None:
    output.write(prime)
    for character in model.stream(length, prime, seed, **decoding):
        output.write(character)
    if length != 0 or prime:
        output.write("\n")


def _texts(
    model: TrainedModel,
    num: int,
    length: int | None,
    prime: str,
    seed: int,
    decoding: dict[str, float | int | bool],
) -> Iterator[str]:
    """All texts, made some side by side, so that they appear before all are done."""
    for begin in range(0, num, SIDE_BY_SIDE):
        numbers = range(begin, min(num, begin + SIDE_BY_SIDE))
        yield from model.sample_numbers(numbers, length, prime, seed, **decoding)


def _read_prime(prime: str, prime_file: str | None) -> str:
    if prime_file is not None and prime:
        raise SettingsError("give --prime or --prime-file, not both")
    name = "-" if prime == "-" else prime_file
    if name is None:
        return prime
    source = Source(name if name == "-" else str(Path(name)))
    try:
        blocks = [block.tobytes().decode("utf-32-le") for block in source.code_points("utf-8")]
    finally:
        source.close()
    return "".join(blocks)
