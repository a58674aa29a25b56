"""How generated texts are printed: plain, coloured, as a table, as JSON, or side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.columns import BETWEEN, in_columns
from charrnn.cli.decoding import Characters
from charrnn.cli.options import all_of, json_option
from charrnn.cli.tables import TEXT, Column, Table
from charrnn.cli.terminal import Output, note
from charrnn.errors import SettingsError

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.inference.novelty import Novelty
    from charrnn.inference.texts import Sample
    from charrnn.text.documents import Ids

COLUMNS = (
    Column("log_probability", "log p", 10, ".2f", 1),
    Column("nats_per_character", "nats/char", 9, ".3f", 2),
    TEXT,
)
NARROWEST = 18
"""Texts stand side by side if each has at least so many columns of the terminal."""

layout_options = all_of(
    click.option("--no-prime", is_flag=True, help="Print only what is new."),
    click.option(
        "--separator",
        type=Characters(),
        metavar="STRING",
        help="Print STRING between texts, instead of an empty line or a new line.",
    ),
    click.option("--null", is_flag=True, help="Print a NUL after each text, for xargs -0."),
    click.option(
        "--scores",
        is_flag=True,
        help="Print a table: the log-probability of what is new, nats per character, text.",
    ),
    click.option(
        "--heat",
        is_flag=True,
        help="Colour each new character on a terminal: the less probable, the redder.",
    ),
    json_option,
)
"""How texts are printed."""


@dataclass(frozen=True)
class Layout:
    """What is printed of each text, and how; the fields are the options.

    Attributes:
        no_prime: only what is new.
        separator: between two texts; None for the usual one.
        null: a NUL after each text, and nothing else.
        as_json: one JSON object for each text.
        scores: a table of probabilities and texts.
        heat: each new character coloured by its probability, if the terminal has colours.
    """

    no_prime: bool
    separator: str | None
    null: bool
    as_json: bool
    scores: bool
    heat: bool

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Layout:
        """The layout among `options`, which are removed from there."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})

    @property
    def plain(self) -> bool:
        """Whether texts are printed character by character."""
        return not (self.as_json or self.scores)

    @property
    def used(self) -> bool:
        """Whether any of them is given, other than `heat`."""
        return replace(self, heat=False) != Layout(False, None, False, False, False, False)

    @property
    def side_by_side(self) -> bool:
        """Whether texts of several temperatures may stand side by side."""
        return self.plain and not self.null and self.separator is None and not self.heat

    def check(self) -> None:
        """Raise SettingsError if two of them contradict each other."""
        ways = {
            "--separator": self.separator is not None, "--null": self.null, "--json": self.as_json,
            "--scores": self.scores,
        }
        chosen = [name for name, wanted in ways.items() if wanted]
        if len(chosen) > 1:
            raise SettingsError(f"{chosen[0]} and {chosen[1]} contradict each other; give one")
        if self.heat and (self.as_json or self.scores or self.null):
            raise SettingsError(f"--heat is for plain text; drop it or {chosen[0]}")

    def shown(self, sample: Sample) -> str:
        """What is to be seen of a text."""
        return sample.new if self.no_prime else sample.text


class Printer:
    """Prints texts one by one.

    Args:
        output: where to.
        layout: how.
        model: what wrote them.
        given: the options, besides decoding strategies, that they are written with.
        training: to report on stderr how much of each text is copied from it; None: do not.
    """

    def __init__(
        self,
        output: Output,
        layout: Layout,
        model: TrainedModel,
        given: Mapping[str, Any],
        training: Ids | None,
    ) -> None:
        self._output = output
        self._layout = layout
        self._given = given
        self._checkpoint = str(model.path)
        self._model = model
        self._training = training
        self._between = "" if model.checkpoint.lines else "\n"
        self._table = Table(output, COLUMNS) if layout.scores else None
        self._count = 0
        self._paint = painter(output) if layout.heat else None

    def print(self, sample: Sample, decoding: Mapping[str, Any]) -> None:
        """Print one text; `decoding`: the strategies that it was written with."""
        copied = None
        if self._training is not None:
            copied = self._model.novelty(sample.new, self._training)
        layout = self._layout
        if layout.as_json:
            self._output.record(self._record(sample, decoding, copied))
        elif self._table is not None:
            text = layout.shown(sample)
            self._table.row(sample.log_probability, sample.nats_per_character, text)
        else:
            self._separate()
            self.stream(sample.prime, zip(sample.new, sample.log_probabilities, strict=False))
        if copied is not None and not layout.as_json:
            note(
                f"longest run found in the corpus: {copied.longest_run} characters; "
                f"20-character windows found there: {copied.copied_windows:.1%}"
            )

    def stream(self, prime: str, characters: Iterable[tuple[str, float]]) -> None:
        """Print a text as it comes: its new characters with their log-probabilities."""
        self._count += 1
        if not self._layout.no_prime:
            self._output.write(prime)
        for character, log_probability in characters:
            if self._paint is None:
                self._output.write(character)
            else:
                self._paint(character, log_probability)
        if self._layout.null:
            self._output.write("\0")
        elif self._layout.separator is None:
            self._output.write("\n")

    def finish(self) -> None:
        """End the output."""
        if self._table is not None:
            self._table.heading()
        if self._count and self._layout.separator is not None:
            self._output.write("\n")

    def _separate(self) -> None:
        if not self._count or self._layout.null:
            return
        separator = self._layout.separator
        self._output.write(self._between if separator is None else separator)

    def _record(
        self, sample: Sample, decoding: Mapping[str, Any], copied: Novelty | None
    ) -> dict[str, Any]:
        label = {"label": decoding["label"]} if "label" in decoding else {}
        return {
            "text": self._layout.shown(sample),
            **label,
            "ended_by": sample.ended_by,
            "number": sample.number,
            "characters": len(sample.new),
            "log_probability": sample.log_probability,
            "nats_per_character": sample.nats_per_character,
            **({} if copied is None else asdict(copied)),
            "seed": self._given["seed"],
            "settings": {**self._given, **decoding},
            "checkpoint": self._checkpoint,
        }


def painter(output: Output) -> Callable[[str, float], None] | None:
    """What writes a character on a background that shows its probability; None without colours."""
    if not output.terminal:
        return None
    from charrnn.cli.heat_map import Painter

    return Painter.of_terminal()


def print_side_by_side(
    output: Output, headings: Sequence[str], texts: Sequence[Sequence[str]]
) -> None:
    """Print texts in columns if the terminal is wide enough, otherwise one after the other.

    Args:
        output: where to; if it is not a terminal, there are no headings.
        headings: (C,) of the columns.
        texts: (C, N) the texts of each column.
    """
    rows = list(zip_longest(*texts, fillvalue=""))
    if not output.terminal:
        for text in (text for row in rows for text in row):
            output.line(text)
        return
    width = (shutil.get_terminal_size().columns + len(BETWEEN)) // len(headings) - len(BETWEEN)
    if width < NARROWEST:
        for heading, column in zip(headings, texts, strict=True):
            output.line(f"--- {heading} ---")
            for text in column:
                output.line(text)
        return
    for line in in_columns([headings, *rows], width):
        output.line(line)
