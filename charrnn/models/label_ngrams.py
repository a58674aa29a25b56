"""n-grams counted label by label: how probable a text is with each label, by models of each order.

Knows ids and counts; nothing of how labels are chosen by these figures.

An n-gram model that reads the label as one more character soon forgets it. Here every character of
a line is counted as a character of that label: c with label l has the id l V + c, and so all
contexts belong to one label. EOS is the same for all. The models are those of `ngram`, divided by
the probability of the label, which the context gives away.

Axes: B texts, T positions, N positions of all texts, K orders, V vocabulary, L labels.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Array, Integers
from charrnn.models.interface import Tokens
from charrnn.models.ngram import Contexts, NgramModel
from charrnn.models.ngram_counts import MAX_VOCABULARY, NgramCounts
from charrnn.models.ngram_tables import NgramTables
from charrnn.text.vocabulary import EOS

ORDER = 6
"""Longer n-grams tell labels apart no better (tests/benchmarks/README.md)."""

Numbers: TypeAlias = npt.NDArray[np.float64]


def can_be_counted(vocabulary_size: int, labels: int) -> bool:
    """Whether there are few enough characters and labels for ids of both together."""
    return vocabulary_size * labels <= MAX_VOCABULARY


def count_label_ngrams(
    ids: Array, order: int, vocabulary_size: int, labels: int, max_ngrams: int
) -> NgramCounts:
    """Count the n-grams of labelled lines.

    Args:
        ids: (N,) documents, each a label, characters and EOS; labels are the ids from V on.
        order: at least 1, of the longest n-grams.
        vocabulary_size: V.
        labels: L; V L is at most MAX_VOCABULARY.
        max_ngrams: the rarest beyond this many are dropped.
    """
    from charrnn.models.ngram_counter import count_ngrams  # not needed to use the models

    begins = ids >= vocabulary_size
    label = ids[begins].astype(np.int64) - vocabulary_size
    of_label = label[begins.cumsum() - 1]
    pairs = _pairs(of_label, ids.astype(np.int64), vocabulary_size)[~begins]
    size = vocabulary_size * labels
    return count_ngrams(
        pairs.astype(np.uint16), order, size, max_ngrams=max(max_ngrams, size)
    )


class LabelNgrams:
    """The n-gram models of each order, for texts with a label.

    Args:
        source: the counts, of ids l V + c.
        lines: (L,) how many lines of the training text have each label.

    Attributes:
        source: the same; it is what a checkpoint stores.
    """

    def __init__(self, source: NgramCounts, lines: Integers) -> None:
        self.source = source
        self._labels, self._size = len(lines), source.vocabulary_size // len(lines)
        tables = NgramTables.from_counts(source)
        self._model = NgramModel(tables)
        self._gamma, self._probability = tables.gamma, tables.probability
        shares = lines / lines.sum()
        base = tables.unigram.reshape(self._labels, self._size).copy()
        base[:, EOS] = tables.unigram[EOS] * shares
        self._label_mass: Numbers = base.sum(-1)  # (L,)
        self._base = base / self._label_mass[:, None]  # (L, V)
        self._start_mass = self._masses_of_first_characters()  # (L,)

    @property
    def order(self) -> int:
        """K."""
        return self._model.order

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._size

    def _masses_of_first_characters(self) -> Numbers:
        """Of each label, the probability that a line's first character is one of its own (L,)."""
        if self.order == 1:  # no character is predicted from EOS
            return np.ones(self._labels)
        targets = np.arange(self._labels * self._size)
        targets = targets[targets % self._size != EOS]
        found = self._seen(np.full(len(targets), EOS), targets)
        mass: Numbers = self._label_mass * float(self._gamma[EOS])
        np.add.at(mass, targets // self._size, found)
        return mass

    def _seen(self, contexts: Integers, targets: Integers) -> Numbers:
        """What was counted of `targets` after `contexts`, without what shorter contexts add."""
        return self._probability[self._model.find(contexts, targets)].astype(np.float64)

    def initial_state(self, batch: int) -> Contexts:
        """Nothing read yet."""
        return self._model.initial_state(batch)

    def score(
        self, tokens: Tokens, targets: Tokens, labels: Integers, state: Contexts
    ) -> tuple[Numbers, Contexts]:
        """Read `tokens` (B, T) -> log-probability of `targets` by each order (B, T, K), state.

        Args:
            tokens: the first of each text is EOS or the label: both stand for its start.
            targets: (B, T) the character that follows each, or EOS.
            labels: (B,) from 0 to L - 1.
            state: before the first token.
        """
        label = np.broadcast_to(labels[:, None], tokens.shape)
        started = np.where(tokens >= self._size, EOS, tokens).astype(np.int64)
        contexts, state = self._model.read(_pairs(label, started, self._size), state)
        wanted = _pairs(label, targets.astype(np.int64), self._size)
        probability = self._base[label, targets]
        found = np.empty((*tokens.shape, self.order))
        found[..., 0] = np.log(probability)
        for order in range(2, self.order + 1):
            context = contexts[..., -(order - 1)]
            seen, gamma = self._seen(context, wanted), self._gamma[context].astype(np.float64)
            # After EOS alone, the first character is one of any label.
            starts = (context == EOS) & (order == 2)
            whole = np.where(starts, self._start_mass[label], 1)
            gamma *= np.where(starts, self._label_mass[label], 1)
            probability = (seen + gamma * probability) / whole
            found[..., order - 1] = np.log(probability)
        return found, state


def _pairs(labels: Integers, characters: Integers, size: int) -> Integers:
    """The ids of characters with labels; that of EOS does not depend on the label."""
    return np.where(characters == EOS, EOS, labels * size + characters)
