"""charrnn: a character-level language model. `load` opens a trained one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.errors import (
        CharRNNError,
        CheckpointError,
        CorpusError,
        SettingsError,
        TrainingError,
        VocabularyError,
    )

__version__ = "0.1.0"
__all__ = [
    "CharRNNError",
    "CheckpointError",
    "CorpusError",
    "SettingsError",
    "TrainedModel",
    "TrainingError",
    "VocabularyError",
    "__version__",
    "load",
]


def load(
    checkpoint: str | Path | None = None, device: str = "cpu", use_ngram: bool = True
) -> TrainedModel:
    """Open a trained model.

    Args:
        checkpoint: a run directory or a model.safetensors; without it $CHARRNN_CHECKPOINT, else
            the run trained last in checkpoints/.
        device: "cpu" computes in NumPy, "cuda" in torch.
        use_ngram: False for the network alone, without the n-gram model it is mixed with.

    Raises:
        CheckpointError: there is none, or it is damaged, inconsistent, or of a newer format.
        SettingsError: the device is not available, or there is no network and `use_ngram` is
            False.
    """
    from charrnn.api import TrainedModel

    return TrainedModel.open(checkpoint, device, use_ngram)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package alone is fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "TrainedModel":
        from charrnn.api import TrainedModel

        return TrainedModel
    from charrnn import errors

    return getattr(errors, name)
