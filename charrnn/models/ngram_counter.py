"""Count the n-grams of a text of any size in bounded memory.

Knows nothing of probabilities.

The text is counted in steps; the tries of several steps are joined, and the rare n-grams pruned,
whenever they exceed a limit. As long as no limit is reached the counts are exact; afterwards they
are those of lossy counting (Manku & Motwani 2002): a count may fall short by `missing` at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from charrnn.arrays import Array
from charrnn.errors import SettingsError
from charrnn.models.ngram_blocks import BLOCK, block_levels
from charrnn.models.ngram_counts import (
    MAX_NGRAMS,
    MAX_ORDER,
    Discounts,
    NgramCounts,
    estimate_discounts,
    smallest,
)
from charrnn.models.ngram_pruning import adjusted_counts, choose_cutoffs, histogram, prune
from charrnn.models.ngram_trie import MAX_JOINED, Trie, join, make_trie
from charrnn.platform import release_pages

STEP = 2 * BLOCK
"""Characters per step, about 4 million; counting can be stopped after every step."""
MAX_FINAL_CUTOFF = 6
"""Highest final cutoff. 100,000 n-grams of tiny-shakespeare give 1.514 nats per character with it
(order 6), 1.529 with 8, 1.553 with 15 (order 10), 1.512 with 2 (order 5)."""
STEP_NGRAMS = 8_000_000
"""A step with more n-grams than this is pruned to PRUNE_TARGET of it, the rarest first."""
LONG = 6
"""Characters of n-grams that may be pruned in each block of a text."""
WORKING_SHARE = 2.0
"""The limit of n-grams while counting, as a multiple of the final limit."""
PRUNE_TARGET = 0.75
"""Pruning goes down to this share of the limit, so that it is not needed at each step."""


class NgramCounter:
    """Counts of a text, or of as many of its steps as the caller has time for.

    Tries of more than a million n-grams are kept in temporary files, about 16 bytes per n-gram,
    which vanish with the process. They hold up to `WORKING_SHARE * max_ngrams` n-grams, and as many
    again that are not yet joined; twice that while they are being joined or pruned.

    Attributes:
        steps: the number of steps that the text is divided into.
    """

    def __init__(
        self,
        ids: Array,
        order: int,
        vocabulary_size: int,
        *,
        max_ngrams: int = MAX_NGRAMS,
        sentence_start: bool = True,
        directory: Path | None = None,
        block: int = BLOCK,
        step: int = STEP,
    ) -> None:
        """Prepare to count; `count` does it.

        Args:
            ids: documents (T,), below 2**32 ids, each ended by EOS (the last may lack it); may be a
                memory map.
            order: 1 to 16.
            vocabulary_size: V, greater than every id.
            max_ngrams: limit of n-grams of all orders together, at least V.
            sentence_start: whether ids[0] follows an EOS; otherwise what precedes it is unknown.
            directory: of the temporary files; by default the operating system's.
            block: characters sorted at once, at most BLOCK.
            step: characters per step; counting can be stopped after every step.

        Raises:
            SettingsError: `order` or `max_ngrams` is out of range.
        """
        if not 1 <= order <= MAX_ORDER:
            raise SettingsError(f"the n-gram order must be 1 to {MAX_ORDER}, not {order}")
        if max_ngrams < vocabulary_size:
            raise SettingsError(
                f"a limit of {max_ngrams:,} n-grams is below the vocabulary's "
                f"{vocabulary_size:,} characters; raise it"
            )
        assert 0 < block <= min(step, BLOCK)
        self._ids, self._order, self._size = ids, order, vocabulary_size
        self._max_ngrams, self._sentence_start = max_ngrams, sentence_start
        self._directory, self._block, self._step = directory, block, step
        self.steps = max(1, -(-len(ids) // step))
        self._counted: set[int] = set()
        self._tries: list[Trie] = []  # the first holds the joined steps, the others one step each

    def count(
        self, threads: int = 1, steps: Iterable[int] | None = None, cutoff: int = 0
    ) -> Generator[int, None, None]:
        """Count one step after another.

        The result depends on the steps that the caller takes, never on `threads`.

        Args:
            threads: that count at the same time.
            steps: which, in this order; by default all of them, so that whenever it stops, the
                counted ones are evenly spread. None is counted twice.
            cutoff: LONG n-grams that occur at most so often in a block are pruned at once.

        Yields:
            the number of characters of each step.
        """
        wanted = bit_reversed_order(self.steps) if steps is None else steps
        waiting = deque(step for step in wanted if step not in self._counted)
        with ThreadPoolExecutor(threads) as pool:
            running: deque[tuple[int, Future[Trie]]] = deque()
            try:
                while waiting or running:
                    while waiting and len(running) <= threads:
                        step = waiting.popleft()
                        running.append((step, pool.submit(self._count_step, step, cutoff)))
                    step, future = running.popleft()
                    self._add(future.result())
                    self._counted.add(step)
                    yield min(self._step, len(self._ids) - step * self._step)
            finally:
                for _, future in running:
                    future.cancel()

    def finish(
        self, max_ngrams: int | None = None, max_cutoff: int = MAX_FINAL_CUTOFF
    ) -> NgramCounts:
        """The counts of the steps that were counted, at least one.

        Beyond the limit, rare n-grams are dropped: see `choose_cutoffs`. The prefixes and suffixes
        of a kept n-gram are kept, and the counts of dropped ones remain in their context's sum.

        Args:
            max_ngrams: a limit lower than the one given at first.
            max_cutoff: the highest cutoff; the order is lowered instead of a higher one.
        """
        trie = join(self._tries, self._directory)
        self._tries = [trie]
        cutoffs = choose_cutoffs(trie, max_ngrams or self._max_ngrams, max_cutoff)
        while any(cutoffs) and not trie.kept[len(cutoffs) - 1, cutoffs[-1]]:
            cutoffs.pop()  # no n-gram so long is kept
        return _as_counts(prune(trie, cutoffs, self._directory))

    @property
    def missing(self) -> list[int]:
        """By how much the count of a k-gram may be too low, for each order k; 0 where exact.

        Where pruning happened between two parts of the text, another order - 1 occurrences may be
        missing at the end of the first.
        """
        order = min(trie.order for trie in self._tries)
        return [int(sum(trie.missing[k] for trie in self._tries)) for k in range(order)]

    def _count_step(self, step: int, cutoff: int) -> Trie:
        begin = step * self._step
        end = min(begin + self._step, len(self._ids))
        tries = []
        for start in range(begin, max(end, begin + 1), self._block):
            levels = block_levels(
                self._ids,
                start,
                min(start + self._block, end),
                self._order,
                self._size,
                sentence_start=self._sentence_start and start == 0,
            )
            tries.append(_without_rare(make_trie(levels), cutoff))
            release_pages(self._ids[start : start + self._block])
            if len(tries) == MAX_JOINED:
                tries = [join(tries, self._directory)]
        return self._limited(join(tries, self._directory), STEP_NGRAMS)

    def _add(self, trie: Trie) -> None:
        """Join all tries once the others have as many n-grams as the first."""
        self._tries.append(trie)
        first, *others = map(len, self._tries)
        if sum(others) >= first or len(self._tries) == MAX_JOINED:
            limit = int(self._max_ngrams * WORKING_SHARE)
            self._tries = [self._limited(join(self._tries, self._directory), limit)]

    def _limited(self, trie: Trie, limit: int) -> Trie:
        if len(trie) <= limit:
            return trie
        return prune(trie, choose_cutoffs(trie, int(limit * PRUNE_TARGET)), self._directory)


def _without_rare(trie: Trie, cutoff: int) -> Trie:
    """The trie without LONG n-grams that occur at most `cutoff` times."""
    return prune(trie, [cutoff if k >= LONG else 0 for k in range(1, trie.order + 1)])


def count_ngrams(
    ids: Array,
    order: int,
    vocabulary_size: int,
    *,
    max_ngrams: int = MAX_NGRAMS,
    sentence_start: bool = True,
) -> NgramCounts:
    """The counts of a whole text; see NgramCounter for arguments, limits and errors."""
    counter = NgramCounter(
        ids, order, vocabulary_size, max_ngrams=max_ngrams, sentence_start=sentence_start
    )
    for _ in counter.count():
        pass
    return counter.finish()


def recent_first(
    characters: int, step: int, recent: int, gap: int
) -> tuple[list[int], list[int], list[int]]:
    """The steps of a text in three parts: its end, the others, and those to be counted last.

    Args:
        characters: of the text.
        step: characters per step.
        recent: steps with so many characters at the end come first, backwards; then the others,
            evenly spread.
        gap: steps with so many characters at the end are left for last, but at least one is not.
    """
    steps = max(1, -(-characters // step))
    stop = max(1, (characters - gap) // step) if gap else steps
    start = min(stop, max(0, (characters - recent) // step)) if recent else stop
    others = bit_reversed_order(start) if start else []
    return [*range(stop - 1, start - 1, -1)], others, list(range(stop, steps))


def bit_reversed_order(n: int) -> list[int]:
    """0 to n - 1 sorted by their reversed bits: every prefix is spread evenly over the range."""
    bits = max(n - 1, 1).bit_length()
    return [i for i in (int(f"{each:0{bits}b}"[::-1], 2) for each in range(1 << bits)) if i < n]


def _as_counts(trie: Trie) -> NgramCounts:
    arrays: dict[str, Array] = {}
    discounts: list[Discounts] = []
    above = None
    for k, (level, counts) in enumerate(adjusted_counts(trie.levels), 1):
        seen = histogram(counts) + trie.pruned[k - 1]
        discounts.append(estimate_discounts(seen[1:5]))
        if above is not None:
            children = np.bincount(level.parent, minlength=len(above))
            arrays[f"ngram.{k - 1}.children"] = smallest(children)
            if trie.pruned[k - 1].any():
                dropped = above.dropped if len(above.dropped) else np.zeros_like(children)
                arrays[f"ngram.{k - 1}.dropped"] = smallest(np.where(children > 0, dropped, 0))
            arrays[f"ngram.{k}.character"] = level.character
        arrays[f"ngram.{k}.count"] = smallest(counts)
        above = level
    return NgramCounts(len(trie.levels[0]), tuple(discounts), arrays)
