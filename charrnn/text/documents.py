"""Documents as spans of one array of ids.

Knows ids and where documents begin and end; nothing of files, encodings or models.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.text.vocabulary import EOS

Ids: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 20
MAX_IN_MEMORY = 1 << 26
PIECE = 1000
"""Less of a document says little: its first characters are predicted without their context."""
FEWEST_PIECES = 8
"""Of a small selection the pieces are shorter, so that there are at least so many of them."""


@dataclass(frozen=True)
class Documents:
    """Texts to be predicted, as spans of one id array: document d is ids[start : start + length].

    Attributes:
        ids: (N,) ids.
        starts: (D,) where each document begins.
        lengths: (D,) how many ids of it are predicted; its EOS is among them if it counts.
    """

    ids: Ids
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @property
    def characters(self) -> int:
        """How many ids are predicted in all."""
        return int(self.lengths.sum())

    def spread(self, characters: int) -> Documents:
        """Beginnings of documents, evenly spread over all of them: at most so many ids in all.

        A long document gives in proportion to its length; of short ones, some are taken whole. The
        same ids in the same order, if there are no more than `characters`.
        """
        if self.characters <= characters:
            return self
        taken = apportion(self.lengths, characters / self.characters, offset=0.5)
        before = taken.cumsum() - taken
        lengths = np.clip(characters - before, 0, taken)
        kept = lengths > 0
        return Documents(self.ids, self.starts[kept], lengths[kept])


def apportion(
    lengths: npt.NDArray[np.int64], fraction: float, offset: float
) -> npt.NDArray[np.int64]:
    """How much to take of each document (D,), so that it is about `fraction` of every part of them.

    A long document gives its fraction. Of short ones so little would be of no use, so only some
    give, up to PIECE ids each: systematic sampling, which visits all stretches of the collection
    alike (Madow 1949).

    Args:
        lengths: (D,).
        fraction: of all of them together, at most 1.
        offset: in [0, 1): chooses among the short documents.
    """
    shares = fraction * lengths
    piece = max(1.0, min(PIECE, shares.sum() / FEWEST_PIECES))
    given = np.maximum(shares, np.minimum(lengths, piece))
    chances = np.divide(shares, given, out=np.zeros(len(lengths)), where=given > 0)
    marks = np.floor(offset + np.concatenate([[0.0], chances.cumsum()]))
    chosen = (np.diff(marks) > 0) | (chances == 1)
    return np.where(chosen, given, 0).astype(np.int64)


def count_id(ids: Ids, wanted: int) -> int:
    """How many of `ids` are `wanted`; as much memory for a long text as for a short one."""
    return sum(int(np.count_nonzero(block == wanted)) for block in _blocks(ids))


def find_id(ids: Ids, wanted: int) -> npt.NDArray[np.int64]:
    """The positions in `ids` of `wanted`; beside them, memory as for a short text."""
    found = (
        np.flatnonzero(block == wanted) + number * BLOCK
        for number, block in enumerate(_blocks(ids))
    )
    return np.concatenate([*found, np.empty(0, np.int64)])


def _blocks(ids: Ids) -> Iterator[Ids]:
    return (ids[at : at + BLOCK] for at in range(0, len(ids), BLOCK))


def joined(pieces: Sequence[Ids]) -> Ids:
    """All pieces one after the other: in memory, or mapped if they are long."""
    if len(pieces) == 1:
        return pieces[0]
    if sum(piece.nbytes for piece in pieces) <= MAX_IN_MEMORY:
        return np.concatenate(pieces)
    with tempfile.TemporaryFile() as file:  # the map outlives it
        for piece in pieces:
            for block in _blocks(piece):
                file.write(block.tobytes())
        file.flush()
        return np.memmap(file, pieces[0].dtype, mode="r")


def documents_of(pieces: Sequence[Ids], with_eos: bool) -> Documents:
    """The documents in `pieces`, id arrays in which EOS ends each one; the last may lack it."""
    ids = joined(pieces)
    edges = np.cumsum([0, *(len(piece) for piece in pieces)])
    ends = find_id(ids, EOS)
    stops = np.union1d(ends + 1, edges[1:])
    starts = np.concatenate([[0], stops[:-1]]) if len(stops) else stops
    ended = np.isin(stops - 1, ends)
    lengths = stops - starts - (ended & (not with_eos))
    kept = lengths > 0
    return Documents(ids, starts[kept].astype(np.int64), lengths[kept].astype(np.int64))
