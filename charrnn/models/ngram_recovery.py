"""Counts that an n-gram model of tables could have come from, so that it can be reduced.

Tables hold probabilities, not how often an n-gram occurs. That follows from the model itself: its
frequency in an endless text that the model writes, found by iteration, times the length of the text
that was counted. Below the highest order, an n-gram's count in Kneser-Ney's sense is the number of
n-grams that end with it, which the tables show.

In the formulas of `_next_frequencies`, F(w) is the probability that a text ends with w at a random
place, and M(w) the part of it in which no longer context than w has predicted the next character:
w is the longest known context, or the weights gamma of the longer ones have led to it. Then

    F(w c) = M(w) p(c | w) + sum over a of D(a w c),    D(w c) = M(w) own(w c) + sum of D(a w c),

where own(w c) is what w itself gives to c, and the sums go over the n-grams that are known.

Axes: n n-grams of one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Array, Integers
from charrnn.models.ngram_counts import NgramCounts, estimate_discounts, smallest
from charrnn.models.ngram_pruning import histogram
from charrnn.models.ngram_tables import NgramTables

Doubles: TypeAlias = npt.NDArray[np.float64]
ITERATIONS = 30
"""After these, frequencies change by less than a thousandth."""


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order from 2 on, in the order of the tables.

    Attributes:
        parent: index of each without its last character, one order below (n,).
        suffix: index of each without its first character, one order below (n,).
        own: probability of its last character, without what shorter contexts add (n,).
        whole: the same with it (n,).
        gamma: of the contexts one order below.
        children: how many continuations these have.
    """

    parent: Integers
    suffix: Integers
    own: Doubles
    whole: Doubles
    gamma: Doubles
    children: Integers


def recover_counts(tables: NgramTables, characters: int) -> NgramCounts:
    """Counts whose tables are about `tables`.

    Args:
        tables: of order 2 or more.
        characters: length of the text that was counted; about, if it is not known.
    """
    levels = _levels(tables)
    highest = np.rint(_frequencies(tables.unigram, levels) * characters)
    counts = [np.bincount(level.suffix, minlength=level.children.size) for level in levels]
    counts = [np.maximum(each, 1) for each in (*counts, highest.astype(np.int64))]
    discounts = tuple(estimate_discounts(histogram(count)[1:5]) for count in counts)
    ends = np.cumsum(tables.ngrams[1:])
    arrays: dict[str, Array] = {"ngram.1.count": smallest(counts[0])}
    for k, (level, count, end) in enumerate(zip(levels, counts[1:], ends, strict=True), 1):
        arrays[f"ngram.{k}.children"] = smallest(level.children)
        dropped = _dropped(level, count, discounts[k])
        if dropped.any():
            arrays[f"ngram.{k}.dropped"] = smallest(dropped)
        arrays[f"ngram.{k + 1}.character"] = tables.character[end - len(count) : end]
        arrays[f"ngram.{k + 1}.count"] = smallest(count)
    return NgramCounts(tables.vocabulary_size, discounts, arrays)


def _levels(tables: NgramTables) -> list[_Level]:
    size = tables.vocabulary_size
    whole: Doubles = tables.unigram
    suffix_above: Integers = np.zeros(size, np.int64)  # a character's suffix is the empty n-gram
    keys_above: Integers = np.arange(size)
    levels = []
    context = place = 0
    for above, n in zip(tables.ngrams, tables.ngrams[1:], strict=False):
        contexts, places = slice(context, context + above), slice(place, place + n)
        first = tables.first[context : context + above + 1].astype(np.int64)
        children: Integers = first[1:] - first[:-1]
        parent = np.repeat(np.arange(above), children)
        character = tables.character[places].astype(np.int64)
        suffix = keys_above.searchsorted(suffix_above[parent] * size + character)
        own = tables.probability[places].astype(np.float64)
        gamma = tables.gamma[contexts].astype(np.float64)
        whole = own + gamma[parent] * whole[suffix]
        levels.append(_Level(parent, suffix, own, whole, gamma, children))
        suffix_above, keys_above = suffix, parent * size + character
        context, place = contexts.stop, places.stop
    return levels


def _frequencies(unigram: Doubles, levels: list[_Level]) -> Doubles:
    """Those of the n-grams of the highest order (n,)."""
    found = [unigram]
    for level in levels:
        found.append(found[-1][level.parent] * level.whole)
    for _ in range(ITERATIONS):
        found = _next_frequencies(found, unigram, levels)
    return found[-1]


def _next_frequencies(
    found: list[Doubles], unigram: Doubles, levels: list[_Level]
) -> list[Doubles]:
    """The frequencies one character later, of every order; they add up to 1 for each."""
    masses = _masses(found, levels)
    wholes = [unigram, *(level.whole for level in levels)]
    later: list[Doubles] = []
    passed: Doubles = np.zeros(len(levels[-1].parent))  # the sums of D
    for level, mass, below in zip(levels[::-1], masses[::-1], wholes[-2::-1], strict=True):
        given = mass[level.parent]
        later.append(given * level.whole + passed)
        passed = _sums(level.suffix, given * level.own + passed, len(below))
    later.append((masses[0] * levels[0].gamma).sum() * unigram + passed)
    total = later[-1].sum()
    return [each / total for each in later[::-1]]


def _masses(found: list[Doubles], levels: list[_Level]) -> list[Doubles]:
    """M of the contexts of each order 1, 2, ..."""
    masses = [found[len(levels) - 1]]
    for k in range(len(levels) - 2, -1, -1):
        suffix, size = levels[k].suffix, len(found[k])
        longest = found[k] - _sums(suffix, found[k + 1], size)
        led = _sums(suffix, masses[-1] * levels[k + 1].gamma, size)
        masses.append(np.maximum(longest, 0) + led)
    return masses[::-1]


def _dropped(level: _Level, count: Integers, discounts: tuple[float, float, float]) -> Integers:
    """The counts that are missing in each context, as its gamma shows.

    gamma = (discounts + dropped) / (counts + dropped), summed over the continuations.
    """
    taken = np.array([0, *discounts])[np.minimum(count, 3)]
    size = len(level.gamma)
    counted = _sums(level.parent, count.astype(np.float64), size)
    discounted = _sums(level.parent, taken, size)
    missing = level.gamma * counted - discounted
    some = (missing > 0) & (level.gamma < 1)
    dropped = np.divide(missing, 1 - level.gamma, out=np.zeros(size), where=some)
    return np.rint(dropped).astype(np.int64)


def _sums(index: Integers, values: Doubles, size: int) -> Doubles:
    """The sums of the values with each index below `size`."""
    sums: Doubles = np.bincount(index, values, size).astype(np.float64, copy=False)
    return sums
