"""How scores are printed: tables for people and for programs, JSON, heat maps."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.layout import GAP
from charrnn.cli.tables import TEXT, TEXT_WIDTH, Column, Table
from charrnn.cli.terminal import Output, one_line
from charrnn.storage.runs import MODEL_FILE

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.inference.html import CharacterScores
    from charrnn.inference.scoring import Score

FIGURE_COLUMNS = (
    Column("log_probability", "log p", 10, ".2f", 5),
    Column("nats_per_character", "nats", 6, ".3f", 6),
    Column("bits_per_character", "bits", 6, ".3f", 4),
    Column("perplexity", "perplexity", 10, ".4g", 2),
    Column("characters", "characters", 10, ",", 3),
    Column("unknown_characters", "unknown", 7, ",", 1),
)
"""A column for each of FIGURES."""
CHECKPOINT = "checkpoint"
WIDEST_NAME = 20
END = "<EOS>"
NUMBER = Column("number", "number", 6)
CHARACTER_COLUMNS = (
    NUMBER,
    Column("position", "position", 8),
    Column("character", "character", 9),
    Column("nats", "nats", 7, ".3f"),
    Column("unknown", "unknown", 7),
)
SURPRISES = 3
"""At most this many places of a text are named."""
SURPRISING_NATS = 3.0


@dataclass(frozen=True)
class Asked:
    """What is to be scored of each text.

    Attributes:
        eos: whether its end is predicted; None: as each model was trained.
        per_character: whether to score characters too.
        label: of all texts; None for any.
    """

    eos: bool | None
    per_character: bool
    label: str | None = None


@dataclass(frozen=True)
class Scored:
    """A text and what each model says about it.

    Attributes:
        number: its place among the texts given, from 1.
        text: what was scored.
        scores: of each model.
        characters: of each model, the scores of the text's characters; () if not wanted.
    """

    number: int
    text: str
    scores: tuple[Score, ...]
    characters: tuple[CharacterScores, ...]


class Reporter:
    """Scores texts with several models, and prints what they say: a table of texts.

    Args:
        output: where to.
        models: what scores.
        asked: what is scored.
        as_csv: a table of comma-separated values, on a terminal too.
    """

    def __init__(
        self,
        output: Output,
        models: Sequence[TrainedModel],
        asked: Asked,
        as_csv: bool,
    ) -> None:
        self.output = output
        self.models = models
        self.names = short_names([model.path for model in models])
        self.asked = asked
        self._table = Table(output, self.columns(), as_csv)

    def columns(self) -> tuple[Column, ...]:
        """Of the table."""
        return (*self.checkpoint_column(), *FIGURE_COLUMNS, TEXT)

    def checkpoint_column(self) -> tuple[Column, ...]:
        """The column that says which model, if there are several."""
        width = min(WIDEST_NAME, max(map(len, self.names)))
        return (Column(CHECKPOINT, "model", max(5, width)),) if len(self.models) > 1 else ()

    def score(self, texts: Mapping[int, str]) -> list[Scored]:
        """The scores of `texts`, given by their numbers."""
        given = list(texts.values())
        how = self.asked.eos, self.asked.label
        characters: list[list[CharacterScores]] = []
        if self.asked.per_character:
            characters = [model.score_characters(given, *how) for model in self.models]
            scores = [
                [_total(model, each) for each in found]
                for model, found in zip(self.models, characters, strict=True)
            ]
        else:
            scores = [model.score(given, *how) for model in self.models]
        return [
            Scored(
                number,
                text,
                tuple(each[at] for each in scores),
                tuple(each[at] for each in characters),
            )
            for at, (number, text) in enumerate(texts.items())
        ]

    def heading(self) -> None:
        """Print the heading of the table now, if it is not there yet."""
        self._table.heading()

    def print(self, scored: Sequence[Scored]) -> None:
        """Print the rows of `scored`."""
        for each in scored:
            for row in self.rows(each):
                self._table.row(*row)

    def rows(self, scored: Scored) -> list[tuple[str | int | float, ...]]:
        """The rows of one text."""
        return [
            (*self._which(name), *score.figures().values(), scored.text)
            for name, score in zip(self.names, scored.scores, strict=True)
        ]

    def _which(self, name: str) -> tuple[str, ...]:
        return (name,) if len(self.models) > 1 else ()


class Comparison(Reporter):
    """A row for each text, with the nats per character of each model: for a terminal."""

    def columns(self) -> tuple[Column, ...]:
        """Of the table."""
        room = shutil.get_terminal_size().columns - TEXT_WIDTH
        widest = max(6, min(WIDEST_NAME, room // len(self.names) - GAP))
        return (
            *(Column(name, name[-widest:], max(6, min(widest, len(name))), ".3f")
              for name in self.names),
            replace(TEXT, heading="text (the figures: nats per character)"),
        )

    def rows(self, scored: Scored) -> list[tuple[str | int | float, ...]]:
        """The row of one text."""
        return [(*(score.nats_per_character for score in scored.scores), scored.text)]


class CharacterReporter(Reporter):
    """A row for each character."""

    def columns(self) -> tuple[Column, ...]:
        """Of the table."""
        return (*self.checkpoint_column(), *CHARACTER_COLUMNS)

    def rows(self, scored: Scored) -> list[tuple[str | int | float, ...]]:
        """The rows of one text."""
        return [
            (*self._which(name), scored.number, position, character or END, -value, int(unknown))
            for name, model, each in zip(self.names, self.models, scored.characters, strict=True)
            for position, (character, value, unknown) in enumerate(
                zip(each.characters, each.log_probabilities, _unknown(model, each), strict=True), 1
            )
        ]


def _total(model: TrainedModel, scores: CharacterScores) -> Score:
    """The score of a text, from those of its characters: an adaptive model reads a text once."""
    from charrnn.inference.scoring import Score

    values = scores.log_probabilities
    return Score(sum(values), len(values), sum(_unknown(model, scores)))


def _unknown(model: TrainedModel, scores: CharacterScores) -> list[bool]:
    """Whether each character is one that the model does not know."""
    unknown = set(model.vocabulary.unknown("".join(scores.characters)))
    return [character in unknown for character in scores.characters]


class HeatMaps(Reporter):
    """The table of texts, and below each text its heat map and most surprising places."""

    _legend = False

    def print(self, scored: Sequence[Scored]) -> None:
        """Print `scored`."""
        from charrnn.cli.heat_map import coloured_console, print_heat_map, print_legend

        console = coloured_console()
        assert console is not None
        for each in scored:
            super().print([each])
            if not self._legend:
                self._legend = True
                print_legend(console)
            for name, model, characters in zip(
                self.names, self.models, each.characters, strict=True
            ):
                if len(self.models) > 1:
                    self.output.line(f"{name}:")
                print_heat_map(characters.characters, characters.log_probabilities, console)
                if model.learner:  # it has learnt the text by now, and would expect it
                    continue
                for line in surprises(model, each.text, characters, label=self.asked.label):
                    self.output.line(line)


class Records(Reporter):
    """One JSON object for each text and model."""

    def heading(self) -> None:
        """JSON has no heading."""

    def print(self, scored: Sequence[Scored]) -> None:
        """Print `scored`."""
        for each in scored:
            for index, (model, score) in enumerate(zip(self.models, each.scores, strict=True)):
                label = {} if self.asked.label is None else {"label": self.asked.label}
                record: dict[str, Any] = {"text": each.text, **label, **score.figures()}
                if each.characters:
                    record["per_character"] = _character_records(each.characters[index])
                if model.learner:
                    record["adaptive"] = True
                self.output.record({**record, CHECKPOINT: str(model.path)})


def _character_records(scores: CharacterScores) -> list[dict[str, Any]]:
    pairs = zip(scores.characters, scores.log_probabilities, strict=True)
    return [{"character": character, "log_probability": value} for character, value in pairs]


def reporter(
    output: Output,
    models: Sequence[TrainedModel],
    asked: Asked,
    as_json: bool,
    as_csv: bool,
) -> Reporter:
    """What prints the scores as wanted; see Reporter."""
    per_character = asked.per_character
    kind: type[Reporter] = CharacterReporter if per_character else Reporter
    if as_json:
        kind = Records
    elif output.terminal and not as_csv:
        if per_character and _has_colours():
            kind = HeatMaps
        elif not per_character and len(models) > 1:
            kind = Comparison
    return kind(output, models, asked, as_csv)


def _has_colours() -> bool:
    from charrnn.cli.heat_map import coloured_console

    return coloured_console() is not None


def short_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or as many parts as tell them apart."""
    runs = [path.parent if path.name == MODEL_FILE else path for path in paths]
    for count in range(1, max(len(run.parts) for run in runs) + 1):
        names = ["/".join(run.parts[-count:]) for run in runs]
        if len(set(names)) == len({*runs}) and all(names):
            return names
    return [str(path) for path in paths]


def surprises(
    model: TrainedModel,
    text: str,
    scores: CharacterScores,
    least: float = SURPRISING_NATS,
    label: str | None = None,
) -> list[str]:
    """A line for each of the most surprising characters, with what the model expected instead.

    A character of less than `least` nats is no surprise.
    """
    values = scores.log_probabilities
    places = [at for at in range(len(values)) if -values[at] >= least]
    worst = sorted(sorted(places, key=lambda at: values[at])[:SURPRISES])
    if not worst:
        return []
    expected = model.expected_characters(text, len(values) > len(text), label)
    lines = []
    for at in worst:
        character, probability = expected[at]
        lines.append(
            f"at {at + 1:,}: {_quoted(scores.characters[at])} has {-values[at]:.2f} nats; expected "
            f"{_quoted(character)} ({probability:.0%})"
        )
    return lines


def _quoted(character: str) -> str:
    return f"'{one_line(character)}'" if character else "the end"
