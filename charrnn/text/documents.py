"""Documents as spans of one array of ids.

Knows ids and where documents begin and end; nothing of encodings or models.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.platform import release_pages
from charrnn.storage.files import OutputError, explain
from charrnn.text.vocabulary import EOS

Ids: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 20
"""Ids scanned at a time."""
MAX_IN_MEMORY = 1 << 26
"""Bytes; a longer copy of ids is a memory map of a temporary file."""
PIECE = 1000
"""Ids to take of a document, at least: the first ones are predicted with little context."""
FEWEST_PIECES = 8
"""Pieces of a small selection are shorter than PIECE, so that there are at least this many."""


@dataclass(frozen=True)
class Documents:
    """Texts to be predicted, as spans of one id array: document d is ids[start : start + length].

    Attributes:
        ids: (N,) ids.
        starts: (D,) where each document begins.
        lengths: (D,) how many ids of it are predicted, including its EOS if that is predicted.
        labels: (D,) the id of the label that each is read after; None: they have no labels.
    """

    ids: Ids
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    labels: Ids | None = None

    @property
    def characters(self) -> int:
        """The total number of predicted ids."""
        return int(self.lengths.sum())

    def without_empty(self) -> Documents:
        """The documents of which at least one id is predicted."""
        kept = self.lengths > 0
        labels = None if self.labels is None else self.labels[kept]
        return Documents(self.ids, self.starts[kept], self.lengths[kept], labels)

    def after_labels(self) -> Documents:
        """The same texts where the first id of each document is its label, not to be predicted."""
        return Documents(self.ids, self.starts + 1, self.lengths - 1, self.ids[self.starts])

    def subsample(self, characters: int) -> Documents:
        """A subsample of at most `characters` ids: beginnings of documents, evenly spread.

        A long document contributes in proportion to its length; of short ones, some are taken
        whole. Everything, in the same order, if there are no more than `characters` ids.
        """
        if self.characters <= characters:
            return self
        taken = apportion(self.lengths, (characters + 0.5) / self.characters, offset=0.5)
        before = taken.cumsum() - taken
        lengths = np.clip(characters - before, 0, taken)
        return replace(self, lengths=lengths).without_empty()


def apportion(
    lengths: npt.NDArray[np.int64], fraction: float, offset: float
) -> npt.NDArray[np.int64]:
    """How many ids to take of each document (D,), about `fraction` of every part of the collection.

    A long document contributes its fraction. That would be too little of a short one, so only some
    of those contribute, up to PIECE ids each, chosen by systematic sampling (Madow 1949), which
    covers the collection evenly.

    Args:
        lengths: (D,) of the documents, in ids.
        fraction: of all of them together, at most 1.
        offset: in [0, 1): chooses among the short documents.
    """
    shares = fraction * lengths
    piece = min(PIECE, shares.sum() / FEWEST_PIECES)
    given = np.maximum(shares, np.minimum(lengths, piece))
    chances = np.divide(shares, given, out=np.zeros(len(lengths)), where=given > 0)
    return np.where(systematic_sample(chances, offset), given, 0).astype(np.int64)


def systematic_sample(chances: npt.NDArray[np.float64], offset: Any) -> npt.NDArray[np.bool_]:
    """Which members are drawn (..., D) when each is drawn with its chance in `chances` (..., D).

    Their number is the sum of the chances, rounded up or down (Madow 1949).

    Args:
        chances: in [0, 1]; 1 is certain.
        offset: in [0, 1), of a shape that broadcasts to (..., 1): which of the possible samples.
    """
    sums = chances.cumsum(axis=-1) + offset
    marks = np.floor(sums, out=sums)
    first = np.floor(np.broadcast_to(offset, (*marks.shape[:-1], 1)))
    drawn: npt.NDArray[np.bool_] = np.diff(marks, axis=-1, prepend=first) > 0
    drawn |= chances == 1
    return drawn


def id_blocks(ids: Ids) -> Iterator[Ids]:
    """`ids` (N,) in blocks of BLOCK, each given back to the system when the next one is asked for.

    So reading a memory map from end to end takes constant memory.
    """
    for at in range(0, len(ids), BLOCK):
        block = ids[at : at + BLOCK]
        yield block
        release_pages(block)


def count_id(ids: Ids, wanted: int) -> int:
    """How many of `ids` are `wanted`. Scanned in blocks: extra memory is constant."""
    return sum(int(np.count_nonzero(block == wanted)) for block in id_blocks(ids))


def find_id(ids: Ids, wanted: int) -> npt.NDArray[np.int64]:
    """The positions in `ids` of `wanted`, (M,). Scanned in blocks: extra memory is constant."""
    return np.concatenate([np.empty(0, np.int64), *find_id_blocks(ids, wanted)])


def find_id_blocks(ids: Ids, wanted: int) -> Iterator[npt.NDArray[np.int64]]:
    """The positions that `find_id` gives, in non-empty parts."""
    for number, block in enumerate(id_blocks(ids)):
        found = np.flatnonzero(block == wanted)
        if len(found):
            yield found + number * BLOCK


def copy_spans(
    ids: Ids, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> Ids:
    """The ascending, disjoint spans ids[start:stop], concatenated.

    Raises:
        OutputError: there is no space for a temporary file.
    """
    length = int((stops - starts).sum())
    blocks = span_blocks(ids, starts, stops)
    if length * ids.itemsize <= MAX_IN_MEMORY:
        return np.concatenate([np.empty(0, ids.dtype), *blocks])
    try:
        with tempfile.TemporaryFile() as file:  # the memory map stays valid after it is closed
            for block in blocks:
                file.write(block.tobytes())
            file.flush()
            return np.memmap(file, ids.dtype, mode="r")
    except OSError as error:
        raise OutputError(
            f"cannot write a copy of the training text to {tempfile.gettempdir()}: "
            f"{explain(error)}; set TMPDIR to a directory with more space"
        ) from error


def span_blocks(
    ids: Ids, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> Iterator[Ids]:
    """The ascending, disjoint spans ids[start:stop], in blocks.

    No object per span, as there may be millions. A position is inside where the number of edges up
    to it is odd.
    """
    edges = np.stack([starts, stops], 1).ravel()
    for number, block in enumerate(id_blocks(ids)):
        at = number * BLOCK
        first, last = np.searchsorted(edges, [at, at + len(block)])
        passed = np.bincount(edges[first:last] - at, minlength=len(block)).cumsum()
        yield block[(first + passed) % 2 == 1]


def training_documents(ids: Ids, seams: npt.NDArray[np.int64]) -> Documents:
    """The documents, or beginnings of documents, in a training text, with their EOS.

    Args:
        ids: (N,), N > 0.
        seams: (J,) positions where a document begins without an EOS before it.
    """
    starts = np.unique(np.concatenate([[0], find_id(ids[:-1], EOS) + 1, seams])).astype(np.int64)
    return Documents(ids, starts, np.diff(np.append(starts, len(ids))))


def documents_of(pieces: Sequence[Ids], with_eos: bool) -> Documents:
    """The documents in the id arrays `pieces`; EOS ends each document, the last may lack it.

    `with_eos`: whether EOS is to be predicted.
    """
    ids = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    edges = np.cumsum([0, *(len(piece) for piece in pieces)])
    ends = find_id(ids, EOS)
    stops = np.union1d(ends + 1, edges[1:])
    starts = np.concatenate([[0], stops[:-1]]) if len(stops) else stops
    ended = np.isin(stops - 1, ends)
    lengths = stops - starts - (ended & (not with_eos))
    return Documents(ids, starts.astype(np.int64), lengths.astype(np.int64)).without_empty()


def join_documents(collections: Sequence[Documents]) -> Documents:
    """All documents of `collections`, in order, as one collection."""
    if len(collections) == 1:
        return collections[0]
    offsets = np.cumsum([0, *(len(each.ids) for each in collections[:-1])])
    return Documents(
        np.concatenate([each.ids for each in collections]),
        np.concatenate(
            [each.starts + at for each, at in zip(collections, offsets, strict=True)]
        ),
        np.concatenate([each.lengths for each in collections]),
        _joined_labels(collections),
    )


def _joined_labels(collections: Sequence[Documents]) -> Ids | None:
    """Of all documents; either all collections have labels, or none has."""
    labels = [each.labels for each in collections if each.labels is not None]
    return np.concatenate(labels) if labels else None
