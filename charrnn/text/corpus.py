"""Documents -> one corpus: encoded, split into what is trained on and what is held out.

Knows documents and the cache; nothing of models or training. A corpus is a sequence of documents,
each ended by EOS; text is kept exactly as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.errors import CorpusError
from charrnn.text.cache import cache_key, read_cache, write_cache
from charrnn.text.documents import Documents, Ids, count_id, documents_of, find_id, joined
from charrnn.text.reading import END, Reading, Source, code_point_blocks, find_sources
from charrnn.text.vocabulary import (
    EOS,
    UNK,
    Vocabulary,
    count_code_points,
    vocabulary_of_counts,
)


@dataclass(frozen=True)
class Corpus:
    """Encoded text.

    Attributes:
        ids: (N,) ids of all documents, each ended by EOS; usually a memory map.
        part_ends: where in `ids` each corpus that was named ends.
        vocabulary: what the ids mean.
        reading: how the text was read.
        digest: SHA-256 of the bytes read and of how they were read.
        names: what was named.
    """

    ids: Ids
    part_ends: tuple[int, ...]
    vocabulary: Vocabulary
    reading: Reading
    digest: str
    names: tuple[str, ...]

    @cached_property
    def characters(self) -> int:
        """How many characters the corpus has, EOS not counted."""
        return len(self.ids) - count_id(self.ids, EOS)

    @property
    def unknown_characters(self) -> int:
        """How many of them are not in the vocabulary."""
        return count_id(self.ids, UNK)

    def documents(self) -> Documents:
        """All of it, to be predicted; with EOS where lines are documents."""
        return documents_of([self.ids], self.reading.lines)

    def split(self, fraction: float) -> tuple[Ids, Documents]:
        """The training part, and the last `fraction` of each corpus named as documents.

        Where lines are documents none is cut in two.
        """
        training: list[Ids] = []
        held_out: list[Ids] = []
        begin = 0
        for end in self.part_ends:
            part = self.ids[begin:end]
            cut = self._cut(part, fraction)
            training.append(part[:cut])
            held_out.append(part[cut:])
            begin = end
        return joined(training), documents_of(held_out, self.reading.lines)

    def _cut(self, part: Ids, fraction: float) -> int:
        cut = len(part) - int(len(part) * fraction)
        if self.reading.lines:
            ends = find_id(part[:cut], EOS)
            return int(ends[-1]) + 1 if len(ends) else 0
        return cut


def load_corpus(
    names: Sequence[str],
    reading: Reading,
    min_count: int = 1,
    vocabulary: Vocabulary | None = None,
) -> Corpus:
    """Read and encode the corpora `names`, from the cache where they are known already.

    Args:
        names: files, directories, or `-`.
        reading: how to read them.
        min_count: characters rarer than this become UNK; used where no vocabulary is given.
        vocabulary: the one to encode with; without it, the corpus's own.

    Raises:
        CorpusError: a text is missing, empty or badly encoded.
        VocabularyError: there are no characters to learn, or too many.
    """
    parts = find_sources(names)
    try:
        digest = _digest(parts, reading)
        key = cache_key(digest, min_count, vocabulary)
        encoded = read_cache(key) or _encode(parts, reading, min_count, vocabulary, key)
        ids, part_ends, found = encoded
        return Corpus(ids, part_ends, found, reading, digest, tuple(names))
    finally:
        for part in parts:
            for source in part:
                source.close()


def find_encoded(digest: str, min_count: int) -> Ids | None:
    """The ids of the corpus with this digest, if it is still in the cache.

    They come in the order of the corpus, so its held-out ends are among them.
    """
    found = read_cache(cache_key(digest, min_count, None))
    return None if found is None else found[0]


def _digest(parts: list[list[Source]], reading: Reading) -> str:
    whole = hashlib.sha256(f"{reading.lines} {reading.encoding} {reading.errors}".encode())
    for part in parts:
        whole.update(b"part")
        for source in part:
            whole.update(bytes.fromhex(source.digest()))
    return whole.hexdigest()


def _encode(
    parts: list[list[Source]],
    reading: Reading,
    min_count: int,
    vocabulary: Vocabulary | None,
    key: str,
) -> tuple[Ids, tuple[int, ...], Vocabulary]:
    counts = [
        count_code_points(block for source in part for block in code_point_blocks(source, reading))
        for part in parts
    ]
    for part, part_counts in zip(parts, counts, strict=True):
        if not part_counts[:END].any():
            names = ", ".join(source.name for source in part)
            raise CorpusError(f"{names} is empty; a corpus needs text")
    if vocabulary is None:
        vocabulary = vocabulary_of_counts(np.sum(counts, 0)[:END], min_count)
    part_ends = tuple(int(end) for end in np.cumsum([part.sum() for part in counts]))
    blocks = (
        block for part in parts for source in part for block in code_point_blocks(source, reading)
    )
    ids = write_cache(key, blocks, part_ends, vocabulary)
    return ids, part_ends, vocabulary
