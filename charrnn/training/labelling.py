"""Fit, on held-out lines, what `classify` needs: how much each model says about a text's label.

P(label | text) is proportional to P(label) and to P(text | label) by the model and by n-grams of
each order (models/label_ngrams.py), each to a power. The powers maximise the probability of the
right labels (log_linear.py). Without them a model is too sure: it takes the characters of
a text for better evidence than they are (Bennett 2000, CMU-CS-00-155).

Axes: D lines, L labels, K models, N ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from charrnn.arrays import Floats, Integers
from charrnn.inference.classification import Numbers, evidence
from charrnn.models.interface import LanguageModel
from charrnn.models.label_ngrams import ORDER, LabelNgrams, can_be_counted, count_label_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.text.documents import Documents, Ids, copy_spans
from charrnn.training.batches import Lines
from charrnn.training.data import MAX_CLASSIFIED, TrainingData
from charrnn.training.log_linear import LogLinear, best_exponents

MAX_COUNTED = 1 << 22
"""Characters, about, of evenly spread lines that are counted: some seconds."""
MAX_NGRAMS = 1_000_000
PENALTY = 5e-4
"""Weight for each line of the quadratic penalty that pulls the exponents towards equal ones."""


@dataclass(frozen=True)
class Labelling:
    """How labels are found, and how well.

    Attributes:
        accuracy: share of the held-out lines whose label was found; with `ngrams`, each half is
            read with the exponents of the other.
        ngrams: counted label by label; None if they do not help.
        exponents: (K,) of the model and of each order of `ngrams`; None without them.
    """

    accuracy: float
    ngrams: LabelNgrams | None = None
    exponents: Floats | None = None

    @property
    def source(self) -> NgramCounts | None:
        """What a checkpoint stores of `ngrams`."""
        return None if self.ngrams is None else self.ngrams.source


def fit_labelling(model: LanguageModel, order: int, data: TrainingData) -> Labelling | None:
    """How to find the labels of texts with `model` and n-grams of at most `order` (0: of none).

    None without labels, or without held-out lines.
    """
    labels, lines = data.corpus.labels, _some_lines(data)
    if labels is None or lines is None or lines.labels is None:
        return None
    first = len(data.corpus.vocabulary)
    ngrams = _count(data, min(order, ORDER))
    given = evidence(model, ngrams, lines, first + np.arange(len(labels)))
    right, prior = lines.labels.astype(np.int64) - first, labels.log_prior()
    alone = given[..., 0] + prior
    if ngrams is not None:
        halves = slice(0, None, 2), slice(1, None, 2)
        joint = np.empty_like(alone)
        for half, other in (halves, halves[::-1]):
            found = fit_exponents(given[other], right[other], prior)
            joint[half] = given[half] @ found + prior
        if _loss(joint, right) < _loss(alone, right):
            exponents = fit_exponents(given, right, prior).astype(np.float32)
            return Labelling(_accuracy(joint, right), ngrams, exponents)
    return Labelling(_accuracy(alone, right))


def _some_lines(data: TrainingData) -> Documents | None:
    """Held-out lines, so many that MAX_CLASSIFIED characters are predicted; None without any."""
    held_out = data.validation
    if held_out.labels is None or not held_out.characters:
        return None
    share = MAX_CLASSIFIED / (held_out.characters * data.label_count)
    count = len(held_out.starts)
    some = np.arange(min(count, max(1, int(share * count)))) * max(1.0, 1 / share)
    which = some.astype(np.int64)
    return Documents(
        held_out.ids, held_out.starts[which], held_out.lengths[which], held_out.labels[which]
    )


def _count(data: TrainingData, order: int) -> LabelNgrams | None:
    """The n-grams of the training text; None if none are wanted, or there are too many ids."""
    labels, size = data.corpus.labels, len(data.corpus.vocabulary)
    if labels is None or order < 1 or not can_be_counted(size, len(labels)):
        return None
    ids = _spread_lines(data.training)
    counts = count_label_ngrams(ids, order, size, len(labels), MAX_NGRAMS)
    return LabelNgrams(counts, np.array(labels.counts))


def _spread_lines(ids: Ids) -> Ids:
    """`ids` (N,), or so many of its lines that there are about MAX_COUNTED."""
    if len(ids) <= MAX_COUNTED:
        return ids
    lines = Lines.of(ids)
    some = np.arange(0, len(lines.starts), len(ids) / MAX_COUNTED).astype(np.int64)
    starts = lines.starts[some]
    return copy_spans(ids, starts, starts + lines.lengths[some])


def fit_exponents(given: Numbers, right: Integers, log_prior: Numbers) -> Numbers:
    """The exponents (K,) with which the right labels are most probable.

    Args:
        given: (D, L, K) log P(text | label) by each model.
        right: (D,) the labels.
        log_prior: (L,) log P(label).
    """
    count, _, models = given.shape
    mixture = LogLinear(
        members=torch.from_numpy(given).transpose(1, 2),
        weights=torch.from_numpy(log_prior).expand(count, -1),
        groups=torch.zeros(count, dtype=torch.int64),
        targets=torch.from_numpy(right),
    )
    equal = torch.full((1, models), 1 / models, dtype=torch.float64)
    exponents: Numbers = best_exponents(mixture, equal, PENALTY * count)[0].numpy()
    return exponents


def _log_shares(joint: Numbers) -> Numbers:
    """log P(label | text) (D, L), from log P(text, label) up to a constant."""
    joint = joint - joint.max(-1, keepdims=True)
    shares: Numbers = joint - np.log(np.exp(joint).sum(-1, keepdims=True))
    return shares


def _loss(joint: Numbers, right: Integers) -> float:
    """Mean negative log-probability of the right labels, in nats."""
    return -float(_log_shares(joint)[np.arange(len(right)), right].mean())


def _accuracy(joint: Numbers, right: Integers) -> float:
    return float((joint.argmax(-1) == right).mean())
