"""Split a corpus into training text and held-out text. Knows ids only.

Both parts represent all documents in proportion, whether files or a directory were named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Integers
from charrnn.text.documents import (
    Documents,
    Ids,
    apportion,
    copy_spans,
    count_id,
    find_id,
    find_id_blocks,
)
from charrnn.text.vocabulary import EOS


@dataclass(frozen=True)
class Split:
    """A corpus in two parts.

    Attributes:
        training: (N,) ids to train on. EOS ends every document whose end is not held out.
        seams: (J,) positions in `training` where a document begins without an EOS before it,
            because the end of the preceding document is held out.
        held_out: the rest, as spans of the corpus.
        starts: (D,) positions in `training` where documents begin; None if they are lines, of
            which there may be too many.
    """

    training: Ids
    seams: Integers
    held_out: Documents
    starts: Integers | None = None


Copy: TypeAlias = Callable[[Ids, Integers, Integers], Ids]
"""Copies spans of ids, as `copy_spans` does."""


def split_files(
    ids: Ids,
    fraction: float,
    seed: int,
    stops: Integers | None = None,
    copy: Copy = copy_spans,
) -> Split:
    """Hold out the end of each document or, if documents are short, of some drawn by `seed`.

    Of a document whose share is long enough, and of a single document, the last `fraction`
    is held out. Of shorter ones only some, drawn by the seed and evenly spread, contribute their
    last PIECE ids, or all if they have no more: see `apportion`.

    Args:
        ids: (N,) documents, each ended by EOS.
        fraction: how much of them is held out.
        seed: chooses among short documents.
        stops: (D,) the position after each EOS; None: they are searched for.
        copy: copies the training text.
    """
    stops = find_id(ids, EOS) + 1 if stops is None else stops
    starts = np.concatenate([[0], stops[:-1]])
    given = apportion(stops - starts, fraction, np.random.default_rng(seed).random())
    if len(stops) > 1:
        given[given == 1] = 0  # EOS alone is not predicted
    cuts = stops - given
    held_out = Documents(ids, cuts, given - 1).without_empty()
    if len(stops) == 1:
        return Split(ids[: cuts[0]], np.empty(0, np.int64), held_out, np.zeros(1, np.int64))
    left = cuts - starts
    ends = left.cumsum()
    seams = ends[(given > 0) & (left > 0) & (ends < ends[-1])]
    begins = np.unique((ends - left)[left > 0])
    return Split(copy(ids, starts, cuts), seams, held_out, begins)


def split_lines(
    ids: Ids,
    fraction: float,
    seed: int,
    count: int | None = None,
    copy: Copy = copy_spans,
) -> Split:
    """Hold out whole lines, drawn by `seed` and evenly spread; the others keep their order.

    Args:
        ids: (N,) lines, each ended by EOS, which counts as a character of it.
        fraction: of the lines that are held out, at least one if it is not 0.
        seed: chooses the lines.
        count: how many there are; None: they are counted.
        copy: copies the training text.
    """
    drawn = draw_lines(count_id(ids, EOS) if count is None else count, fraction, seed)
    starts, stops = find_lines(ids, drawn)
    edges = np.concatenate([[0], stops]), np.concatenate([starts, [len(ids)]])
    training = copy(ids, *edges) if len(drawn) else ids
    return Split(training, np.empty(0, np.int64), Documents(ids, starts, stops - starts))


def draw_lines(count: int, fraction: float, seed: int) -> Integers:
    """A `fraction` of the numbers 0 to `count` - 1, ascending: one from each of equal intervals.

    So lines of a sorted list come from all of it, and a periodic pattern of lines cannot coincide
    with the choice.
    """
    wanted = min(count - 1, max(1, round(fraction * count))) if fraction else 0
    edges = np.arange(wanted + 1) * count // max(1, wanted)
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def without_some_labels(ids: Ids, fraction: float, seed: int) -> Ids:
    """A copy of lines that begin with labels, in which a `fraction` of the lines has none.

    Args:
        ids: (N,) lines, each ended by EOS.
        fraction: of the lines that lose their label.
        seed: chooses them.
    """
    starts, _ = find_lines(ids, draw_lines(count_id(ids, EOS), fraction, seed))
    return copy_spans(ids, np.append(0, starts + 1), np.append(starts, len(ids)))


def find_lines(ids: Ids, numbers: Integers) -> tuple[Integers, Integers]:
    """Where the lines with these ascending `numbers` begin and end.

    The ends of all lines are never in memory together: a list may have a hundred million.
    """
    found = [np.empty((2, 0), np.int64)]
    line, start = 0, 0  # number and start of the first line that ends in the block
    for ends in find_id_blocks(ids, EOS):
        starts = np.concatenate([[start], ends[:-1] + 1])
        here = numbers[slice(*np.searchsorted(numbers, [line, line + len(ends)]))] - line
        found.append(np.stack([starts[here], ends[here] + 1]))
        line, start = line + len(ends), int(ends[-1]) + 1
    starts, stops = np.concatenate(found, 1)
    return starts, stops
