"""Options of `sample` that choose among the texts drawn, and what they need to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.command import PathName
from charrnn.cli.options import all_of
from charrnn.cli.terminal import note
from charrnn.errors import CharRNNError, SettingsError
from charrnn.inference.filters import Filters, draw_texts, pattern
from charrnn.text.reading import ERRORS

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.inference.texts import Sample
    from charrnn.text.documents import Ids

TRIES_PER_TEXT = 100

choice_options = all_of(
    click.option(
        "--unseen",
        is_flag=True,
        help="Only texts that are not one of the lines of the training text.",
    ),
    click.option("--unique", is_flag=True, help="No text twice."),
    click.option(
        "--match", metavar="REGEX", help="Only texts in which REGEX is found (Python's re)."
    ),
    click.option("--reject", metavar="REGEX", help="Only texts in which REGEX is not found."),
    click.option(
        "--tries",
        type=click.IntRange(1),
        metavar="N",
        show_default=f"{TRIES_PER_TEXT} for each text wanted",
        help="Draw at most so many texts to find --num of them.",
    ),
    click.option("--sort", is_flag=True, help="Print the most probable text first."),
    click.option(
        "--novelty",
        is_flag=True,
        help="Report on stderr how much of each text is copied from the training text: the "
        "longest run of characters found there, and the share of 20-character windows "
        "found there.",
    ),
    click.option(
        "--corpus",
        type=PathName(),
        metavar="PATH",
        help="The training text for --unseen and --novelty, if it is no longer in the "
        "cache.",
    ),
    click.option("--encoding", help="Encoding of --corpus.  [default: as in training]"),
    click.option(
        "--errors",
        type=click.Choice(ERRORS),
        help="Refuse bytes of --corpus that are not text, or replace each by U+FFFD.  "
        "[default: as in training]",
    ),
)
"""Which texts are taken."""


@dataclass(frozen=True)
class Choice:
    """Which texts are taken; the fields are the options."""

    unseen: bool
    unique: bool
    match: str | None
    reject: str | None
    tries: int | None
    sort: bool
    novelty: bool
    corpus: str | None
    encoding: str | None
    errors: str | None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Choice:
        """The choice among `options`, which are removed from there."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})

    @property
    def used(self) -> bool:
        """Whether any of them is given."""
        return any(getattr(self, field.name) not in {None, False} for field in fields(self))

    def check(self) -> None:
        """Raise SettingsError if an option makes no sense, alone or with the others."""
        pattern("match", self.match)
        pattern("reject", self.reject)
        if self.corpus is not None and not (self.novelty or self.unseen):
            raise SettingsError("--corpus is for --novelty and --unseen; give one of them too")
        if (self.encoding or self.errors) is not None and self.corpus is None:
            raise SettingsError("--encoding and --errors are for --corpus; give that too")
        if self.tries is not None and not self._filters(frozenset()).any:
            raise SettingsError(
                "--tries is for --unseen, --unique, --match and --reject; give one of them too"
            )

    def training_ids(self, model: TrainedModel) -> Ids | None:
        """The text to compare with, for --novelty."""
        if not self.novelty:
            return None
        return model.training_ids(self.corpus, self.encoding, self.errors)

    def filters(self, model: TrainedModel) -> Filters:
        """The conditions, with the training lines if they are needed."""
        known = None
        if self.unseen:
            known = model.training_lines(self.corpus, self.encoding, self.errors)
        return self._filters(known)

    def _filters(self, known: frozenset[str] | None) -> Filters:
        return Filters(
            pattern("match", self.match),
            pattern("reject", self.reject),
            known if self.unseen else None,
            self.unique,
        )

    def texts(
        self,
        draw: Callable[[range], Iterator[Sample]],
        num: int,
        filters: Filters,
        beam: int,
    ) -> Iterator[Sample]:
        """`num` texts that are taken, as they are found, or the most probable first.

        Args:
            draw: gives the texts with these numbers.
            num: how many are wanted.
            filters: what they must be like.
            beam: how many texts a search finds; 0 if they are drawn.
        """
        found = self._search(draw, num, filters, beam) if filters.any else draw(range(num))
        if self.sort:
            yield from sorted(found, key=lambda sample: -sample.log_probability)
        else:
            yield from found

    def _search(
        self,
        draw: Callable[[range], Iterator[Sample]],
        num: int,
        filters: Filters,
        beam: int,
    ) -> Iterator[Sample]:
        from charrnn.inference.texts import SAMPLES_AT_ONCE

        tries = min(self.tries or TRIES_PER_TEXT * num, beam or 2**63)
        count = 0
        if num:
            for sample in filters.passing(draw_texts(draw, tries, beam or SAMPLES_AT_ONCE)):
                yield sample
                count += 1
                if count == num:
                    return
        if count < num:
            remedy = "--beam allows more" if beam else "--tries allows more"
            message = f"found {count:,} of {num:,} texts among {tries:,}; {remedy}"
            if not count:
                raise CharRNNError(message)
            note(message)
