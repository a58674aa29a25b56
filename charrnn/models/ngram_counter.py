"""Count the n-grams of a text of any size in bounded memory.

Knows nothing of probabilities.

The text is counted in steps; the tries of several steps are joined, and the rare n-grams pruned,
whenever they exceed a limit. As long as no limit is reached the counts are exact; afterwards they
are those of lossy counting (Manku & Motwani 2002): a count may fall short by `missing` at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from charrnn.errors import SettingsError
from charrnn.models.ngram_blocks import BLOCK, Array, block_levels
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

STEP = 4 * BLOCK
"""Characters counted between two chances to stop: about 8 million."""
STEP_NGRAMS = 8_000_000
"""Of a step's n-grams beyond this many, those that occur once in it are pruned."""
WORKING_SHARE = 2.0
"""While counting there may be this many times the n-grams that are wanted in the end."""
STEEPEST = 6
"""Highest cutoff in the end. 100,000 n-grams of tiny-shakespeare cost 1.514 nats per character so
(order 6), 1.529 with a cutoff of 8, 1.553 with 15 (order 10), 1.512 with 2 (order 5)."""
SLACK = 0.75
"""Pruning goes down to this share of what there may be, so that it is not needed at each step."""


class NgramCounter:
    """Counts of a text, of as much of it as the caller has time for.

    Tries of more than a million n-grams lie in temporary files, about 16 bytes per n-gram, which
    vanish with the process. They are `WORKING_SHARE * max_ngrams` n-grams and up to as many again
    that are not yet joined, and twice that while they are being joined or pruned.

    Attributes:
        steps: into how many steps the text is divided.
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
        """Nothing is counted yet.

        Args:
            ids: documents (T,), below 2**32 ids, each ended by EOS (the last may lack it); may be a
                memory map.
            order: 1 to 16.
            vocabulary_size: V, above every id.
            max_ngrams: most n-grams of all orders together, at least V.
            sentence_start: whether ids[0] follows an EOS; otherwise nothing is known before it.
            directory: where temporary files lie; by default where the operating system puts them.
            block: characters sorted at once, at most BLOCK.
            step: characters counted between two chances to stop.

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
        self._waiting = deque(spread(self.steps))
        self._tries: list[Trie] = []  # the first has what was joined, the others a step each

    def count(self, threads: int = 1) -> Iterator[int]:
        """Count one step after another, in an order whose every beginning is evenly spread.

        The result depends on how many steps the caller takes, never on `threads`.

        Yields:
            how many characters each step had.
        """
        with ThreadPoolExecutor(threads) as pool:
            running: deque[tuple[int, Future[Trie]]] = deque()
            try:
                while self._waiting or running:
                    while self._waiting and len(running) <= threads:
                        step = self._waiting.popleft()
                        running.append((step, pool.submit(self._count_step, step)))
                    step, future = running.popleft()
                    self._add(future.result())
                    yield min(self._step, len(self._ids) - step * self._step)
            finally:
                for step, future in reversed(running):
                    future.cancel()
                    self._waiting.appendleft(step)

    def finish(self, max_ngrams: int | None = None) -> NgramCounts:
        """The counts of the steps that were counted, at least one.

        Beyond the limit, n-grams that occur rarely are dropped: see `choose_cutoffs`. A kept
        n-gram's prefixes and suffixes are kept, and the counts of those dropped still weigh in
        their context's sum.

        Args:
            max_ngrams: if fewer are wanted than was said at first.
        """
        trie = join(self._tries, self._directory)
        self._tries = [trie]
        cutoffs = choose_cutoffs(trie, max_ngrams or self._max_ngrams, STEEPEST)
        while any(cutoffs) and not trie.kept[len(cutoffs) - 1, cutoffs[-1]]:
            cutoffs.pop()  # no n-gram so long is kept
        return _as_counts(prune(trie, cutoffs, self._directory))

    @property
    def missing(self) -> list[int]:
        """By how much the count of a k-gram may fall short, for each order k; 0 where exact.

        At the end of each stretch of the text that was counted by itself when something was
        pruned, another order - 1 occurrences may be lost.
        """
        order = min(trie.order for trie in self._tries)
        return [int(sum(trie.missing[k] for trie in self._tries)) for k in range(order)]

    def _count_step(self, step: int) -> Trie:
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
            tries.append(make_trie(levels))
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
        return prune(trie, choose_cutoffs(trie, int(limit * SLACK)), self._directory)


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


def spread(n: int) -> list[int]:
    """0 to n - 1 in an order whose every beginning is evenly spread: that of the reversed bits."""
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
