"""Find the label of a text by Bayes' rule: P(label | text) is proportional to P(text | label).

Also compares several models as if each were a label. Knows ids and models; nothing of files.

Axes: D texts, L labels, N ids. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats, Integers
from charrnn.inference.scoring import Score, score_spans, windows
from charrnn.models.interface import LanguageModel
from charrnn.models.label_ngrams import LabelNgrams
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import LAST_CODE_POINT, SPECIALS, Vocabulary

Numbers: TypeAlias = npt.NDArray[np.float64]

READ_TOGETHER = 1 << 13
"""About so many pairs of text and label are listed at a time."""
SURROGATES = 2048
CHARACTERS = LAST_CODE_POINT + 1 - SURROGATES
"""How many characters Unicode has room for."""


@dataclass(frozen=True)
class Classification:
    """What a text probably is.

    Attributes:
        label: the most probable one.
        probability: of it.
        probabilities: of all labels.
    """

    label: str
    probability: float
    probabilities: dict[str, float]

    @classmethod
    def of(cls, names: Sequence[str], probabilities: Numbers) -> Classification:
        """From the probability of each label (L,)."""
        best = int(probabilities.argmax())
        every = dict(zip(names, probabilities.tolist(), strict=True))
        return cls(names[best], every[names[best]], every)


@dataclass(frozen=True)
class Confusion:
    """How often texts of each label were taken for each.

    Attributes:
        names: (L,) of the labels.
        counts: (L, L) how many texts of the label in the row were taken for that in the column.
    """

    names: tuple[str, ...]
    counts: Integers

    @classmethod
    def of(cls, names: Sequence[str], right: Sequence[str], found: Sequence[str]) -> Confusion:
        """From the right labels of some texts (D,) and those that were found (D,)."""
        places = {name: place for place, name in enumerate(names)}
        counts = np.zeros((len(places), len(places)), np.int64)
        rows, columns = ([places[name] for name in each] for each in (right, found))
        np.add.at(counts, (rows, columns), 1)
        return cls(tuple(names), counts)

    @property
    def texts(self) -> int:
        """The number of texts."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share of the texts whose label was found; 0 without texts."""
        return float(self.counts.trace() / max(1, self.texts))

    def precision(self) -> Numbers:
        """Of the texts taken for each label, the share that has it (L,); NaN without such texts."""
        return _shares(self.counts.diagonal(), self.counts.sum(0))

    def recall(self) -> Numbers:
        """Of the texts with each label, the share taken for it (L,); NaN without such texts."""
        return _shares(self.counts.diagonal(), self.counts.sum(1))


def _shares(parts: Integers, wholes: Integers) -> Numbers:
    shares = np.full(len(parts), np.nan)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares


@dataclass(frozen=True)
class Classifier:
    """Finds labels by a model, and by n-grams counted label by label if there are any.

    Attributes:
        model: with labels.
        ngrams: for texts with the same labels; None: the model decides alone.
        exponents: (K,) of the model and of each order of `ngrams`.
    """

    model: LanguageModel
    ngrams: LabelNgrams | None = None
    exponents: Floats | None = None

    def log_likelihoods(self, documents: Documents, labels: Integers) -> Numbers:
        """log P(text | label) of each document with each label (D, L), up to a constant for each.

        Arguments as in `evidence`.
        """
        given = evidence(self.model, self.ngrams, documents, labels)
        return given[..., 0] if self.exponents is None else given @ self.exponents


def evidence(
    model: LanguageModel, ngrams: LabelNgrams | None, documents: Documents, labels: Integers
) -> Numbers:
    """log P(text | label) in nats by the model and by each order of `ngrams` (D, L, K).

    All labels of a batch of texts are read side by side.

    Args:
        model: with labels.
        ngrams: for the same labels; None: by the model alone, K = 1.
        documents: the texts; their own labels are ignored.
        labels: (L,) ids.
    """
    count = len(labels)
    found = np.empty((len(documents.starts), count, 1 + (ngrams.order if ngrams else 0)))
    size = max(1, READ_TOGETHER // count)
    for at in range(0, len(found), size):
        starts, lengths = (each[at : at + size] for each in (documents.starts, documents.lengths))
        pairs = Documents(
            documents.ids,
            np.repeat(starts, count),
            np.repeat(lengths, count),
            np.tile(labels, len(starts)),
        )
        part = found[at : at + size]
        part[..., 0] = log_probabilities(model, pairs).reshape(-1, count)
        if ngrams is not None:
            part[..., 1:] = by_order(ngrams, pairs).reshape(len(starts), count, -1)
    return found


def by_order(ngrams: LabelNgrams, documents: Documents) -> Numbers:
    """log P(text | label) of each document by n-grams of each order (D, K), in nats."""
    assert documents.labels is not None
    totals = np.zeros((len(documents.starts), ngrams.order))
    labels = documents.labels.astype(np.int64) - ngrams.vocabulary_size  # (D,)
    state = ngrams.initial_state(0)
    for window in windows(documents, ngrams.vocabulary_size):
        rows = len(window.documents)
        state = ngrams.initial_state(rows) if window.begins else state[:rows]
        targets = documents.ids[window.positions]
        values, state = ngrams.score(window.inputs, targets, labels[window.documents], state)
        totals[window.documents] += np.where(window.counted[..., None], values, 0).sum(1)
    return totals


def log_probabilities(model: LanguageModel, documents: Documents) -> Numbers:
    """log P(text) of each document (D,), in nats."""
    totals = np.zeros(len(documents.starts))
    for scored in score_spans(model, documents):
        totals += np.bincount(scored.documents, scored.values, len(totals))
    return totals


def posterior(likelihoods: Numbers, log_prior: Numbers) -> Numbers:
    """P(label | text) (D, L), from log P(text | label) (D, L) and log P(label) (L,)."""
    joint = likelihoods + log_prior
    weights = np.exp(joint - joint.max(-1, keepdims=True))
    shares: Numbers = weights / weights.sum(-1, keepdims=True)
    return shares


def classifications(
    names: Sequence[str], likelihoods: Numbers, log_prior: Numbers
) -> list[Classification]:
    """What each text probably is; arguments as in `posterior`."""
    return [Classification.of(names, row) for row in posterior(likelihoods, log_prior)]


def by_scores(
    names: Sequence[str], scores: Sequence[Sequence[Score]], unknown: Sequence[float]
) -> list[Classification]:
    """What each text probably is, by the `scores` (L, D) of equally frequent models.

    `unknown`: what an unknown character costs each model besides UNK, see `unknown_cost`.
    """
    likelihoods = np.array(
        [
            [score.log_probability - score.unknown_characters * cost for score in each]
            for each, cost in zip(scores, unknown, strict=True)
        ]
    ).T
    return classifications(names, likelihoods, np.zeros(len(names)))


def unknown_cost(vocabulary: Vocabulary) -> float:
    """What an unknown character costs besides UNK, in nats.

    UNK stands for every character that a model does not know, and its probability is spread
    evenly over them: over all that Unicode has room for, less those it knows. So the texts of any
    alphabet have probabilities that add up to 1, and models of different vocabularies compare.
    """
    return math.log(CHARACTERS - (len(vocabulary) - len(SPECIALS)))
