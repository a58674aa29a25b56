"""Adjusted counts of the n-grams of a trie, and the pruning of rare n-grams.

Knows nothing of texts or of probabilities.

What a pruned n-gram adds to others is recorded: to the adjusted count of its suffix (`lost`) and to
the sum of the counts in its context (`dropped`), so pruning twice is like pruning once. An n-gram
that is pruned, occurs again in a text counted later and is pruned again is recorded twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.models.ngram_blocks import EMPTY, Level
from charrnn.models.ngram_trie import HISTOGRAM, MAX_CUTOFF, Trie, make_trie
from charrnn.text.vocabulary import EOS


def adjusted_counts(levels: Sequence[Level]) -> Iterator[tuple[Level, Integers]]:
    """Each level of a trie with the adjusted counts of its n-grams (n,).

    For the highest order, and for n-grams that begin with EOS, how often they occur; for others,
    how many different characters precede them (an upper bound where some of those were pruned).
    """
    level, size = levels[0], len(levels[0])
    opening = np.array([0, 0])  # range of the n-grams that begin with EOS; empty at order 1
    for k, following in enumerate([*range(1, len(levels)), None]):
        if following is None:
            yield level, level.raw.astype(np.int64)
            return
        above, level = level, levels[following]
        counts = np.bincount(level.suffix, minlength=len(above))
        if len(above.lost):
            counts = np.minimum(counts + above.lost, size)
        # Only the beginning of a text without sentence start has no predecessor: count one.
        np.maximum(counts, above.raw > 0, out=counts)
        counts[slice(*opening)] = above.raw[slice(*opening)]
        yield above, counts
        opening = level.parent.searchsorted(opening if k else [EOS, EOS + 1])


def histogram(counts: Integers) -> Integers:
    """How many counts are 0, 1, 2, 3, 4, and more (HISTOGRAM,)."""
    return np.bincount(np.minimum(counts, HISTOGRAM - 1), minlength=HISTOGRAM)


def prune(trie: Trie, cutoffs: Sequence[int], directory: Path | None = None) -> Trie:
    """The trie without the k-grams that occur at most cutoffs[k - 1] times.

    Prefixes and suffixes of the kept n-grams are kept. An n-gram whose suffix is rarer, as it can
    be at the end of the text counted so far, is dropped with it.

    Args:
        cutoffs: ascending, the first 0; n-grams of orders above len(cutoffs) are dropped.
        directory: of the temporary file that holds a large result.
    """
    trie = trie.truncated(len(cutoffs))
    if not any(cutoffs):
        return trie
    pruned = trie.pruned.copy()
    levels = _pruned(trie.levels, cutoffs, pruned)
    return make_trie(levels, directory, pruned, trie.missing + np.array(cutoffs))


def _pruned(levels: Sequence[Level], cutoffs: Sequence[int], pruned: Integers) -> Iterator[Level]:
    """The levels of the pruned trie; adds to `pruned` (k, HISTOGRAM) what is dropped."""
    kept = np.ones(len(levels[0]), np.bool_)
    above: Array = np.zeros(0, np.uint32)  # the new numbers of the parents
    for k, (current, following) in enumerate(pairwise(chain(adjusted_counts(levels), [None]))):
        assert current is not None
        level, _ = current
        kept_here = kept
        if following is not None:
            after, counts = following
            kept = _kept(after, kept, cutoffs[k + 1])
            level = _with_pruned_sums(level, after, counts, ~kept)
            pruned[k + 1] += histogram(counts.compress(~kept))
        yield _selected(level, kept_here, above)
        above = np.cumsum(kept_here, dtype=np.uint32) - np.uint32(1)


def _kept(level: Level, kept_above: Array, cutoff: int) -> Array:
    kept: Array = kept_above[level.parent]
    kept &= kept_above[level.suffix]
    if cutoff:
        kept &= level.raw > cutoff
    return kept


def _with_pruned_sums(level: Level, after: Level, counts: Integers, pruned: Array) -> Level:
    """`level` with what the n-grams `pruned` of the next level added to it."""
    lost = np.bincount(after.suffix.compress(pruned), minlength=len(level))
    weights = counts.compress(pruned)
    dropped = np.bincount(after.parent.compress(pruned), weights, len(level)).astype(np.int64)
    return Level(
        level.character,
        level.parent,
        level.suffix,
        level.raw,
        _smallest_sum(lost, level.lost),
        _smallest_sum(dropped, level.dropped),
    )


def _smallest_sum(more: Integers, before: Array) -> Array:
    """The sum in the smallest unsigned integers; `before` may be empty, which means zeros."""
    total = more + before if len(before) else more
    largest = int(total.max(initial=0))
    return total.astype(np.min_scalar_type(largest)) if largest else EMPTY


def _selected(level: Level, kept: Array, above: Array) -> Level:
    """The n-grams `kept` of a level, where the (k-1)-grams have the new numbers `above`."""

    def selected(array: Array) -> Array:
        return array.compress(kept) if len(array) else array

    return Level(
        selected(level.character),
        above[selected(level.parent)],
        above[selected(level.suffix)],
        *map(selected, (level.raw, level.lost, level.dropped)),
    )


def choose_cutoffs(trie: Trie, max_ngrams: int, max_cutoff: int = MAX_CUTOFF) -> list[int]:
    """The cutoff of each order 1, 2, ...: n-grams that occur no more often are to be dropped.

    Cutoffs rise in proportion to the length of the context: of 24 million n-grams of 16 MB of C,
    order 12, 5 million give 1.199 nats per character so, 1.208 with the same cutoff for all orders,
    1.178 without any. If the highest would exceed `max_cutoff`, the order is lowered instead.
    """
    kept = trie.kept
    for order in range(trie.order, 1, -1):
        for steepness in _steepness(order, max_cutoff):
            cutoffs = [int(steepness * k) for k in range(order)]
            if sum(kept[k, cutoff] for k, cutoff in enumerate(cutoffs)) <= max_ngrams:
                return cutoffs
    return [0]


def _steepness(order: int, max_cutoff: int) -> list[Fraction]:
    """Every distinct increase of the cutoff per order, ascending."""
    return sorted(
        {
            Fraction(cutoff, k)
            for k in range(1, order)
            for cutoff in range(max_cutoff * k // (order - 1) + 1)
        }
    )
