"""Keep the training text of a large corpus in the cache: a second start need not copy it again.

Only where held-out text lies in the middle is there a copy: of lines, and of several files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Integers
from charrnn.text.array_file import ArrayFile, ArrayWriter
from charrnn.text.cache import cache_key, read_entry, write_entry
from charrnn.text.documents import Documents, Ids, span_blocks
from charrnn.text.splitting import Copy, Split

MakeSplit: TypeAlias = Callable[[Copy], Split]
OVERHEAD = 1 << 28
"""Bytes of an entry besides the training text, at most."""


def keep_split(ids: Ids, name: str, corpus: str, make: MakeSplit) -> Split:
    """The split that `make` makes, from the cache if it is there.

    Args:
        ids: (N,) of the corpus.
        name: of the corpus and of how it is split.
        corpus: its names, for whoever lists the cache.
        make: splits it, given what copies the training text.

    Raises:
        OutputError: there is no space for the copy.
    """
    key = cache_key(f"split {name}", 0, None)
    kept = read_entry(key)
    if kept is None or not {"training", "seams", "starts", "held", "lengths"} <= set(kept.arrays):

        def write(writer: ArrayWriter) -> str:
            _write(writer, ids, make, corpus)
            return key

        kept = write_entry(write, ids.nbytes + OVERHEAD, keep=True)
    return _split_of(kept, ids)


def _write(writer: ArrayWriter, ids: Ids, make: MakeSplit, corpus: str) -> None:
    def copy(ids: Ids, starts: Integers, stops: Integers) -> Ids:
        writer.add("training", span_blocks(ids, starts, stops), ids.dtype)
        return ids[:0]

    split = make(copy)
    held = split.held_out
    starts = np.empty(0, np.int64) if split.starts is None else split.starts
    arrays = {
        "seams": split.seams, "starts": starts, "held": held.starts, "lengths": held.lengths
    }
    for name, array in arrays.items():
        writer.add(name, [array], np.int64)
    facts = {"corpus": corpus, "part": "training text", "lines": split.starts is None}
    writer.finish(facts)


def _split_of(kept: ArrayFile, ids: Ids) -> Split:
    arrays = kept.arrays
    held_out = Documents(ids, arrays["held"], arrays["lengths"])
    starts = None if kept.facts.get("lines") else arrays["starts"]
    return Split(arrays["training"], arrays["seams"], held_out, starts)
