"""Proofread a text as it is read: passage by passage, in bounded memory.

Joins characters and ids; a passage of a long text is checked with the characters on either side of
it. Lines and columns are counted from 1, in characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from charrnn.inference.proofreading import Finding, Proofreader
from charrnn.text.vocabulary import Vocabulary

PASSAGE = 4096
"""Characters that are checked together."""
CONTEXT = 128
"""Characters on either side that are read, too."""


@dataclass(frozen=True)
class Slip:
    """A place that is probably wrong.

    Attributes:
        line, column: of its first character, from 1.
        kind: "substitution", "insertion", "deletion" or "transposition": what mends it.
        found: what stands there.
        suggested: what should.
        log_odds: that something is wrong there, against that nothing is, in nats.
        at: place in the passage.
    """

    line: int
    column: int
    kind: str
    found: str
    suggested: str
    log_odds: float
    at: int


@dataclass(frozen=True)
class Passage:
    """A part of a text that has been checked.

    Attributes:
        text: as it was.
        slips: in the order of the text.
    """

    text: str
    slips: tuple[Slip, ...]

    @property
    def fixed(self) -> str:
        """The text with all slips mended."""
        return self._with([slip.suggested for slip in self.slips])

    @property
    def marked(self) -> str:
        """The text with [-what stands there-]{+what should+}, as in `git diff --word-diff`."""
        return self._with(
            [
                (f"[-{slip.found}-]" if slip.found else "")
                + (f"{{+{slip.suggested}+}}" if slip.suggested else "")
                for slip in self.slips
            ]
        )

    def _with(self, replacements: Sequence[str]) -> str:
        """The text with the slips replaced."""
        pieces = []
        end = 0
        for slip, replacement in zip(self.slips, replacements, strict=True):
            pieces += [self.text[end : slip.at], replacement]
            end = slip.at + len(slip.found)
        return "".join([*pieces, self.text[end:]])


def proofread(
    proofreader: Proofreader, vocabulary: Vocabulary, pieces: Iterable[str], lines: bool
) -> Iterator[Passage]:
    """Check a text that comes in `pieces`; together the passages are all of it.

    `lines`: whether each line is a text of its own.
    """
    line, column = 1, 1
    for before, text, after in _lines(pieces) if lines else _passages(pieces):
        if lines:
            found = _check_lines(proofreader, vocabulary, text)
        else:
            (all_found,) = proofreader.check([vocabulary.encode(before + text + after)])
            found = [(each.at - len(before), each) for each in all_found]
        slips: list[Slip] = []
        for at, each in sorted(found, key=lambda pair: pair[0]):
            if not 0 <= at < len(text) or at + len(each.old) > len(text):
                continue
            if slips and at < slips[-1].at + len(slips[-1].found):
                continue
            slips.append(_slip(vocabulary, text, at, each, line, column))
        yield Passage(text, tuple(slips))
        line, column = _place(text, len(text), line, column)


def _slip(
    vocabulary: Vocabulary, text: str, at: int, finding: Finding, line: int, column: int
) -> Slip:
    line, column = _place(text, at, line, column)
    found = text[at : at + len(finding.old)]
    suggested = vocabulary.decode(finding.new)
    return Slip(line, column, finding.kind, found, suggested, finding.log_odds, at)


def _place(text: str, at: int, line: int, column: int) -> tuple[int, int]:
    """Line and column of text[at], where the text begins at `line` and `column`."""
    newlines = text.count("\n", 0, at)
    if not newlines:
        return line, column + at
    return line + newlines, at - text.rfind("\n", 0, at)


def _passages(pieces: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """What is before, the passage, and what is after it."""
    before = waiting = ""
    for piece in pieces:
        waiting += piece
        while len(waiting) > PASSAGE + CONTEXT:
            text = waiting[:PASSAGE]
            waiting = waiting[PASSAGE:]
            yield before, text, waiting[:CONTEXT]
            before = text[-CONTEXT:]
    if waiting:
        yield before, waiting, ""


def _lines(pieces: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Whole lines, about PASSAGE characters together; a longer one is cut."""
    waiting = ""
    for piece in pieces:
        waiting += piece
        while len(waiting) > PASSAGE:
            end = waiting.rfind("\n", 0, PASSAGE) + 1 or PASSAGE
            yield "", waiting[:end], ""
            waiting = waiting[end:]
    if waiting:
        yield "", waiting, ""


def _check_lines(
    proofreader: Proofreader, vocabulary: Vocabulary, text: str
) -> list[tuple[int, Finding]]:
    """The findings in each line of `text`, with their places in it."""
    lines = text.split("\n")
    starts = [0]
    for each in lines:
        starts.append(starts[-1] + len(each) + 1)
    ids: Sequence[str] = [each.removesuffix("\r") for each in lines]
    checked = proofreader.check([vocabulary.encode(each) for each in ids])
    return [
        (start + each.at, each)
        for start, found in zip(starts, checked, strict=False)
        for each in found
    ]
