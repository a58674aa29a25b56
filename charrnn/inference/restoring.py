"""What a model with a reader can do, for the Python interface."""

from __future__ import annotations

from functools import cached_property

from charrnn.models.checkpoint import Checkpoint
from charrnn.models.loading import load_reader
from charrnn.models.reader import NumpyReader


class Restorer:
    """A part of `charrnn.api.TrainedModel`."""

    checkpoint: Checkpoint

    @cached_property
    def reader(self) -> NumpyReader | None:
        """Predicts each character from all others; None if the model was not trained for that."""
        return load_reader(self.checkpoint)
