"""The figures of a saved model, by the names that they have in files and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from charrnn.arrays import Array
from charrnn.models.members import separated
from charrnn.models.torch_rnn import TorchRNN
from charrnn.text.documents import Documents
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.settings import Settings
from charrnn.training.validation import mean_loss

Figures: TypeAlias = dict[str, float | list[float] | None]


def figures_so_far(settings: Settings, loss: float | None) -> Figures:
    """The figure of a network with the validation loss `loss`; of a reader, in pseudo-nats."""
    pseudo = "pseudo_" if settings.bidirectional else ""
    return {f"{pseudo}nats_per_character": loss}


def figures_of_each(
    trainer: AnyTrainer, weights: Mapping[str, Array], held_out: Documents
) -> Figures:
    """The figure of each network alone, as trained, if there are several.

    Args:
        trainer: of the networks.
        weights: of all of them.
        held_out: text to measure them on.
    """
    networks = trainer.settings.networks
    if networks == 1 or not held_out.characters:
        return {}
    architecture, device = trainer.network.architecture, str(trainer.network.output.weight.device)
    members = separated(weights, [*architecture.shapes()], networks)
    models = [TorchRNN.from_weights(architecture, each, device) for each in members]
    losses = [mean_loss([model.network], held_out, lambda: None) for model in models]
    return {"each_nats_per_character": losses}
