"""Interpolated modified Kneser-Ney n-gram model of characters, from counts to probabilities.

Knows nothing of texts, of how n-grams are counted or stored, or of mixtures.

p(c | context) = (count(context c) - discount) / total(context) + gamma(context) p(c | shorter
context), where a context that was never continued has gamma = 1: the shorter one decides alone. The
empty context is interpolated with the uniform distribution over all V ids, so every id is possible.
As gamma is the probability that the discounts take away, probabilities add up to 1.
Sources: Chen & Goodman 1999, section 3; Heafield et al. 2013, section 3.

Contexts are numbered through all orders: c alone is context c, then follow those of two characters
and so on; the last number, C, stands for every context that was never seen. The state of a text is
the contexts that it ends with, longest first: (B, L), L = order - 1.

Axes: B texts, T positions, L lengths of context, P pairs of text and position, V vocabulary.
"""

from __future__ import annotations

from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Array, Floats, Integers
from charrnn.models.interface import LogProbabilities, Rows, Tokens
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import MAX_NGRAMS, NgramCounts

Contexts: TypeAlias = Integers

BLOCK_CELLS = 1 << 18
"""Probabilities computed at a time; bounds the memory of `forward`."""


class NgramModel:
    """The n-gram model as a LanguageModel; about 22 bytes of memory per n-gram, 36 while loading.

    Feed EOS first: it stands for the start of a text, and no context reaches back beyond it.

    Attributes:
        counts: what the model is computed from, and what a checkpoint stores.
    """

    def __init__(self, counts: NgramCounts) -> None:
        self.counts = counts
        sizes, size = counts.ngrams, counts.vocabulary_size
        self._unseen = sum(sizes[:-1])  # C
        self._unigram, self._unigram_total = _unigrams(counts)  # (V,)
        # The last entry of every array is for contexts or n-grams that were never seen.
        self._gamma = np.ones(self._unseen + 1, np.float32)  # weight of the shorter context
        self._total = np.zeros(self._unseen + 1, np.uint32)  # sum of the continuations' counts
        self._share = np.zeros(self._unseen + 1, np.float32)  # its reciprocal
        # The continuations of context c have the places first[c] to first[c + 1].
        self._first = np.zeros(self._unseen + 2, np.uint32)
        places = sum(sizes[1:])
        self._discounted = np.zeros(places + 1, np.float32)  # counts minus discounts
        self._character = np.zeros(places + 1, np.min_scalar_type(size - 1))
        largest = (self._unseen + 1) * size
        self._key = np.full(places + 1, largest, np.uint32 if largest < 1 << 32 else np.uint64)
        context = place = 0
        for k, n in enumerate(sizes[1:], 1):
            self._fill(k, slice(context, context + sizes[k - 1]), slice(place, place + n))
            context, place = context + sizes[k - 1], place + n
        self._first[-1] = place

    def _fill(self, k: int, contexts: slice, places: slice) -> None:
        """Fill the entries of the k-grams as contexts, and of their continuations."""
        arrays = self.counts.arrays
        count, taken = arrays[f"ngram.{k + 1}.count"], _discount_per_ngram(self.counts, k + 1)
        children = arrays[f"ngram.{k}.children"]
        ends = np.cumsum(children, dtype=np.int64)
        dropped = arrays.get(f"ngram.{k}.dropped", np.uint8(0))
        total = _family_sums(count, ends) + dropped
        left = _family_sums(taken, ends) + dropped
        share = 1 / np.maximum(total, 1)
        self._total[contexts] = total
        self._share[contexts] = share
        self._gamma[contexts] = np.where(total > 0, left * share, 1)
        self._first[contexts.start + 1 : contexts.stop + 1] = ends + places.start
        np.subtract(count, taken, out=self._discounted[places])
        key = self._key[places]
        numbers = np.arange(contexts.start, contexts.stop, dtype=key.dtype)
        key[:] = np.repeat(numbers * key.dtype.type(self.vocabulary_size), children)
        key += arrays[f"ngram.{k + 1}.character"]
        self._character[places] = arrays[f"ngram.{k + 1}.character"]

    @classmethod
    def build(
        cls,
        ids: Array,
        order: int,
        vocabulary_size: int,
        *,
        max_ngrams: int = MAX_NGRAMS,
        sentence_start: bool = True,
    ) -> NgramModel:
        """The model of a text; see `count_ngrams` for arguments, limits and errors."""
        return cls(
            count_ngrams(
                ids, order, vocabulary_size, max_ngrams=max_ngrams, sentence_start=sentence_start
            )
        )

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.counts.vocabulary_size

    @property
    def order(self) -> int:
        """One more than the longest context, in characters."""
        return self.counts.order

    def initial_state(self, batch: int) -> Contexts:
        """Nothing read yet (B, L)."""
        return np.full((batch, self.order - 1), self._unseen)

    def select(self, state: Contexts, rows: Rows) -> Contexts:
        """The state of the texts `rows` alone."""
        return state[rows]

    def step(self, tokens: Tokens, state: Contexts) -> tuple[LogProbabilities, Contexts]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        state = self._extend_contexts(tokens, state)
        return self._distribution(state), state

    def forward(self, tokens: Tokens, state: Contexts) -> tuple[LogProbabilities, Contexts]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        contexts, state = self.read(tokens, state)
        return self.predict(contexts), state

    def score(
        self, tokens: Tokens, targets: Tokens, state: Contexts
    ) -> tuple[LogProbabilities, Contexts]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T) at each position, state."""
        contexts, state = self.read(tokens, state)
        return self.predict_targets(contexts, targets), state

    def read(self, tokens: Tokens, state: Contexts) -> tuple[Contexts, Contexts]:
        """Read `tokens` (B, T) -> the contexts after each of them (B, T, L), state.

        With `predict`, `predict_targets` and `features` this is `forward` and `score` in parts,
        for callers that need several of them. A state is the contexts after its last character.
        """
        contexts = np.empty((*tokens.shape, self.order - 1), np.int64)  # (B, T, L)
        contexts[..., -1:] = tokens[..., None]
        for length in range(self.order - 3, -1, -1):
            shorter = contexts[..., length + 1]
            shorter = np.concatenate([state[:, None, length + 1], shorter[:, :-1]], axis=1)
            place = self._find(shorter[:, : tokens.shape[1]], tokens)
            contexts[..., length] = self._context(place)
        return contexts, contexts[:, -1] if tokens.shape[1] else state

    def predict(self, contexts: Contexts) -> LogProbabilities:
        """Log-probabilities (..., V) in nats of every character after `contexts` (..., L)."""
        pairs = contexts.reshape(prod(contexts.shape[:-1]), contexts.shape[-1])  # (P, L)
        found = np.empty((len(pairs), self.vocabulary_size), np.float32)  # (P, V)
        size = max(1, BLOCK_CELLS // self.vocabulary_size)
        for start in range(0, len(pairs), size):
            found[start : start + size] = self._distribution(pairs[start : start + size])
        return found.reshape(*contexts.shape[:-1], self.vocabulary_size)

    def predict_targets(self, contexts: Contexts, targets: Tokens) -> LogProbabilities:
        """Log-probability in nats of `targets` (...) after `contexts` (..., L)."""
        probability = self._unigram[targets]  # (...)
        for length in range(contexts.shape[-1] - 1, -1, -1):
            context = contexts[..., length]
            probability *= self._gamma[context]
            probability += self._share[context] * self._discounted[self._find(context, targets)]
        return np.log(probability).astype(np.float32)

    def features(self, contexts: Contexts) -> tuple[Integers, Integers]:
        """What the model knows of `contexts` (..., L); it does not depend on what follows.

        Returns:
            the length of the longest that was ever continued (...), 0 to order - 1;
            the sum of the adjusted counts of its continuations (...), as `NgramCounts` has them.
        """
        totals = self._total[contexts].astype(np.int64)  # (..., L)
        matched = np.count_nonzero(totals, axis=-1)  # all suffixes of a known context are known
        empty = np.full((*matched.shape, 1), self._unigram_total)
        every = np.concatenate([totals, empty], axis=-1)  # (..., L + 1)
        longest = np.expand_dims(contexts.shape[-1] - matched, -1)
        return matched, np.take_along_axis(every, longest, -1)[..., 0]

    def _find(self, contexts: Integers, characters: Tokens) -> Integers:
        """Place of `characters` among the continuations of `contexts`; the last if never seen."""
        wanted = (contexts * self.vocabulary_size + characters).astype(self._key.dtype)
        place = self._key.searchsorted(wanted)
        return np.where(self._key[place] == wanted, place, len(self._key) - 1)

    def _context(self, place: Integers) -> Integers:
        """The context that consists of a context and the continuation at `place`."""
        return np.minimum(place + self.vocabulary_size, self._unseen)

    def _extend_contexts(self, tokens: Tokens, state: Contexts) -> Contexts:
        """Read `tokens` (B,): each context grows by one character, the longest drops out."""
        following = np.empty_like(state)  # (B, L)
        following[:, -1:] = tokens[:, None]
        following[:, :-1] = self._context(self._find(state[:, 1:], tokens[:, None]))
        return following

    def _distribution(self, contexts: Contexts) -> LogProbabilities:
        """Log-probabilities (P, V) after `contexts` (P, L), with few NumPy calls for any P and L.

        Unrolled, the recursion is a sum over lengths of weights, each times the gammas of all
        longer contexts; a histogram adds up all of them at once.
        """
        pairs, lengths = contexts.shape
        size = self.vocabulary_size
        scale = np.ones((pairs, lengths + 1))
        np.cumprod(self._gamma[contexts], axis=1, out=scale[:, 1:])  # (P, L + 1)
        start = self._first[contexts].ravel().astype(np.int64)
        children = self._first[contexts + 1].ravel() - start
        ends = children.cumsum()
        owner = np.repeat(np.arange(pairs * lengths), children)  # which context each belongs to
        place = np.arange(len(owner)) + (start - ends + children)[owner]
        cell = self._character[place] + (owner // max(lengths, 1)) * size
        share = scale[:, :-1] * self._share[contexts]  # (P, L)
        weight = self._discounted[place] * share.ravel()[owner]
        found = np.bincount(cell, weight, pairs * size).reshape(pairs, size)  # (P, V)
        return np.log(found + scale[:, -1:] * self._unigram).astype(np.float32)


def _unigrams(counts: NgramCounts) -> tuple[npt.NDArray[np.float64], int]:
    """Probabilities (V,) after the empty context, and the sum of their counts."""
    count = counts.arrays["ngram.1.count"].astype(np.float64)
    total = int(count.sum())
    taken = _discount_per_ngram(counts, 1)
    uniform = taken.sum(dtype=np.float64) / max(total, 1) if total else 1.0
    return (count - taken) / max(total, 1) + uniform / len(count), total


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
