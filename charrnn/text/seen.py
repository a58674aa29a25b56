"""Remember which cached entry holds a text, by the status of its files: it need not be read again.

A record is trusted only if no file changed in the last moments before it was read (git calls an
index entry that did 'racily clean'): a later change within the same tick of the file system's clock
would leave the status as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from charrnn.platform import Fingerprint
from charrnn.storage.files import OutputError, write_atomically
from charrnn.storage.places import cache_directory
from charrnn.text.cache import SEEN, cache_key
from charrnn.text.labels import Labels
from charrnn.text.reading import Reading, Source
from charrnn.text.vocabulary import Vocabulary

TICK = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system, FAT's."""
MAX_RECORD = 1 << 12
"""Bytes."""


@dataclass(frozen=True)
class Question:
    """Which texts are asked for, and whether they are as they were.

    Attributes:
        name: of the record, from the files' paths and how they are read and encoded.
        status: of all files, in one number; None if it does not show every change.
    """

    name: str
    status: str | None

    @classmethod
    def about(
        cls, sources: Sequence[Source], opened: int, reading: Reading, min_count: int | None,
        vocabulary: Vocabulary | None, labels: Labels | None = None,
    ) -> Question:
        """The question for texts that were opened after `opened` (ns of the system's clock)."""
        paths = hashlib.sha256()
        for source in sources:
            paths.update(os.fsencode(Path.cwd() / source.name) + b"\0")
        how = f"{reading} {paths.hexdigest()} {'' if labels is None else labels.names}"
        prints = [source.fingerprint for source in sources]
        return cls(cache_key(how, min_count, vocabulary), _status(prints, opened))

    @property
    def _path(self) -> Path:
        return cache_directory() / f"{self.name}{SEEN}"

    def answer(self) -> str | None:
        """The key of the entry that holds these texts; None if they have to be read."""
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            with self._path.open("rb") as file:
                record = json.loads(file.read(MAX_RECORD))
            if self.status is not None and record["status"] == self.status:
                return str(record["key"])
        return None

    def remember(self, key: str) -> None:
        """Note that the entry `key` holds these texts, if their status shows every later change."""
        if self.status is not None and self._path.parent.is_dir():
            with suppress(OutputError):
                record = json.dumps({"status": self.status, "key": key})
                write_atomically(self._path, record.encode())


def _status(prints: Sequence[Fingerprint | None], opened: int) -> str | None:
    """A digest of all fingerprints; None if one is missing or too recent."""
    digest = hashlib.sha256()
    for each in prints:
        if each is None or max(each[1:3]) > opened - TICK:
            return None
        digest.update(f"{each}".encode())
    return digest.hexdigest()
