"""The probabilities of an n-gram model as flat tables, in memory or as they lie in a file.

Knows nothing of how a text is read or of how n-grams are counted.

Contexts are numbered through all orders: c alone is context c, then follow those of two characters
and so on; the last number, C, stands for every context that was never seen. The continuations of
context c have the places first[c] to first[c + 1], by ascending character; the n-gram at place p is
context V + p if it is not of the highest order. The last place, M, stands for an unseen n-gram.

p(character | context) = probability(place) + gamma(context) p(character | shorter context), so for
each context the probabilities of its places and gamma add up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Array, Floats, Integers
from charrnn.errors import CheckpointError
from charrnn.models.ngram_counts import NgramCounts, parse_sizes

LAYOUT = "tables"
TOLERANCE = 1e-4
"""How far from 1 the probabilities after a context may add up."""
CHECKED = 1 << 16
"""Contexts that are checked at a time: their tables fit into a processor's cache."""
MANY_BLOCKS = 16
"""Two threads check so many such blocks, or more."""


@dataclass(frozen=True)
class NgramTables:
    """An n-gram model of order N in its final form.

    It takes 8 bytes for each context, and 5 or 6 for each n-gram.

    Attributes:
        ngrams: how many n-grams of each order 1..N there are; the first is V.
        unigram: probability of each character after the empty context (V,).
        first: place of the first continuation of each context (C + 2,).
        gamma: weight of the next shorter context (C + 1,); 1 for one that was never continued.
        character: the last character of each n-gram (M + 1,).
        probability: of each n-gram's last character after its context, without what shorter
            contexts add (M + 1,).
    """

    ngrams: list[int]
    unigram: npt.NDArray[np.float64]
    first: npt.NDArray[np.uint32]
    gamma: Floats
    character: Array
    probability: Floats

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""
        return len(self.ngrams)

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.ngrams[0]

    @property
    def contexts(self) -> int:
        """C."""
        return sum(self.ngrams[:-1])

    @property
    def places(self) -> int:
        """M."""
        return sum(self.ngrams[1:])

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by the names that they have in a file."""
        names = ("unigram", "first", "gamma", "character", "probability")
        return {f"ngram.{name}": getattr(self, name) for name in names}

    def description(self) -> dict[str, Any]:
        """All but the arrays, for JSON; `expected_tables` and `from_tensors` read it."""
        return {
            "layout": LAYOUT,
            "order": self.order,
            "vocabulary_size": self.vocabulary_size,
            "ngrams": self.ngrams,
        }

    @classmethod
    def from_counts(cls, counts: NgramCounts) -> NgramTables:
        """The tables that follow from `counts`."""
        contexts, places = sum(counts.ngrams[:-1]), sum(counts.ngrams[1:])
        tables = cls(
            counts.ngrams,
            _unigrams(counts),
            np.zeros(contexts + 2, np.uint32),
            np.ones(contexts + 1, np.float32),
            np.zeros(places + 1, np.min_scalar_type(counts.vocabulary_size - 1)),
            np.zeros(places + 1, np.float32),
        )
        context = place = 0
        for k, n in enumerate(counts.ngrams[1:], 1):
            size = counts.ngrams[k - 1]
            tables._fill(counts, k, slice(context, context + size), slice(place, place + n))
            context, place = context + size, place + n
        tables.first[-1] = place
        return tables

    def _fill(self, counts: NgramCounts, k: int, contexts: slice, places: slice) -> None:
        """Fill the entries of the k-grams as contexts, and of their continuations."""
        arrays = counts.arrays
        count, taken = arrays[f"ngram.{k + 1}.count"], _discount_per_ngram(counts, k + 1)
        children = arrays[f"ngram.{k}.children"]
        ends = np.cumsum(children, dtype=np.int64)
        dropped = arrays.get(f"ngram.{k}.dropped", np.uint8(0))
        total = _family_sums(count, ends) + dropped
        left = _family_sums(taken, ends) + dropped
        share = 1 / np.maximum(total, 1)
        self.gamma[contexts] = np.where(total > 0, left * share, 1)
        np.subtract(count, taken, out=self.probability[places])
        self.probability[places] *= np.repeat(share.astype(np.float32), children)
        self.first[contexts.start + 1 : contexts.stop + 1] = ends + places.start
        self.character[places] = arrays[f"ngram.{k + 1}.character"]

    @classmethod
    def from_tensors(cls, description: Any, tensors: Mapping[str, Array]) -> NgramTables:
        """The tables with the given description, from arrays as `expected_tables` announces them.

        Every entry is checked, in blocks: afterwards every place and context is in range, and the
        probabilities after every context add up to 1.

        Raises:
            CheckpointError: they are not what `from_counts` could have made.
        """
        arrays = {name: tensors[name] for name in expected_tables(description)}
        values = {name.removeprefix("ngram."): array for name, array in arrays.items()}
        tables = cls(description["ngrams"], **values)
        tables._check()
        return tables

    def _check(self) -> None:
        unigram, context, place = self.unigram, 0, 0
        if not (unigram.min() > 0 and abs(unigram.sum() - 1) < TOLERANCE):
            raise CheckpointError("the n-gram model's probabilities of characters are not positive")
        for k in range(1, self.order):
            if self.first[context] != place:
                raise CheckpointError(f"the {k + 1}-grams begin at a wrong place")
            context, place = context + self.ngrams[k - 1], place + self.ngrams[k]
        if self.first[0] != 0 or list(self.first[-2:]) != [place] * 2 or self.gamma[-1] != 1:
            raise CheckpointError("the n-grams end at a wrong place")
        if self.probability[-1] != 0:
            raise CheckpointError("an n-gram that was never seen has a probability")
        starts = range(0, self.contexts, CHECKED)
        blocks = [slice(start, min(start + CHECKED, self.contexts)) for start in starts]
        if len(blocks) < MANY_BLOCKS:
            for block in blocks:
                self._check_families(block)
            return
        from concurrent.futures import ThreadPoolExecutor  # takes longer than a small model

        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(self._check_families, blocks):
                pass

    def _check_families(self, contexts: slice) -> None:
        """Check some contexts and their continuations. Comparisons are false for NaN, too."""
        first = self.first[contexts.start : contexts.stop + 1]
        if np.diff(first).max() > self.vocabulary_size or first[-1] > self.places:  # wraps around
            raise CheckpointError("the n-grams are not in the order of their contexts")
        places = slice(int(first[0]), int(first[-1]))
        gamma, probability = self.gamma[contexts], self.probability[places]
        if not (gamma.min() >= 0 and probability.min(initial=0) >= 0):
            raise CheckpointError("the n-gram model has negative probabilities")
        if self.character[places].max(initial=0) >= self.vocabulary_size:
            raise CheckpointError("an n-gram has a character that is out of range")
        running = np.zeros(len(probability) + 1)
        np.cumsum(probability, dtype=np.float64, out=running[1:])
        whole = np.diff(running[first - first[0]]) + gamma
        if not (whole.min() > 1 - TOLERANCE and whole.max() < 1 + TOLERANCE):
            raise CheckpointError("the n-gram model's probabilities do not add up to 1")


def expected_tables(description: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array that `description`, parsed from JSON, announces.

    Raises:
        CheckpointError: it does not describe the tables of an n-gram model.
    """
    ngrams = parse_sizes(description)
    contexts, places = sum(ngrams[:-1]), sum(ngrams[1:])
    if max(contexts, places) >= 1 << 32:
        raise CheckpointError(f"an n-gram model cannot have {sum(ngrams):,} n-grams")
    return {
        "ngram.unigram": ("float64", (ngrams[0],)),
        "ngram.first": ("uint32", (contexts + 2,)),
        "ngram.gamma": ("float32", (contexts + 1,)),
        "ngram.character": (np.min_scalar_type(ngrams[0] - 1).name, (places + 1,)),
        "ngram.probability": ("float32", (places + 1,)),
    }


def _unigrams(counts: NgramCounts) -> npt.NDArray[np.float64]:
    """Probabilities (V,) after the empty context."""
    count = counts.arrays["ngram.1.count"].astype(np.float64)
    total = count.sum()
    taken = _discount_per_ngram(counts, 1)
    uniform = taken.sum(dtype=np.float64) / total if total else 1.0
    probability: npt.NDArray[np.float64] = (count - taken) / max(total, 1) + uniform / len(count)
    return probability


def _discount_per_ngram(counts: NgramCounts, k: int) -> Floats:
    """The discount of each k-gram's count (n_k,)."""
    table = np.array([0, *counts.discounts[k - 1]], np.float32)
    return table[np.minimum(counts.arrays[f"ngram.{k}.count"], 3)]


def _family_sums(values: Array, ends: Integers) -> Array:
    """Sums of consecutive runs of `values`; run i stops before ends[i] (n_k,)."""
    dtype = np.result_type(values, np.int64)  # either int64 or float64
    running = np.zeros(len(values) + 1, dtype)
    np.cumsum(values, out=running[1:])
    return np.diff(running[ends], prepend=running[:1])
