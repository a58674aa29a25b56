"""Where a text may be wrong, and what could stand there instead. Knows ids only.

A reader suspects a character that is improbable given all others; without one, a forward model
suspects a character that surprises it, and those just before, as it notices a slip late.

Axes: B windows, T positions, V vocabulary entries. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.arrays import Floats
from charrnn.inference.pseudo import reader_windows, scores_of
from charrnn.inference.scoring import windows
from charrnn.models.interface import LanguageModel, State
from charrnn.models.reader import NumpyReader
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS, UNK

SUSPECT = 3.0
"""A character is suspect if others are so many nats more probable together."""
SURPRISE = 4.5
"""Without a reader: if it is so improbable, in nats."""
LATE = 3
"""How many characters before a surprising one are suspect, too."""
SUBSTITUTES, INSERTIONS = 6, 3
"""How many characters are tried instead of a suspect one, and on either side of it."""


@dataclass(frozen=True)
class Edit:
    """A change of a text: the ids from `at` on that are `old` become `new`.

    Attributes:
        kind: a key of KINDS.
        at: position.
        old, new: ids.
        evidence: log-odds of a reader for `new`; None where it has none.
    """

    kind: str
    at: int
    old: tuple[int, ...]
    new: tuple[int, ...]
    evidence: float | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of slip, named by what mends it.

    Attributes:
        share: of all slips.
        random: whether the slip put in a random character; then any other would be as probable.
    """

    share: float
    random: bool


KINDS = {
    "substitution": Kind(0.55, random=True),
    "insertion": Kind(0.15, random=False),
    "deletion": Kind(0.15, random=True),
    "transposition": Kind(0.15, random=False),
}


@dataclass(frozen=True)
class Suspect:
    """A place that may be wrong.

    Attributes:
        at: position.
        edits: what could mend it.
    """

    at: int
    edits: tuple[Edit, ...]


def suspects_of_reader(reader: NumpyReader, documents: Documents) -> Iterator[Suspect]:
    """The places of `documents` that a reader suspects, in no particular order."""
    for window in reader_windows(documents, reader.vocabulary_size):
        each, between = reader.predict_with_insertions(window.inputs)
        ids = documents.ids[window.positions]
        own = scores_of(each, ids)
        others = np.log(np.maximum(-np.expm1(np.minimum(own, 0)), 1e-30)) - own
        for row, column in np.argwhere(window.counted & (others > SUSPECT) & (ids != UNK)).tolist():
            at, which = int(window.positions[row, column]), int(window.documents[row])
            predicted = each[row, column]
            found = own[row, column]
            old = (int(ids[row, column]),)
            substitutes = [
                Edit("substitution", at, old, (new,), float(predicted[new] - found))
                for new in _most_probable(predicted, SUBSTITUTES)
                if (new,) != old
            ]
            insertions = [
                Edit("insertion", place, (), (new,))
                for place, side in ((at, column), (at + 1, column + 1))
                for new in _most_probable(between[row, side], INSERTIONS)
            ]
            yield Suspect(at, (*substitutes, *insertions, *_rearranged(documents, which, at)))


def suspects_of_model(model: LanguageModel, documents: Documents) -> Iterator[Suspect]:
    """The places of `documents` that a forward model suspects, in no particular order."""
    state: State = None
    for window in windows(documents, model.vocabulary_size):
        state = window.enter(model, state)
        predicted, state = model.forward(window.inputs, state)
        ids = documents.ids[window.positions]
        surprising = window.counted & (-scores_of(predicted, ids) > SURPRISE)
        late = surprising.copy()
        for back in range(1, LATE + 1):
            late[:, :-back] |= surprising[:, back:]
        for row, column in np.argwhere(late & window.counted & (ids != UNK)).tolist():
            at, which = int(window.positions[row, column]), int(window.documents[row])
            here, old = predicted[row, column], (int(ids[row, column]),)
            edits = [
                edit
                for new in _most_probable(here, SUBSTITUTES)
                if (new,) != old
                for edit in (
                    Edit("substitution", at, old, (new,)),
                    Edit("insertion", at, (), (new,)),
                )
            ]
            yield Suspect(at, (*edits, *_rearranged(documents, which, at)))


def _rearranged(documents: Documents, which: int, at: int) -> Iterator[Edit]:
    """Without the character at `at`, and exchanged with each neighbour."""
    start = int(documents.starts[which])
    stop = start + int(documents.lengths[which])
    yield Edit("deletion", at, (int(documents.ids[at]),), ())
    for first in (at - 1, at):
        pair = tuple(documents.ids[first : first + 2].tolist())
        inside = start <= first and first + 2 <= stop
        if inside and pair[0] != pair[1] and not {UNK, EOS} & set(pair):
            yield Edit("transposition", first, pair, pair[::-1])


def _most_probable(predicted: Floats, count: int) -> list[int]:
    """The most probable ids, UNK and EOS aside, the best first."""
    order = np.argsort(-predicted, kind="stable")[: count + 3]
    return [each for each in order.tolist() if each not in {UNK, EOS}][:count]
