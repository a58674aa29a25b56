"""Load and encode a corpus: a sequence of documents, each ended by EOS.

Combines reading, the cache and the split; knows nothing of models or training. Text is not
normalised in any way.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Integers
from charrnn.errors import CorpusError
from charrnn.text.array_file import ArrayWriter
from charrnn.text.cache import cache_key, write_entry
from charrnn.text.decoding import Codes
from charrnn.text.documents import MAX_IN_MEMORY, Documents, Ids, copy_spans, documents_of
from charrnn.text.encoded import Encoded, find_encoded_entry
from charrnn.text.encoding import Encoder
from charrnn.text.kept_split import keep_split
from charrnn.text.labelled import LabelReader
from charrnn.text.labels import Labels, ids_dtype
from charrnn.text.reading import END, Reading, Source, find_sources, text_blocks
from charrnn.text.seen import Question
from charrnn.text.splitting import Copy, Split, split_files, split_lines
from charrnn.text.vocabulary import (
    EOS,
    LARGE_VOCABULARY,
    LAST_CODE_POINT,
    MAX_CHARACTERS,
    Vocabulary,
    choose_min_count,
    count_code_points,
    find_code_points,
    vocabulary_of_counts,
)

MAX_NAMES = 3
"""At most this many texts are named in an error."""
PART = 1 << 22
"""Ids; where documents begin and end is in memory for so many at once."""
READ_ONCE = 1 << 25
"""Bytes; a longer text is read again to encode it, which is faster than a copy on a disk."""
OVERHEAD = 1 << 20
"""Bytes of an entry besides ids and ends, at most."""

OnRead: TypeAlias = Callable[[int, int], None]
"""Called while a text is read, with the bytes that are done and all that are to be done."""


@dataclass(frozen=True)
class Corpus:
    """Encoded text.

    Attributes:
        ids: (N,) ids of all documents, each ended by EOS; usually a memory map. With labels, each
            document begins with the id of its own.
        vocabulary: what the ids mean.
        reading: how the text was read.
        digest: SHA-256 of the bytes read and of how they were read.
        names: the files and directories that were given.
        document_count: D.
        ends: (D,) the position after each document's EOS; None if the documents are lines, of
            which there may be too many.
        unknown_characters: how many characters are not in the vocabulary.
        min_count: how often a character has to occur to be in it, if it is the corpus's own.
        kept: whether it may be kept on disk: it did not come through a pipe.
        labels: of the documents; None if they have none.
    """

    ids: Ids
    vocabulary: Vocabulary
    reading: Reading
    digest: str
    names: tuple[str, ...]
    document_count: int
    ends: Integers | None
    unknown_characters: int
    min_count: int = 1
    kept: bool = True
    labels: Labels | None = None

    @property
    def characters(self) -> int:
        """How many characters the corpus has, EOS not counted."""
        return len(self.ids) - self.document_count * (1 if self.labels is None else 2)

    @property
    def predicted_characters(self) -> int:
        """How many ids are predicted in all documents."""
        return self.characters + (self.document_count if self.ends is None else 0)

    def documents(self) -> Documents:
        """All documents, to be predicted; EOS is predicted too if lines are documents."""
        if self.ends is None:
            return self._lines(self.ids)
        starts = np.concatenate([[0], self.ends[:-1]])
        return Documents(self.ids, starts, self.ends - 1 - starts)

    def parts(self) -> Iterator[Documents]:
        """The documents that `documents` gives, in several parts if they are many lines."""
        if self.ends is not None:
            yield self.documents()
            return
        start = 0
        while start < len(self.ids):
            size = PART
            while (length := _last_end(self.ids[start : start + size])) == 0:  # a long line
                size *= 2
            yield self._lines(self.ids[start : start + length])
            start += length

    def _lines(self, ids: Ids) -> Documents:
        documents = documents_of([ids], with_eos=True)
        return documents if self.labels is None else documents.after_labels()

    def split(self, fraction: float, seed: int) -> Split:
        """Split into training text and about `fraction` held out, drawn by `seed` where needed."""

        def make(copy: Copy) -> Split:
            if self.ends is None:
                return split_lines(self.ids, fraction, seed, self.document_count, copy)
            return split_files(self.ids, fraction, seed, self.ends, copy)

        split = self._split(make, fraction, seed)
        if self.labels is None:
            return split
        return replace(split, held_out=split.held_out.after_labels())

    def _split(self, make: Callable[[Copy], Split], fraction: float, seed: int) -> Split:
        """The split that `make` makes, from the cache if a copy is worth keeping."""
        copies = self.document_count > 1 and fraction > 0 and self.ids.nbytes > MAX_IN_MEMORY
        if not (copies and self.kept):
            return make(copy_spans)
        known = ",".join(map(str, self.vocabulary.code_points))
        name = f"{self.digest} {fraction} {seed} {known}"
        return keep_split(self.ids, name, " ".join(self.names[:MAX_NAMES]), make)


def load_corpus(
    names: Sequence[str],
    reading: Reading,
    min_count: int | None = 1,
    vocabulary: Vocabulary | None = None,
    on_read: OnRead | None = None,
    labels: Labels | None = None,
) -> Corpus:
    """Read and encode the corpora `names`, or take them from the cache.

    Files whose status is that of an earlier reading are not read again.

    Args:
        names: files, directories, or `-`. Each file is a document, named itself or not.
        reading: how to read them.
        min_count: characters rarer than this become UNK; None: `choose_min_count`. Ignored if a
            vocabulary is given.
        vocabulary: to encode with; None for the corpus's own.
        on_read: called while texts are read.
        labels: with a vocabulary, the only possible ones of labelled lines.

    Raises:
        CorpusError: a text is missing, empty or badly encoded, or a line is badly labelled.
        VocabularyError: there are no characters to learn, or too many.
    """
    opened = time.time_ns()
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(source)) for source in find_sources(names)]
        question = Question.about(sources, opened, reading, min_count, vocabulary, labels)
        key = question.answer()
        found = None if key is None else find_encoded_entry(key)
        if found is None:
            given = (reading, min_count, vocabulary, on_read, labels)
            found = _Reader(names, sources, *given).load()
            question.remember(found.key)
        return Corpus(
            found.ids, found.vocabulary, reading, found.digest, tuple(names),
            found.documents, found.ends, found.unknown, found.min_count,
            kept=not any(source.spooled for source in sources), labels=found.labels,
        )


def _last_end(ids: Ids) -> int:
    """The position after the last EOS in `ids`; 0 if there is none."""
    ends = ids[::-1] == EOS
    return len(ids) - int(ends.argmax()) if ends.any() else 0


def find_encoded(digest: str, min_count: int) -> Ids | None:
    """The ids of the corpus with this digest, held-out text included, if still in the cache."""
    found = find_encoded_entry(cache_key(digest, min_count, None))
    return None if found is None else found.ids


class _Reader:
    """Reads, counts and encodes texts that are not in the cache.

    A text of at most READ_ONCE bytes is held in memory between counting and encoding.
    """

    def __init__(
        self,
        names: Sequence[str],
        sources: Sequence[Source],
        reading: Reading,
        min_count: int | None,
        vocabulary: Vocabulary | None,
        on_read: OnRead | None,
        labels: Labels | None,
    ) -> None:
        self._names, self._sources, self._reading = names, sources, reading
        self._chosen = min_count is None
        self._min_count = min_count or 1
        self._given, self._known_labels = vocabulary, labels
        self._labels = LabelReader(labels) if reading.labelled else None
        self._on_read = on_read
        self._bytes = sum(source.length for source in sources)
        self._done = 0
        self._held: list[Codes] | None = None
        if self._bytes <= READ_ONCE:
            self._held = list(self._blocks())

    def _blocks(self) -> Iterable[Codes]:
        if self._held is not None:
            return self._held
        return text_blocks(self._sources, self._reading, self._report, self._labels)

    def _characters(self) -> Iterable[Codes]:
        """The blocks, without labels."""
        if self._labels is None:
            return self._blocks()
        return (block[block <= LAST_CODE_POINT] for block in self._blocks())

    def _report(self, read: int) -> None:
        self._done += read
        if self._on_read is not None:
            passes = 1 if self._held is not None or self._given is not None else 2
            total = passes * self._bytes
            self._on_read(min(self._done, total), total)  # a large vocabulary takes one more

    def load(self) -> Encoded:
        """The texts, encoded."""
        vocabulary = self._given or self._count()
        known = self._key() if self._held is not None or self._given is None else None
        return (find_encoded_entry(known) if known else None) or self._encode(vocabulary)

    def _count(self) -> Vocabulary:
        """The vocabulary of the texts."""
        counts = find_code_points(self._characters()) if self._min_count == 1 else None
        most = LARGE_VOCABULARY if self._chosen else MAX_CHARACTERS
        if counts is None or counts.sum() > most:  # which are rare enough to drop?
            counts = count_code_points(self._characters())
        counts[self._reading.end] = 0
        if not counts.any():
            raise self._empty()
        if self._chosen:
            self._min_count = choose_min_count(counts[:END])
        return vocabulary_of_counts(counts[:END], self._min_count)

    def _empty(self) -> CorpusError:
        named = ", ".join(source.name for source in self._sources[:MAX_NAMES])
        verb = "is" if len(self._sources) == 1 else "are"
        return CorpusError(f"{named} {verb} empty; a corpus needs text")

    def _encode(self, vocabulary: Vocabulary) -> Encoded:
        ranks = np.empty(0, np.int64) if self._labels is None else self._labels.ranks()
        dtype = ids_dtype(vocabulary, len(ranks))

        def write(writer: ArrayWriter) -> str:
            complete = self._given is None and self._min_count == 1
            encoder = Encoder(
                vocabulary, self._reading.end, not self._reading.lines, complete, ranks
            )
            writer.add("ids", encoder.encode(self._blocks()), dtype)
            if encoder.documents == 0:
                raise self._empty()
            if encoder.lists_ends:
                writer.add("ends", [encoder.listed_ends()], np.int64)
            key = self._key()
            writer.finish(
                {
                    "key": key,
                    "corpus": " ".join(self._names[:MAX_NAMES]),
                    "digest": self._digest(),
                    "code_points": vocabulary.code_points,
                    "documents": encoder.documents,
                    "unknown": encoder.unknown,
                    "min_count": self._min_count,
                    **({} if (labels := self._found_labels(encoder)) is None else {
                        "labels": labels.description()}),
                }
            )
            return key

        most = self._bytes + len(self._sources) + 1  # characters and ends
        size = most * np.dtype(dtype).itemsize + 8 * len(self._sources) + OVERHEAD
        keep = not any(source.spooled for source in self._sources)
        return Encoded.of(write_entry(write, size, keep))

    def _key(self) -> str:
        known = "" if self._known_labels is None else f" {self._known_labels.description()}"
        return cache_key(self._digest() + known, self._min_count, self._given)

    def _found_labels(self, encoder: Encoder) -> Labels | None:
        """Those of the model, or those found with their counts; None if there are none."""
        if self._labels is None or self._known_labels is not None:
            return self._known_labels
        counts = encoder.label_counts.tolist()
        return Labels(tuple(sorted(self._labels.names)), tuple(counts))

    def _digest(self) -> str:
        reading = self._reading
        whole = hashlib.sha256(f"{reading.lines} {reading.encoding} {reading.errors}".encode())
        whole.update(b"labelled" if reading.labelled else b"part")
        for source in self._sources:
            whole.update(bytes.fromhex(source.digest()))
        return whole.hexdigest()
