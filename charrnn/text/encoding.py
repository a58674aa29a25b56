"""Turn code points into ids, block by block. Knows vocabularies; nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from charrnn.arrays import Integers
from charrnn.text.decoding import Codes
from charrnn.text.documents import Ids
from charrnn.text.vocabulary import EOS, LAST_CODE_POINT, UNK, Vocabulary

BYTES = 256


@dataclass
class Encoder:
    """Encodes the blocks of a corpus in order, and counts what it meets.

    Attributes:
        vocabulary: to encode with.
        end: the code that ends a document: it becomes EOS.
        characters: how many ids there were so far, EOS included.
        unknown: how many of them are UNK.
        documents: how many are EOS.
        ends: positions after each EOS, if `lists_ends`.
        lists_ends: whether documents are so few that their ends are listed.
        complete: whether the vocabulary has every character of the corpus.
        ranks: (L,) the place of each label among all, by the order of their codes.
        label_counts: (L,) how many ids were each label, by their place.
    """

    vocabulary: Vocabulary
    end: int
    lists_ends: bool
    complete: bool = False
    ranks: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    characters: int = 0
    unknown: int = 0
    documents: int = 0
    ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        points = np.arange(LAST_CODE_POINT + 2, dtype=np.uint32)
        self._table = self.vocabulary.encode_code_points(points)
        self._table[self.end] = EOS
        if len(self.ranks):
            size = len(self.vocabulary)
            dtype = np.min_scalar_type(size + len(self.ranks) - 1)
            self._table = np.append(self._table, size + self.ranks).astype(dtype)
        self.label_counts = np.zeros(len(self.ranks), np.int64)
        low = self._table[:BYTES]
        self._bytes = low.astype(np.uint8).tobytes() if low.max() < BYTES else None

    def encode(self, blocks: Iterable[Codes]) -> Iterator[Ids]:
        """The ids of each block."""
        for block in blocks:
            ids = self._encode_block(block)
            if not self.complete:
                self.unknown += int(np.count_nonzero(ids == UNK))
            if self.end < BYTES or len(block) == 1:  # a larger one is a block of its own
                self._note_ends(block)
            if len(self.ranks):
                labels = ids[ids >= len(self.vocabulary)].astype(np.int64) - len(self.vocabulary)
                self.label_counts += np.bincount(labels, minlength=len(self.ranks))
            self.characters += len(ids)
            yield ids

    def _encode_block(self, block: Codes) -> Ids:
        if block.dtype == np.uint8 and self._bytes is not None:  # several times as fast
            ids = np.frombuffer(block.tobytes().translate(self._bytes), np.uint8)
            return ids.astype(self._table.dtype, copy=False)
        return self._table[block]

    def _note_ends(self, block: Codes) -> None:
        ends = block == self.end
        self.documents += int(np.count_nonzero(ends))
        if self.lists_ends and ends.any():
            self.ends.extend((self.characters + 1 + np.flatnonzero(ends)).tolist())

    def listed_ends(self) -> Integers:
        """`ends` as an array (D,)."""
        return np.array(self.ends, np.int64)
