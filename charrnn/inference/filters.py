"""Choose among generated texts: only new ones, each one once, those that a pattern fits.

Knows texts only, not models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.errors import Parameter, SettingsError

if TYPE_CHECKING:
    from charrnn.inference.texts import Sample


@dataclass(frozen=True)
class Filters:
    """What a text must be like to be taken.

    Attributes:
        match: a pattern that must be found in it.
        reject: a pattern that must not.
        known: texts that it must not be one of; None for no such condition.
        unique: whether it must differ from all texts taken before.
    """

    match: re.Pattern[str] | None = None
    reject: re.Pattern[str] | None = None
    known: frozenset[str] | None = None
    unique: bool = False

    @property
    def any(self) -> bool:
        """Whether there is any condition."""
        return self != Filters()

    def passing(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Those of `samples` that may be taken."""
        taken: set[str] = set()
        for sample in samples:
            if self._accepts(sample.text) and not (self.unique and sample.text in taken):
                taken.add(sample.text)
                yield sample

    def _accepts(self, text: str) -> bool:
        if self.match is not None and not self.match.search(text):
            return False
        if self.reject is not None and self.reject.search(text):
            return False
        return self.known is None or text not in self.known


def pattern(name: str, expression: str | None) -> re.Pattern[str] | None:
    """The regular expression that the parameter `name` has.

    Raises:
        SettingsError: it is not one.
    """
    if expression is None:
        return None
    try:
        return re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(
            Parameter(name), f": {expression!r} is not a regular expression ({error}); correct it"
        ) from None


def draw_texts(
    draw: Callable[[range], Iterator[Sample]], tries: int, at_once: int
) -> Iterator[Sample]:
    """The texts number 0 to `tries` - 1, drawn `at_once` at a time and only if they are needed."""
    for begin in range(0, tries, at_once):
        yield from draw(range(begin, min(tries, begin + at_once)))
