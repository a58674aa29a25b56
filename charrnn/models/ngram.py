"""Interpolated modified Kneser-Ney n-gram model of characters, as a LanguageModel.

Knows nothing of texts, of how n-grams are counted or stored, or of mixtures.

p(c | context) = (count(context c) - discount) / total(context) + gamma(context) p(c | shorter
context), where a context that was never continued has gamma = 1: the shorter one decides alone. The
empty context is interpolated with the uniform distribution over all V ids, so every id is possible.
As gamma is the probability that the discounts take away, probabilities add up to 1.
Sources: Chen & Goodman 1999, section 3; Heafield et al. 2013, section 3.

Labels are counted as characters, the last ones, but never predicted: the probabilities of the
others are divided by their sum.

Contexts and places are numbered as in `ngram_tables`. The state of a text is the contexts that it
ends with, longest first: (B, L), L = order - 1.

Axes: B texts, T positions, L lengths of context, P pairs of text and position, V vocabulary, V'
vocabulary and labels, F continuations of all contexts at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.models.interface import LogProbabilities, Rows, Tokens
from charrnn.models.ngram_counts import MAX_NGRAMS, NgramCounts
from charrnn.models.ngram_tables import NgramTables

Contexts: TypeAlias = Integers
NgramSource: TypeAlias = NgramCounts | NgramTables

BLOCK_CELLS = 1 << 18
"""Probabilities computed at a time; bounds the memory of `forward`."""


@dataclass(frozen=True)
class _Families:
    """The continuations of some contexts (P, L).

    Attributes:
        owner: the context that each belongs to, as an index into all P * L of them (F,).
        place: of each in the tables (F,).
        cell: row and character of each, as an index into P * V cells (F,).
    """

    owner: Integers
    place: Integers
    cell: Integers


class NgramModel:
    """The n-gram model as a LanguageModel; 14 bytes of memory per n-gram, or none if it is mapped.

    Feed EOS first: it stands for the start of a text, and no context reaches back beyond it.

    Args:
        source: tables, or the counts that they are computed from.
        labels: how many of the last ids are labels.

    Attributes:
        source: the same; it is what a checkpoint stores.
    """

    def __init__(self, source: NgramSource, labels: int = 0) -> None:
        self.source = source
        self._labels = labels
        tables = source if isinstance(source, NgramTables) else NgramTables.from_counts(source)
        self._size, self._order = tables.vocabulary_size, tables.order
        self._unseen, self._nowhere = tables.contexts, tables.places
        self._unigram, self._first, self._gamma = tables.unigram, tables.first, tables.gamma
        self._character, self._probability = tables.character, tables.probability
        self._last_step: tuple[Contexts, _Families] | None = None

    @classmethod
    def build(
        cls,
        ids: Array,
        order: int,
        vocabulary_size: int,
        *,
        max_ngrams: int = MAX_NGRAMS,
        sentence_start: bool = True,
        labels: int = 0,
    ) -> NgramModel:
        """The model of a text; see `count_ngrams` for arguments, limits and errors."""
        from charrnn.models.ngram_counter import count_ngrams  # not needed to use a model

        return cls(
            count_ngrams(
                ids, order, vocabulary_size, max_ngrams=max_ngrams, sentence_start=sentence_start
            ),
            labels,
        )

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._size - self._labels

    @property
    def order(self) -> int:
        """One more than the longest context, in characters."""
        return self._order

    def initial_state(self, batch: int) -> Contexts:
        """Nothing read yet (B, L)."""
        return np.full((batch, self.order - 1), self._unseen)

    def select(self, state: Contexts, rows: Rows) -> Contexts:
        """The state of the texts `rows` alone."""
        return state[rows]

    def step(self, tokens: Tokens, state: Contexts) -> tuple[LogProbabilities, Contexts]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        state = self._extend_contexts(tokens, state)
        families = self._families(state)
        self._last_step = state, families
        return self._distribution(state, families), state

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

        With `predict`, `predict_targets` and `matched` this is `forward` and `score` in parts,
        for callers that need several of them. A state is the contexts after its last character.
        """
        contexts = np.empty((*tokens.shape, self.order - 1), np.int64)  # (B, T, L)
        contexts[..., -1:] = tokens[..., None]
        for length in range(self.order - 3, -1, -1):
            shorter = contexts[..., length + 1]
            shorter = np.concatenate([state[:, None, length + 1], shorter[:, :-1]], axis=1)
            place = self.find(shorter[:, : tokens.shape[1]], tokens)
            np.minimum(place + self._size, self._unseen, out=contexts[..., length])
        return contexts, contexts[:, -1] if tokens.shape[1] else state

    def predict(self, contexts: Contexts) -> LogProbabilities:
        """Log-probabilities (..., V) in nats of every character after `contexts` (..., L)."""
        pairs = contexts.reshape(prod(contexts.shape[:-1]), contexts.shape[-1])  # (P, L)
        found = np.empty((len(pairs), self.vocabulary_size), np.float32)  # (P, V)
        size = max(1, BLOCK_CELLS // self.vocabulary_size)
        for start in range(0, len(pairs), size):
            block = pairs[start : start + size]
            found[start : start + size] = self._distribution(block, self._families(block))
        return found.reshape(*contexts.shape[:-1], self.vocabulary_size)

    def predict_targets(self, contexts: Contexts, targets: Tokens) -> LogProbabilities:
        """Log-probability in nats of `targets` (...) after `contexts` (..., L)."""
        if self._labels:
            wanted = targets[..., None].astype(np.intp)
            return np.take_along_axis(self.predict(contexts), wanted, -1)[..., 0]
        probability = self._unigram[targets]  # (...)
        for length in range(contexts.shape[-1] - 1, -1, -1):
            context = contexts[..., length]
            probability *= self._gamma[context]
            probability += self._probability[self.find(context, targets)]
        return np.log(probability).astype(np.float32)

    def matched(self, contexts: Contexts) -> Integers:
        """The length of the longest of `contexts` (..., L) that was ever continued (...).

        0 to order - 1; it does not depend on what follows.
        """
        # All suffixes of a known context are known.
        continued = self._first[contexts + 1] != self._first[contexts]  # (..., L)
        length: Integers = np.count_nonzero(continued, axis=-1)
        return length

    def find(self, contexts: Integers, characters: Tokens) -> Integers:
        """Place of `characters` among the continuations of `contexts`; the last if never seen.

        A binary search in all families at once (both arguments and the result have one shape).
        """
        before = self._first[contexts].astype(np.int64) - 1  # its character is less than wanted
        end = self._first[contexts + 1].astype(np.int64)
        step = 1 << int((end - before).max(initial=1) - 1).bit_length()
        while step := step >> 1:
            probe = before + step
            less = self._character.take(probe, mode="clip") < characters
            less &= probe < end
            np.copyto(before, probe, where=less)
        place = before + 1
        found = self._character.take(place) == characters
        found &= place < end
        return np.where(found, place, self._nowhere)

    def _extend_contexts(self, tokens: Tokens, state: Contexts) -> Contexts:
        """Read `tokens` (B,): each context grows by one character, the longest drops out.

        The grown contexts are among the continuations, which the last step has looked up already.
        """
        last = self._last_step
        families = last[1] if last and last[0] is state else self._families(state)
        batch, lengths = state.shape
        wanted = tokens + np.arange(batch) * self._size  # cells (B,)
        row = families.owner // max(lengths, 1)
        hits = np.flatnonzero(families.cell == wanted[row])
        # A context at index i is continued by the one at i - 1 in the new state; the longest of a
        # row would be at the end of the row before, where `tokens` belong.
        following = np.full(batch * lengths + 1, self._unseen)
        following[families.owner[hits]] = families.place[hits] + self._size
        contexts = following[1:].reshape(batch, lengths)
        contexts[:, -1:] = tokens[:, None]
        return contexts

    def _families(self, contexts: Contexts) -> _Families:
        """The continuations of `contexts` (P, L)."""
        pairs, lengths = contexts.shape
        start = self._first[contexts].ravel().astype(np.int64)
        children = self._first[contexts + 1].ravel() - start
        ends = children.cumsum()
        owner = np.repeat(np.arange(pairs * lengths), children)
        place = np.arange(len(owner)) + (start - ends + children)[owner]
        cell = self._character[place] + (owner // max(lengths, 1)) * self._size
        return _Families(owner, place, cell)

    def _distribution(self, contexts: Contexts, families: _Families) -> LogProbabilities:
        """Log-probabilities (P, V) after `contexts` (P, L), with few NumPy calls for any P and L.

        Unrolled, the recursion is a sum over lengths of probabilities, each times the gammas of all
        longer contexts; a histogram adds up all of them at once.
        """
        pairs, lengths = contexts.shape
        scale = np.ones((pairs, lengths + 1))
        np.cumprod(self._gamma[contexts], axis=1, out=scale[:, 1:])  # (P, L + 1)
        weight = self._probability[families.place] * scale[:, :-1].ravel()[families.owner]
        found = np.bincount(families.cell, weight, pairs * self._size)
        found = found.reshape(pairs, self._size)  # (P, V')
        shares = found + scale[:, -1:] * self._unigram
        if self._labels:
            shares = shares[:, : -self._labels]
            shares = shares / shares.sum(-1, keepdims=True)
        return np.log(shares).astype(np.float32)
