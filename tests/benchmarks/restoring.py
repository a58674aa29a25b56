"""How well a reader, its forward model and both restore a text: gaps filled, slips mended.

Started by hand; README.md here records the results. With a run of `train --bidirectional`:

    python -m tests.benchmarks.restoring checkpoints/reader test.txt --characters 10000

A JSON line for each figure as it is found, and tables of all at the end.

Gaps are cut from the text, and slips put into it, by a seed. A place counts as found if exactly it
is named, and as mended if what is suggested is what stood there.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click

from charrnn.api import TrainedModel
from charrnn.inference.fill_options import USING, FillOptions
from charrnn.inference.passages import Slip
from charrnn.platform import keep_freed_memory

SIDE = 200
"""Characters of the text on either side of a gap."""
BLANK = "\0"
GAPS = (1, 4, 10)
LETTERS = "abcdefghijklmnopqrstuvwxyz"

Record: TypeAlias = dict[str, Any]


@click.command()
@click.argument("run")
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--gaps", default=200, show_default=True, help="Of each length; 0 for none.")
@click.option("--characters", default=50_000, show_default=True, help="Proofread; 0 for none.")
@click.option("--rate", default=0.01, show_default=True, help="Share of characters that slip.")
@click.option("--kinds", default="sidt", show_default=True, help="Of slips: some of s, i, d, t.")
@click.option("--threshold", default="-2,-1,0,1,2,4", show_default=True, help="Log-odds.")
@click.option("--with-forward", help="Run with the forward model to use instead.")
@click.option("--seed", default=1, show_default=True)
@click.option("--evaluate/--no-evaluate", default=True, help="Measure on all of TEXT first.")
def main(
    run: str,
    text: Path,
    gaps: int,
    characters: int,
    rate: float,
    kinds: str,
    threshold: str,
    with_forward: str | None,
    seed: int,
    evaluate: bool,
) -> None:
    """Measure RUN on TEXT; a JSON line for each figure, and tables at the end."""
    keep_freed_memory()
    model = TrainedModel.open(run)
    if with_forward is not None:
        model = TrainedModel(model.checkpoint, model.path, TrainedModel.open(with_forward).model)
    content = text.read_text(encoding="utf-8")
    if evaluate:
        (found,) = model.evaluate_each([text])
        pseudo = None if found.pseudo is None else found.pseudo.nats_per_character
        _print({"nats": found.score.nats_per_character, "pseudo_nats": pseudo})
    thresholds = [float(each) for each in threshold.split(",")]
    restored: list[Record] = []
    mended: list[Record] = []
    for using in USING:
        for length in GAPS if gaps else ():
            restored.append({"using": using, **filled(model, content, length, gaps, using, seed)})
            _print(restored[-1])
        if characters:
            wrong = Corrupted.of(content[:characters], rate, kinds, seed)
            for record in proofread(model, wrong, thresholds, using):
                mended.append({"using": using, **record})
                _print(mended[-1])
    click.echo("\n".join(line for each in (restored, mended) for line in table(each)))


def _print(record: Record) -> None:
    rounded = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in record.items()
    }
    click.echo(json.dumps(rounded))


def table(records: Sequence[Record]) -> Iterator[str]:
    """The lines of a Markdown table with a row for each of `records`, which have the same keys."""
    if not records:
        return
    yield "| " + " | ".join(records[0]).replace("_", " ") + " |"
    yield "|---" * len(records[0]) + "|"
    for record in records:
        values = record.values()
        cells = (f"{each:.3f}" if isinstance(each, float) else f"{each}" for each in values)
        yield "| " + " | ".join(cells) + " |"
    yield ""


def filled(
    model: TrainedModel, text: str, length: int, count: int, using: str, seed: int
) -> Record:
    """The share of `count` gaps that are restored exactly, and of their characters."""
    chance = random.Random(seed)
    exact = right = 0
    started = time.monotonic()
    for _ in range(count):
        at = chance.randrange(SIDE, len(text) - SIDE - length)
        left, gone, right_side = text[at - SIDE : at], text[at : at + length], text[at + length :]
        pattern = left + BLANK * length + right_side[:SIDE]
        options = FillOptions(argmax=True, seed=seed)
        (best, *_) = model.fillings(pattern, options, BLANK, using=using)
        exact += best.fills[0] == gone
        right += sum(one == other for one, other in zip(best.fills[0], gone, strict=True))
    seconds = time.monotonic() - started
    return {
        "gap": length,
        "exact": exact / count,
        "characters": right / count / length,
        "seconds_each": seconds / count,
    }


@dataclass(frozen=True)
class Corrupted:
    """A text with slips.

    Attributes:
        text: with the slips.
        slips: place -> what mends it, and what should stand there.
    """

    text: str
    slips: dict[int, tuple[str, str]]

    @classmethod
    def of(cls, text: str, rate: float, kinds: str, seed: int) -> Corrupted:
        """`text` with slips of some `kinds` in letters, a share `rate` of all its characters."""
        chance = random.Random(seed)
        letters = sum(map(str.isalpha, text))
        share = rate * len(text) / max(1, letters)
        pieces: list[str] = []
        slips: dict[int, tuple[str, str]] = {}
        at = length = 0
        while at < len(text):
            one, other = text[at], text[at + 1 : at + 2]
            kind = chance.choice(kinds) if one.isalpha() and chance.random() < share else ""
            random_letter = chance.choice([each for each in LETTERS if each != one.lower()])
            piece, taken = one, 1
            if kind == "s":
                piece, slips[length] = random_letter, ("substitution", one)
            elif kind == "i":
                piece, slips[length] = "", ("insertion", one)
            elif kind == "d":
                piece, slips[length] = random_letter + one, ("deletion", "")
            elif kind == "t" and other.isalpha() and other != one:
                piece, slips[length], taken = other + one, ("transposition", one + other), 2
            pieces.append(piece)
            at, length = at + taken, length + len(piece)
        return cls("".join(pieces), slips)


def proofread(
    model: TrainedModel, wrong: Corrupted, thresholds: Sequence[float], using: str
) -> Iterator[Record]:
    """Recall and precision at each threshold."""
    started = time.monotonic()
    slips = model.proofread(wrong.text, min(thresholds), using)
    seconds = time.monotonic() - started
    places = _places(wrong.text, slips)
    for threshold in thresholds:
        named = [
            (at, slip) for at, slip in zip(places, slips, strict=True) if slip.log_odds > threshold
        ]
        hits = [(at, slip) for at, slip in named if at in wrong.slips]
        mended = [
            at for at, slip in hits if wrong.slips[at] == (slip.kind, slip.suggested)
        ]
        yield {
            "slips": len(wrong.slips),
            "threshold": threshold,
            "found": len(hits) / max(1, len(wrong.slips)),
            "precision": len(hits) / max(1, len(named)),
            "mended": len(mended) / max(1, len(wrong.slips)),
            "seconds_per_1000": 1000 * seconds / max(1, len(wrong.text)),
        }


def _places(text: str, slips: Sequence[Slip]) -> list[int]:
    """Where the slips are in the whole text."""
    begins = [0]
    for line in text.split("\n"):
        begins.append(begins[-1] + len(line) + 1)
    return [begins[slip.line - 1] + slip.column - 1 for slip in slips]


if __name__ == "__main__":
    main()
