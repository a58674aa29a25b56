"""`charrnn sample`: generate text, on stdout as it is generated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.adapting import ADAPTIVE_OPTIONS, Adaptation, adaptive_options
from charrnn.cli.choice import Choice, choice_options
from charrnn.cli.command import Command, PathName
from charrnn.cli.decoding import STRATEGY_OPTIONS, strategy_options
from charrnn.cli.options import (
    check_characters,
    checkpoint_option,
    device_option,
    label_option,
    ngram_option,
    open_model,
    raw_option,
    strict_option,
)
from charrnn.cli.sample_output import (
    Layout,
    Printer,
    layout_options,
    painter,
    print_side_by_side,
)
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError
from charrnn.inference.arguments import DEFAULT_LENGTH, new_seed
from charrnn.inference.strategies import check_decoding
from charrnn.text.decoding import decode
from charrnn.text.reading import Source

if TYPE_CHECKING:
    from charrnn.api import TrainedModel

GROUPS = {
    "What to write": (
        *("checkpoint", "label", "prime", "prime-file", "length", "until-eos", "num", "seed"),
    ),
    "Learning from the prime": ADAPTIVE_OPTIONS,
    "Decoding strategies, in their order": STRATEGY_OPTIONS,
    "Which texts": (
        *("unseen", "unique", "match", "reject", "tries", "sort", "novelty"),
        *("corpus", "encoding", "errors"),
    ),
    "Output": (
        *("interactive", "no-prime", "separator", "null", "scores"),
        *("heat", "json", "raw"),
    ),
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
@label_option(multiple=True)
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
@choice_options
@layout_options
@click.option(
    "--interactive",
    is_flag=True,
    help="Type beginnings and watch the model go on; :help lists what else can be typed.",
)
@adaptive_options
@device_option
@ngram_option
@strict_option
@raw_option
def command(
    checkpoint: str | None,
    label: tuple[str, ...],
    length: int | None,
    until_eos: bool,
    prime: str,
    prime_file: str | None,
    seed: int | None,
    num: int,
    interactive: bool,
    device: str,
    no_ngram: bool,
    adaptive: bool,
    adaptive_rate: float | None,
    save: str | None,
    strict: bool,
    raw: bool,
    temperature: tuple[float, ...],
    **options: Any,
) -> None:
    """Write new text from a trained model.

    A text has --length characters; a model trained with --lines ends it earlier where a line would
    end. The prime is printed with it.

    Decoding strategies apply in the order in which they are listed: first what may not be written,
    then the shape of the distribution, then the choice, then where to stop.

    With --unseen, --unique, --match and --reject texts are drawn until --num are found.

    With --adaptive the model first learns the manner of the prime, then writes on.
    """
    choice, layout = Choice.taken_from(options), Layout.taken_from(options)
    choice.check()
    layout.check()
    decodings = [check_decoding({**options, "temperature": each}) for each in temperature]
    if interactive:
        _refuse_with_interactive(layout, choice, max(len(decodings), len(label)), num)
    adaptation = Adaptation(adaptive, adaptive_rate, save, device)
    output = Output(raw)
    model = open_model(checkpoint, device, no_ngram)
    for each in label:
        model.require_label(each)
    prime = _read_prime(prime, prime_file)
    check_characters(model, prime, strict)
    if adaptive:
        model = _adapt(model, adaptation, prime)
    _warn_of_useless_stops(model, decodings[0]["stop"])
    if length is None and not until_eos:
        length = DEFAULT_LENGTH
    if seed is None:
        seed = new_seed()
        note(f"seed: {seed}")
    given: dict[str, Any] = {
        "length": length, "prime": prime, "seed": seed,
        "until_eos": until_eos or model.checkpoint.lines,
    }
    if interactive:
        from charrnn.cli.interactive import Interactive

        paint = painter(output) if layout.heat else None
        given["label"] = label[0] if label else None
        Interactive(model, output, decoding=decodings[0], paint=paint, **given).run()
    else:
        labels: list[dict[str, Any]] = [{"label": each} for each in label] or [{}]
        settings = [{**each, **decoding} for each in labels for decoding in decodings]
        _write(model, output, layout, choice, num, given, settings)


def _adapt(model: TrainedModel, adaptation: Adaptation, prime: str) -> TrainedModel:
    """`model` after it has learnt from `prime`."""
    if not prime:
        raise SettingsError("--adaptive learns from the prime; give --prime-file FILE or --prime")
    models = adaptation.begin([model])
    score = models[0].score([prime], eos=False)[0]
    note(f"learnt from {score.characters:,} characters: {score.nats_per_character:.3f} nats each")
    adaptation.finish(models)
    return models[0]


def _write(
    model: TrainedModel,
    output: Output,
    layout: Layout,
    choice: Choice,
    num: int,
    given: dict[str, Any],
    decodings: Sequence[dict[str, Any]],
) -> None:
    """Write `num` texts with each of the `decodings`, which may have a label too."""
    filters, training = choice.filters(model), choice.training_ids(model)
    printer = Printer(output, layout, model, given, training)
    several = len(decodings) > 1 and layout.side_by_side
    streams = num == 1 and layout.plain and not (several or filters.any or choice.novelty)
    columns: list[list[str]] = []
    for decoding in decodings:
        if streams:
            if given["length"] != 0 or given["prime"]:
                printer.stream(given["prime"], model.stream_scored(**given, **decoding))
            continue
        draw = partial(model.samples, **given, **decoding)
        found = choice.texts(draw, num, filters, decoding["beam"])
        if several:
            columns.append([layout.shown(sample) for sample in found])
            continue
        for sample in found:
            printer.print(sample, decoding)
    if several:
        headings = _headings(decodings)
        print_side_by_side(output, headings, columns)
    printer.finish()


def _headings(decodings: Sequence[dict[str, Any]]) -> list[str]:
    """What differs between them: labels, temperatures or both."""
    labels = [each.get("label", "") for each in decodings]
    temperatures = [f"temperature {each['temperature']:g}" for each in decodings]
    if not any(labels):
        return temperatures
    if len({*temperatures}) == 1:
        return labels
    return [", ".join(pair) for pair in zip(labels, temperatures, strict=True)]


def _refuse_with_interactive(
    layout: Layout, choice: Choice, kinds: int, num: int
) -> None:
    if num != 1 or kinds > 1 or choice.used or layout.used:
        raise SettingsError(
            "--interactive writes one text at a time; of the options for output it allows --heat"
        )


def _warn_of_useless_stops(model: TrainedModel, stops: Sequence[str]) -> None:
    for stop in stops:
        if unknown := model.vocabulary.unknown(stop):
            note(
                f"warning: --stop {stop!r} never comes: the model does not know "
                f"{' '.join(unknown)}"
            )


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
