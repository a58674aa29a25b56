"""What is measured when a run ends: the mixture's weights, and how well labels are recognised."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Exponents, Mixture
from charrnn.models.ngram import NgramModel
from charrnn.training.data import TrainingData
from charrnn.training.figures import Figures
from charrnn.training.labelling import Labelling, fit_labelling
from charrnn.training.mixing import Fit, fit_mixture


@dataclass(frozen=True)
class Closing:
    """What was measured.

    Attributes:
        fit: of the mixture; None without an n-gram model.
        labelling: how labels are found; None without labels.
    """

    fit: Fit | None
    labelling: Labelling | None

    @property
    def exponents(self) -> Exponents | None:
        """Of the mixture, if it is better than the network alone."""
        return self.fit.exponents if self.fit is not None and self.fit.helps else None

    def figures(self) -> Figures:
        """What is known of labels, by the names that figures have in events and files."""
        return {} if self.labelling is None else {"accuracy": self.labelling.accuracy}


def measure(network: LanguageModel, ngram: NgramModel | None, data: TrainingData) -> Closing:
    """Fit the mixture of both models on the held-out text, and classify its lines."""
    fit = None if ngram is None else fit_mixture(network, ngram, data.validation)
    model = network
    if ngram is not None and fit is not None and fit.helps:
        model = Mixture(network, ngram, fit.exponents)
    return Closing(fit, fit_labelling(model, 0 if ngram is None else ngram.order, data))
