"""Take the label off each line of a text: `label<TAB>text`. Knows code points; nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from charrnn.arrays import Integers, np
from charrnn.errors import suggestions
from charrnn.text.decoding import NEWLINE, Codes
from charrnn.text.labels import MAX_CHARACTERS, MAX_LABELS, SHOWN, Labels, label_problem
from charrnn.text.vocabulary import LAST_CODE_POINT

TAB = 0x09
FIRST_LABEL = LAST_CODE_POINT + 2
"""Label k is the code FIRST_LABEL + k in a stream of code points; the one before ends documents."""


class BadLineError(Exception):
    """A line that is not `label<TAB>text`.

    Attributes:
        number: of the line among those that are not empty, from 1.
    """

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


class LabelReader:
    """Puts one code in place of each `label<TAB>`.

    The same text may be read several times: a label has the same code each time.

    Args:
        known: the only possible labels; None: those that are found, in the order of their finding.
    """

    def __init__(self, known: Labels | None = None) -> None:
        self._known, self._characters = known, 0
        self._codes = {name: code for code, name in enumerate(known.names if known else ())}

    @property
    def names(self) -> tuple[str, ...]:
        """The names by their codes, from FIRST_LABEL on."""
        return tuple(self._codes)

    def ranks(self) -> Integers:
        """The place in alphabetical order of each code (L,)."""
        return np.argsort(np.argsort(np.array(self.names, object), kind="stable"), kind="stable")

    def read(self, blocks: Iterable[Codes]) -> Iterator[Codes]:
        """The lines of `blocks`, each ended by NEWLINE, with codes for labels.

        Raises:
            BadLineError: a line has no label, no text, or more than one tab.
        """
        pieces: list[Codes] = []  # of an unfinished line
        lines = 0
        for block in blocks:
            ends = np.flatnonzero(block == NEWLINE)
            if not len(ends):
                pieces.append(block)
                continue
            complete = int(ends[-1]) + 1
            yield self._replaced(np.concatenate([*pieces, block[:complete]]), lines)
            pieces = [block[complete:]]
            lines += len(ends)

    def _replaced(self, lines: Codes, before: int) -> Codes:
        """Complete lines with their labels as codes; `before`: how many lines came before them."""
        ends = np.flatnonzero(lines == NEWLINE)
        starts = np.append(0, ends[:-1] + 1)
        tabs = np.flatnonzero(lines == TAB)
        first = np.searchsorted(tabs, starts)
        count = np.searchsorted(tabs, ends) - first
        tab = np.where(count > 0, np.append(tabs, 0)[np.minimum(first, len(tabs))], ends)
        good = (count == 1) & (tab + 1 < ends)
        fine = len(good) if good.all() else int(good.argmin())
        text = lines.astype(np.uint32).tobytes().decode("utf-32-le", "surrogatepass")
        codes = [
            self._code(text[start:stop], before + number)
            for number, (start, stop) in enumerate(
                zip(starts[:fine].tolist(), tab[:fine].tolist(), strict=True), 1
            )
        ]
        if fine < len(good):
            raise BadLineError(before + fine + 1, _problem(int(count[fine])))
        return _without_labels(lines.astype(np.uint32), starts, tab, np.array(codes, np.uint32))

    def _code(self, name: str, line: int) -> int:
        code = self._codes.get(name)
        if code is not None:
            return code
        if self._known is not None:
            near = suggestions(name, self._known.names) or f"; it knows {self._known.shown()}"
            raise BadLineError(
                line, f"has a label that the model does not know, {name!r:.{SHOWN}}{near}"
            )
        if problem := label_problem(name):
            raise BadLineError(line, f"has a label that {problem}: {name!r:.{SHOWN}}")
        if len(self._codes) == MAX_LABELS:
            raise BadLineError(
                line, f"has one more label than the {MAX_LABELS:,} supported; is the label first?"
            )
        self._characters += len(name)
        if self._characters > MAX_CHARACTERS:
            raise BadLineError(line, f"has a label too many: {MAX_CHARACTERS:,} characters in all")
        return self._codes.setdefault(name, len(self._codes))


def _problem(tabs: int) -> str:
    if tabs == 0:
        return "has no tab; a labelled line is a label, a tab and a text"
    if tabs == 1:
        return "has no text after its tab; leave the line out"
    return f"has {tabs:,} tabs; there is one between label and text, and none in either"


def _without_labels(lines: Codes, starts: Integers, tabs: Integers, codes: Codes) -> Codes:
    """`lines` with one code in place of each span from start to tab, the tab included."""
    lines[starts] = FIRST_LABEL + codes
    edges = np.zeros(len(lines) + 1, np.int8)
    edges[starts + 1] += 1
    edges[tabs + 1] -= 1
    kept: Codes = lines[edges[:-1].cumsum() == 0]
    return kept
