"""What is measured when a run ends: the mixture's weights, and how well labels are recognised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn.inference.classification import log_likelihoods
from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Exponents, Mixture
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents
from charrnn.training.data import MAX_CLASSIFIED, TrainingData
from charrnn.training.figures import Figures
from charrnn.training.mixing import Fit, fit_mixture

MAX_PREDICTIONS = MAX_CLASSIFIED
"""Held-out lines are classified until so many characters are predicted: some seconds."""


@dataclass(frozen=True)
class Closing:
    """What was measured.

    Attributes:
        fit: of the mixture; None without an n-gram model.
        accuracy: share of the held-out lines whose label was recognised; None without labels.
    """

    fit: Fit | None
    accuracy: float | None

    @property
    def exponents(self) -> Exponents | None:
        """Of the mixture, if it is better than the network alone."""
        return self.fit.exponents if self.fit is not None and self.fit.helps else None

    def figures(self) -> Figures:
        """What is known of labels, by the names that figures have in events and files."""
        return {} if self.accuracy is None else {"accuracy": self.accuracy}


def measure(network: LanguageModel, ngram: NgramModel | None, data: TrainingData) -> Closing:
    """Fit the mixture of both models on the held-out text, and classify its lines."""
    fit = None if ngram is None else fit_mixture(network, ngram, data.validation)
    model = network
    if ngram is not None and fit is not None and fit.helps:
        model = Mixture(network, ngram, fit.exponents)
    return Closing(fit, accuracy(model, data))


def accuracy(model: LanguageModel, data: TrainingData) -> float | None:
    """The share of the held-out lines whose label is the most probable one by Bayes' rule.

    None without labels, or without held-out lines.
    """
    labels, held_out = data.corpus.labels, data.validation
    if labels is None or held_out.labels is None or not held_out.characters:
        return None
    first = len(data.corpus.vocabulary)
    share = MAX_PREDICTIONS / (held_out.characters * len(labels))
    count = len(held_out.starts)
    some = np.arange(min(count, max(1, int(share * count)))) * max(1.0, 1 / share)
    which = some.astype(np.int64)
    texts = Documents(held_out.ids, held_out.starts[which], held_out.lengths[which])
    found = log_likelihoods(model, texts, first + np.arange(len(labels))) + labels.log_prior()
    return float((found.argmax(-1) == held_out.labels[which] - first).mean())
