"""Estimate the memory that a run takes. Knows sizes only: it measures nothing.

Axes: B texts, T positions, V vocabulary entries.
"""

from __future__ import annotations

from charrnn.models.architecture import Architecture
from charrnn.training.settings import Settings

PROGRAM = 300 << 20
"""Bytes of Python, torch and the rest before a run starts."""
PER_PARAMETER = 40
"""Bytes: weights, gradients and their parts, optimisers, rounded weights, the best so far."""
PER_UNIT = 40
"""Bytes of each layer's unit for each character of a batch: gates, states, their gradients."""
PER_LOGIT = 16
"""Bytes of each entry of (B, T, V): logits, their logarithms, gradients."""
PER_COUNTED = 60
"""Bytes of each character that n-grams are counted in,"""
MAX_COUNTING = 600 << 20
"""but not more than this: long texts are counted in blocks."""
PREDICTING = 250 << 20
"""Bytes of predictions in validations and in the fit of the mixture, which read in blocks."""


def estimate_memory(settings: Settings, architecture: Architecture, counted: int) -> int:
    """About how many bytes `train` takes at most.

    Args:
        settings: of the run.
        architecture: of each network.
        counted: characters in which n-grams are counted.
    """
    positions = settings.batch * settings.chunk
    activations = positions * (
        PER_UNIT * settings.layers * settings.hidden + PER_LOGIT * architecture.vocabulary_size
    )
    training = PER_PARAMETER * settings.networks * architecture.parameters
    training += max(settings.networks * activations, PREDICTING)
    return PROGRAM + max(training, min(PER_COUNTED * counted, MAX_COUNTING))
