"""charrnn: a character-level language model. `load` opens a trained one; the rest is a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn.api import TrainedModel

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    checkpoint: str | Path | None = None, device: str = "cpu", use_ngram: bool = True
) -> TrainedModel:
    """Open a trained model.

    Args:
        checkpoint: a run directory or a model.safetensors; without it $CHARRNN_CHECKPOINT, else
            the run trained last in checkpoints/.
        device: "cpu" computes in NumPy, "cuda" in torch.
        use_ngram: False for the network alone, where there is an n-gram model beside it.

    Raises:
        CheckpointError: there is none, or it cannot be trusted.
    """
    from charrnn.api import TrainedModel

    return TrainedModel.open(checkpoint, device, use_ngram)
