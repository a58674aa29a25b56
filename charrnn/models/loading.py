"""From a checkpoint to a LanguageModel. Knows which library computes on which device."""

from __future__ import annotations

from charrnn.checkpoint import Checkpoint
from charrnn.errors import SettingsError
from charrnn.models.language_model import LanguageModel
from charrnn.models.numpy_rnn import NumpyRNN


def load_model(checkpoint: Checkpoint, device: str = "cpu") -> LanguageModel:
    """The model in `checkpoint`; on a CPU without torch.

    Raises:
        SettingsError: `device` is not there.
    """
    if device == "cpu":
        return NumpyRNN(checkpoint.architecture, dict(checkpoint.weights))
    import torch

    if not torch.cuda.is_available():
        raise SettingsError(f"--device {device}: torch finds no GPU here; use --device cpu")
    from charrnn.models.torch_rnn import TorchRNN

    return TorchRNN.from_weights(checkpoint.architecture, dict(checkpoint.weights), device)
