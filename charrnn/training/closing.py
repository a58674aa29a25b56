"""What is measured when a run ends: temperature, exponents of the mixture, labels recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from charrnn.arrays import Array
from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Exponents, Mixture
from charrnn.models.ngram import NgramModel
from charrnn.training.data import TrainingData
from charrnn.training.figures import Figures
from charrnn.training.labelling import Labelling, fit_labelling
from charrnn.training.mixing import Calibration, Fit, calibrate, fit_mixture

SHRINKAGE = 0.95
"""The end of a file is more like what comes before it than the texts that a model will be used on,
so models are too confident with the exponents that are best there; these are multiplied by this
(measured in tests/benchmarks/README.md). Held-out lines are drawn from everywhere: theirs stay."""
OUTPUT = "output"
"""The layer whose weights are scaled, in each network."""


@dataclass(frozen=True)
class Closing:
    """What was measured.

    Attributes:
        calibration: of the network; None without held-out text.
        fit: of the mixture; None without an n-gram model.
        labelling: how labels are found; None without labels.
    """

    calibration: Calibration | None = None
    fit: Fit | None = None
    labelling: Labelling | None = None

    @property
    def exponents(self) -> Exponents | None:
        """Of the mixture with the calibrated network, if it is better than that network alone."""
        return self.fit.calibrated_exponents if self.fit is not None and self.fit.helps else None

    def weights(self, weights: Mapping[str, Array]) -> dict[str, Array]:
        """A network's `weights`, calibrated.

        Its output layer is divided by the temperature, so whatever reads the model need not know of
        it, and nothing becomes slower.
        """
        scale = np.float32(1 if self.calibration is None else 1 / self.calibration.temperature)
        return {
            name: weight * scale if name.split(".")[-2] == OUTPUT else weight
            for name, weight in weights.items()
        }

    def figures(self) -> Figures:
        """What was measured, by the names that figures have in events and files."""
        figures: Figures = {}
        if self.calibration is not None:
            figures["temperature"] = self.calibration.temperature
            figures["nats_per_character"] = self.calibration.nats_per_character
        if self.fit is not None:
            figures |= self.fit.figures()
        if self.labelling is not None:
            figures["accuracy"] = self.labelling.accuracy
        return figures


def measure(
    build: Callable[[Mapping[str, Array]], LanguageModel],
    weights: Mapping[str, Array],
    ngrams: Sequence[NgramModel],
    data: TrainingData,
) -> Closing:
    """Fit the temperature and the mixture on the held-out text; find how to label its lines.

    Args:
        build: makes a network of its weights.
        weights: of the network.
        ngrams: the n-gram model, if there is one, and other versions of it; see `fit_mixture`.
        data: with the held-out text.
    """
    held_out = data.validation
    if not held_out.characters:
        return Closing()
    shrinkage = 1.0 if data.corpus.reading.lines else SHRINKAGE
    if not ngrams:
        closing = Closing(calibrate(build(weights), held_out, shrinkage))
    else:
        fit = fit_mixture(build(weights), ngrams, held_out, shrinkage)
        closing = Closing(fit.calibration, fit)
    if data.corpus.labels is None:
        return closing
    model = build(closing.weights(weights))
    if closing.exponents is not None:
        model = Mixture(model, ngrams[0], closing.exponents)
    order = ngrams[0].order if ngrams else 0
    return replace(closing, labelling=fit_labelling(model, order, data))
