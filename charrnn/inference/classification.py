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

from charrnn.arrays import Integers
from charrnn.inference.scoring import Score, score_spans
from charrnn.models.interface import LanguageModel
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


def log_likelihoods(model: LanguageModel, documents: Documents, labels: Integers) -> Numbers:
    """log P(text | label) in nats of each document with each label (D, L).

    All labels of a batch of texts are read side by side.

    Args:
        model: with labels.
        documents: the texts; their own labels are ignored.
        labels: (L,) ids.
    """
    found = np.empty((len(documents.starts), len(labels)))
    size = max(1, READ_TOGETHER // len(labels))
    for at in range(0, len(found), size):
        starts, lengths = (each[at : at + size] for each in (documents.starts, documents.lengths))
        count = len(starts)
        pairs = Documents(
            documents.ids,
            np.repeat(starts, len(labels)),
            np.repeat(lengths, len(labels)),
            np.tile(labels, count),
        )
        found[at : at + count] = log_probabilities(model, pairs).reshape(count, len(labels))
    return found


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
