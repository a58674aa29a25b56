"""What a model that adapts to what it reads can do, for the Python interface."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from charrnn.inference.scoring import Scorer, Stream
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel

Model = TypeVar("Model", bound="Adapter")


class Adapter:
    """A part of `charrnn.api.TrainedModel`."""

    checkpoint: Checkpoint
    model: LanguageModel
    learner: Stream | None

    def adapting(self: Model, rate: float = 1.0) -> Model:
        """A model that starts as this one and learns from each text that it scores.

        Each character is scored before it is learnt; all texts and corpora that it scores are one
        stream. It writes like what it has read. This model, and its file, stay as they are.

        Args:
            rate: of learning, as a multiple of the default; 0 learns nothing.

        Raises:
            SettingsError: `rate` is out of range.
        """
        from charrnn.inference.adaptive import AdaptiveModel, Rates

        rates = Rates().times(rate)
        learner = AdaptiveModel(self.model, self.checkpoint, rates)
        adapting: Model = replace(self, learner=learner)  # type: ignore[type-var]
        return adapting

    @property
    def scorer(self) -> Scorer:
        """What scores, and learns from it if the model adapts."""
        return self.learner or self.model

    @property
    def adapted_model(self) -> LanguageModel:
        """What predicts: the model, or what it has become so far."""
        return self.learner.frozen() if self.learner else self.model

    @property
    def adapted_checkpoint(self) -> Checkpoint:
        """The checkpoint with what the network has learnt; n-grams and exponents as trained."""
        return self.learner.updated(self.checkpoint) if self.learner else self.checkpoint
