"""Counting the n-grams of a text of any size, block by block, in bounded memory.

Knows nothing of probabilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from charrnn.errors import SettingsError
from charrnn.models.ngram_blocks import BLOCK, Array, Integers, block_levels
from charrnn.models.ngram_counts import (
    MAX_NGRAMS,
    MAX_ORDER,
    NgramCounts,
    discounts_of,
    smallest,
)
from charrnn.models.ngram_trie import MAX_CUTOFF, MAX_JOINED, Trie, adjusted_counts, histogram, join, make_trie, prune

STEP = 4 * BLOCK
"""Characters counted between two chances to stop."""
SLACK = 0.75
"""Where counting prunes, down to this share of the limit, so that it need not do so at each step."""


class NgramCounter:
    def __init__(
        self,
        ids: Array,
        order: int,
        vocabulary_size: int,
        *,
        max_counted: int = 2 * MAX_NGRAMS,
        young: int = 1 << 40,
        sentence_start: bool = True,
        directory: Path | None = None,
        block: int = BLOCK,
        step: int = STEP,
    ) -> None:
        self._ids, self._order, self._size = ids, order, vocabulary_size
        self._limit, self._young = max_counted, young
        self._opens = sentence_start
        self._directory = directory
        self._block, self._step = block, step
        self._tries: list[Trie] = []
        self._done: set[int] = set()

    @property
    def steps(self) -> int:
        return max(1, -(-len(self._ids) // self._step))

    def count(self, threads: int = 1, steps: Sequence[int] | None = None) -> Iterator[int]:
        """Count steps, most evenly spread first; characters so far after each."""
        todo = iter(spread(self.steps) if steps is None else steps)
        total = 0
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[int, Future[Trie]]] = deque()
            try:
                for step in islice(todo, threads + 1):
                    waiting.append((step, pool.submit(self._count_step, step)))
                while waiting:
                    step, future = waiting.popleft()
                    trie = future.result()
                    for following in islice(todo, 1):
                        waiting.append((following, pool.submit(self._count_step, following)))
                    self._add(trie)
                    total += min(self._step, len(self._ids) - step * self._step)
                    yield total
            finally:
                for _, future in waiting:
                    future.cancel()

    def _count_step(self, step: int) -> Trie:
        begin = step * self._step
        end = min(begin + self._step, len(self._ids))
        tries: list[Trie] = []
        for start in range(begin, max(end, begin + 1), self._block):
            opens = self._opens and start == 0
            stop = min(start + self._block, end)
            levels = block_levels(
                self._ids, start, stop, self._order, self._size, sentence_start=opens
            )
            tries.append(make_trie(levels, self._directory, in_memory=BLOCK * self._order))
            if len(tries) == MAX_JOINED:
                tries = [join(tries, self._directory)]
        joined = join(tries, self._directory)
        return self._pruned(joined, self._young, 1)

    def _pruned(self, trie: Trie, limit: int, most: int) -> Trie:
        if len(trie) <= limit:
            return trie
        return prune(trie, cutoffs_for(trie, limit, most), self._directory)

    def _add(self, trie: Trie) -> None:
        """Join with the rest when that is no larger than what came since it was last joined."""
        self._tries.append(trie)
        first, *others = map(len, self._tries)
        if sum(others) >= first or len(self._tries) == MAX_JOINED:
            self._join()

    def _join(self) -> None:
        joined = join(self._tries, self._directory)
        if len(joined) > self._limit:
            joined = self._pruned(joined, int(self._limit * SLACK), MAX_CUTOFF)
        self._tries = [joined]

    def finish(self, max_ngrams: int = MAX_NGRAMS, max_cutoff: int = 2) -> NgramCounts:
        self._join()
        trie = self._tries[0]
        cutoffs = cutoffs_for(trie, max_ngrams, max_cutoff)
        return assemble(prune(trie, cutoffs, self._directory))


def spread(n: int) -> list[int]:
    """0 to n - 1 in an order whose every beginning is spread evenly: by reversed bits."""
    bits = max(n - 1, 0).bit_length()
    reverse = (int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(1 << bits))
    return [i for i in reverse if i < n]


def cutoffs_for(trie: Trie, max_ngrams: int, max_cutoff: int) -> list[int]:
    kept = [*trie.kept]
    room = max_ngrams - int(kept[0][0])
    kept = kept[1:]
    while kept and sum(int(each[max_cutoff]) for each in kept) > room:
        kept = kept[:-1]
    cutoffs = [0] * (len(kept) + 1)
    excess = sum(int(each[0]) for each in kept) - room
    for cutoff in range(1, max_cutoff + 1):
        for k in range(len(kept) - 1, -1, -1):
            if excess <= 0:
                return cutoffs
            excess -= int(kept[k][cutoff - 1] - kept[k][cutoff])
            cutoffs[k + 1] = cutoff
    return cutoffs


def assemble(trie: Trie) -> NgramCounts:
    arrays: dict[str, Array] = {}
    discounts = []
    above = None
    for k, (level, counts) in enumerate(adjusted_counts(trie.levels), 1):
        seen = histogram(counts) + trie.pruned[k - 1]
        discounts.append(discounts_of(seen[1:5]))
        if above is not None:
            children = np.bincount(level.parent, minlength=len(above))
            arrays[f"ngram.{k - 1}.children"] = smallest(children)
            if trie.pruned[k - 1].any():
                lost = above.dropped if len(above.dropped) else np.zeros(len(above), np.uint8)
                arrays[f"ngram.{k - 1}.dropped"] = smallest(np.where(children > 0, lost, 0))
            arrays[f"ngram.{k}.character"] = level.character
        arrays[f"ngram.{k}.count"] = smallest(counts)
        above = level
    return NgramCounts(len(trie.levels[0]), tuple(discounts), arrays)
