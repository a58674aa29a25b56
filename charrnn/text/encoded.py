"""An encoded corpus as it is kept in the cache."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from charrnn.arrays import Integers
from charrnn.errors import CharRNNError
from charrnn.text.array_file import ArrayFile
from charrnn.text.cache import read_entry
from charrnn.text.documents import Ids
from charrnn.text.labels import Labels, ids_dtype
from charrnn.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Encoded:
    """An entry of the cache; attributes as in `Corpus`."""

    key: str
    ids: Ids
    ends: Integers | None
    vocabulary: Vocabulary
    digest: str
    documents: int
    unknown: int
    min_count: int
    labels: Labels | None = None

    @classmethod
    def of(cls, entry: ArrayFile) -> Encoded:
        """The contents of an entry; it raises LookupError and the like if it is not one."""
        facts = entry.facts
        vocabulary = Vocabulary(tuple(facts["code_points"]))
        ids, ends = entry.arrays["ids"], entry.arrays.get("ends")
        documents, unknown = int(facts["documents"]), int(facts["unknown"])
        min_count, labels = int(facts["min_count"]), Labels.parse(facts.get("labels"))
        dtype = ids_dtype(vocabulary, len(labels or ()))
        if ids.dtype != dtype or not 0 < documents <= len(ids):
            raise ValueError("contradictory entry")
        if ends is not None and (len(ends) != documents or ends[-1] != len(ids)):
            raise ValueError("contradictory ends")
        key, digest = facts["key"], facts["digest"]
        return cls(key, ids, ends, vocabulary, digest, documents, unknown, min_count, labels)


def find_encoded_entry(key: str) -> Encoded | None:
    """The entry with this key; None if there is none, or it is damaged."""
    entry = read_entry(key)
    with suppress(ValueError, LookupError, TypeError, CharRNNError):
        return None if entry is None else Encoded.of(entry)
    return None
