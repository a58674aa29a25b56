"""Reduce the counts of an n-gram model to a limit, without the text they were counted in.

Knows nothing of files. The n-grams dropped are the rarest, chosen as for a text
(`ngram_pruning.choose_cutoffs`). How often each occurs is not stored for all orders; what its
continuations and extensions say is a lower bound that is exact unless n-grams were pruned before.

Axes: n n-grams of one order.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.errors import Parameter, SettingsError
from charrnn.models.ngram_blocks import EMPTY, Level, unigram_level
from charrnn.models.ngram_counter import MAX_FINAL_CUTOFF
from charrnn.models.ngram_counts import NgramCounts, estimate_discounts, smallest
from charrnn.models.ngram_pruning import choose_cutoffs, histogram
from charrnn.models.ngram_trie import make_trie


def reduce_ngrams(counts: NgramCounts, max_ngrams: int) -> NgramCounts:
    """The counts with at most `max_ngrams` n-grams of all orders together.

    Prefixes and suffixes of a kept n-gram are kept. The order may become lower: then the n-grams of
    the new highest order count their occurrences, as in every model.

    Raises:
        SettingsError: the limit is below the number of characters.
    """
    size = counts.vocabulary_size
    if max_ngrams < size:
        raise SettingsError(
            Parameter("max_ngrams"),
            f" {max_ngrams:,} is below the vocabulary's {size:,} characters; raise it",
        )
    if sum(counts.ngrams) <= max_ngrams:
        return counts
    levels = _with_occurrences(counts, _levels(counts))
    cutoffs = choose_cutoffs(make_trie(levels), max_ngrams, MAX_FINAL_CUTOFF)
    kept = [level.raw > cutoff for level, cutoff in zip(levels, cutoffs, strict=False)]
    kept[0][:] = True
    while len(kept) > 1 and not kept[-1].any():
        kept.pop()
    return _selected(counts, levels, kept)


def _levels(counts: NgramCounts) -> list[Level]:
    """The trie of `counts`, with parents and suffixes but without occurrences."""
    size = counts.vocabulary_size
    levels = [unigram_level(np.zeros(size, np.int64))]
    suffix_above: Integers = np.zeros(size, np.int64)  # an id's suffix is the empty n-gram
    keys_above: Integers = np.arange(size)
    for k in range(2, counts.order + 1):
        children = counts.arrays[f"ngram.{k - 1}.children"]
        character = counts.arrays[f"ngram.{k}.character"].astype(np.int64)
        parent = np.repeat(np.arange(len(children)), children)
        suffix = keys_above.searchsorted(suffix_above[parent] * size + character)
        nothing = np.zeros(len(character), np.int64)
        levels.append(Level(character, parent, suffix, nothing, EMPTY, EMPTY))
        suffix_above, keys_above = suffix, parent * size + character
    return levels


def _with_occurrences(counts: NgramCounts, levels: list[Level]) -> list[Level]:
    """The levels with `raw`: at least as often as this each n-gram occurs.

    Never less than for an n-gram that begins or ends with it, so that what is kept is a trie.
    """
    found: list[Level] = []
    for k in range(counts.order, 0, -1):
        level = levels[k - 1]
        raw = counts.arrays[f"ngram.{k}.count"].astype(np.int64)
        if found:
            longer = found[-1]
            dropped = counts.arrays.get(f"ngram.{k}.dropped", np.uint8(0))
            continued = np.bincount(longer.parent, longer.raw, len(raw)).astype(np.int64) + dropped
            extended = np.bincount(longer.suffix, longer.raw, len(raw)).astype(np.int64)
            raw = np.maximum(raw, np.maximum(continued, extended))
        found.append(replace(level, raw=raw))
    return found[::-1]


def _selected(counts: NgramCounts, levels: list[Level], kept: list[Array]) -> NgramCounts:
    """Only the n-grams `kept` of each level; of the others, the counts remain in their contexts."""
    arrays: dict[str, Array] = {}
    discounts = list(counts.discounts[: len(kept)])
    above: Array = kept[0]
    for k, (level, here) in enumerate(zip(levels, kept, strict=False), 1):
        count = counts.arrays[f"ngram.{k}.count"]
        if k == len(kept) < counts.order:
            count = level.raw
            discounts[-1] = estimate_discounts(histogram(count)[1:5])
        if k > 1:
            children = np.bincount(level.parent[here], minlength=len(above))
            dropped = _dropped(counts, k - 1, level.parent[~here], count[~here], len(above))
            arrays[f"ngram.{k - 1}.children"] = smallest(children[above])
            if dropped.any():
                dropped = np.where(children > 0, dropped, 0)
                arrays[f"ngram.{k - 1}.dropped"] = smallest(dropped[above])
            arrays[f"ngram.{k}.character"] = counts.arrays[f"ngram.{k}.character"][here]
        arrays[f"ngram.{k}.count"] = smallest(count[here])
        above = here
    return NgramCounts(counts.vocabulary_size, tuple(discounts), arrays)


def _dropped(counts: NgramCounts, k: int, parents: Array, count: Array, size: int) -> Integers:
    """The sum of the counts of the dropped children of each k-gram, earlier ones included (n,)."""
    before = counts.arrays.get(f"ngram.{k}.dropped", np.uint8(0))
    now = np.bincount(parents, count, size).astype(np.int64)
    total: Integers = now + before
    return total
