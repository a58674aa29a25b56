"""Build the LanguageModel of a checkpoint, with the library that suits the device."""

from __future__ import annotations

from collections.abc import Mapping

from charrnn.arrays import Array
from charrnn.errors import Parameter, SettingsError
from charrnn.models.architecture import Architecture
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.ensemble import Ensemble, numpy_network
from charrnn.models.interface import LanguageModel
from charrnn.models.members import separated
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel
from charrnn.models.reader import NumpyReader


def load_model(
    checkpoint: Checkpoint, device: str = "cpu", use_ngram: bool = True
) -> LanguageModel:
    """The model in `checkpoint`; on a CPU, without importing torch.

    Args:
        checkpoint: one network or several, an n-gram model, or both.
        device: where the network computes: "cpu" or "cuda".
        use_ngram: False for the network alone.

    Raises:
        SettingsError: `device` is not available, or there is no network and `use_ngram` is False.
    """
    if checkpoint.architecture is None:
        if checkpoint.ngram is None or not use_ngram:
            raise SettingsError(
                "this model has no network, only an n-gram model; leave out ",
                Parameter("no_ngram"),
                " (in Python: use_ngram=True)",
            )
        return NgramModel(checkpoint.ngram, len(checkpoint.labels or ()))
    network = _load_network(checkpoint, checkpoint.architecture, device)
    if checkpoint.ngram is None or checkpoint.exponents is None or not use_ngram:
        return network
    ngram = NgramModel(checkpoint.ngram, len(checkpoint.labels or ()))
    return Mixture(network, ngram, checkpoint.exponents)


def load_reader(checkpoint: Checkpoint) -> NumpyReader | None:
    """The reader in `checkpoint`, which computes on a CPU; None if there is none."""
    architecture = checkpoint.architecture
    if architecture is None or not architecture.bidirectional:
        return None
    return NumpyReader(architecture, dict(checkpoint.weights))


def _load_network(checkpoint: Checkpoint, architecture: Architecture, device: str) -> LanguageModel:
    if device == "cpu":
        return numpy_network(architecture, checkpoint.members())
    import torch

    if not torch.cuda.is_available():
        name = Parameter("device")
        raise SettingsError(name, f" {device}: torch finds no GPU here; use ", name, " cpu")
    return torch_network(architecture, checkpoint.weights, checkpoint.networks, device)


def torch_network(
    architecture: Architecture, weights: Mapping[str, Array], networks: int, device: str
) -> LanguageModel:
    """One network or several as one model, in torch, from weights named as in a checkpoint."""
    from charrnn.models.torch_rnn import TorchRNN

    members = separated(weights, [*architecture.shapes()], networks)
    models = [TorchRNN.from_weights(architecture, each, device) for each in members]
    return Ensemble(models) if networks > 1 else models[0]
