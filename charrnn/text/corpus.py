"""Load and encode a corpus: a sequence of documents, each ended by EOS.

Combines reading, the cache and the split; knows nothing of models or training. Text is not
normalised in any way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from charrnn.errors import CorpusError
from charrnn.text.cache import cache_key, read_cache, write_cache
from charrnn.text.documents import Documents, Ids, count_id, documents_of
from charrnn.text.reading import END, Reading, Source, code_point_blocks, find_sources
from charrnn.text.splitting import Split, split_files, split_lines
from charrnn.text.vocabulary import (
    EOS,
    UNK,
    CodePoints,
    Vocabulary,
    count_code_points,
    vocabulary_of_counts,
)

MAX_NAMES = 3
"""At most this many texts are named in an error."""


@dataclass(frozen=True)
class Corpus:
    """Encoded text.

    Attributes:
        ids: (N,) ids of all documents, each ended by EOS; usually a memory map.
        vocabulary: what the ids mean.
        reading: how the text was read.
        digest: SHA-256 of the bytes read and of how they were read.
        names: the files and directories that were given.
    """

    ids: Ids
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
        """All documents, to be predicted; EOS is predicted too if lines are documents."""
        return documents_of([self.ids], self.reading.lines)

    def split(self, fraction: float, seed: int) -> Split:
        """Split into training text and about `fraction` held out, drawn by `seed` where needed."""
        split = split_lines if self.reading.lines else split_files
        return split(self.ids, fraction, seed)


def load_corpus(
    names: Sequence[str],
    reading: Reading,
    min_count: int = 1,
    vocabulary: Vocabulary | None = None,
) -> Corpus:
    """Read and encode the corpora `names`, or take them from the cache.

    Args:
        names: files, directories, or `-`. Each file is a document, named itself or not.
        reading: how to read them.
        min_count: characters rarer than this become UNK; ignored if a vocabulary is given.
        vocabulary: to encode with; None for the corpus's own.

    Raises:
        CorpusError: a text is missing, empty or badly encoded.
        VocabularyError: there are no characters to learn, or too many.
    """
    sources = find_sources(names)
    try:
        digest = _digest(sources, reading)
        key = cache_key(digest, min_count, vocabulary)
        encoded = read_cache(key) or _encode(sources, reading, min_count, vocabulary, key)
        ids, found = encoded
        return Corpus(ids, found, reading, digest, tuple(names))
    finally:
        for source in sources:
            source.close()


def find_encoded(digest: str, min_count: int) -> Ids | None:
    """The ids of the corpus with this digest, held-out text included, if still in the cache."""
    found = read_cache(cache_key(digest, min_count, None))
    return None if found is None else found[0]


def _digest(sources: Sequence[Source], reading: Reading) -> str:
    whole = hashlib.sha256(f"{reading.lines} {reading.encoding} {reading.errors}".encode())
    whole.update(b"part")
    for source in sources:
        whole.update(bytes.fromhex(source.digest()))
    return whole.hexdigest()


def _encode(
    sources: Sequence[Source],
    reading: Reading,
    min_count: int,
    vocabulary: Vocabulary | None,
    key: str,
) -> tuple[Ids, Vocabulary]:
    counts = count_code_points(_blocks(sources, reading))
    if not counts[:END].any():
        named = ", ".join(source.name for source in sources[:MAX_NAMES])
        verb = "is" if len(sources) == 1 else "are"
        raise CorpusError(f"{named} {verb} empty; a corpus needs text")
    if vocabulary is None:
        vocabulary = vocabulary_of_counts(counts[:END], min_count)
    keep = not any(source.spooled for source in sources)
    length = int(counts.sum())
    return write_cache(key, _blocks(sources, reading), length, vocabulary, keep), vocabulary


def _blocks(sources: Sequence[Source], reading: Reading) -> Iterator[CodePoints]:
    return (block for source in sources for block in code_point_blocks(source, reading))
