"""Describe a network: its cell, its sizes, the name and shape of every weight.

Knows nothing of the weights' values or of the libraries that compute with them. Weight names are
torch's own, so a state dict, a checkpoint and the NumPy model share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from charrnn.errors import SettingsError
from charrnn.models.cells import CELLS

MAX_LAYERS = 64
MAX_WIDTH = 65_536


@dataclass(frozen=True)
class Architecture:
    """Embedding, stacked recurrent layers, linear output.

    Attributes:
        cell: a key of CELLS.
        vocabulary_size: V, ids including UNK and EOS.
        embedding: E, width of a character's vector.
        hidden: H, width of each recurrent layer.
        layers: number of recurrent layers.
        dropout: probability of zeroing a unit between layers and before the output, in training.

    Raises:
        SettingsError: an unknown cell or a value out of range.
    """

    cell: str
    vocabulary_size: int
    embedding: int
    hidden: int
    layers: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise SettingsError(f"unknown cell {self.cell!r}; choose one of {', '.join(CELLS)}")
        for name, high in (
            ("vocabulary_size", MAX_WIDTH),
            ("embedding", MAX_WIDTH),
            ("hidden", MAX_WIDTH),
            ("layers", MAX_LAYERS),
        ):
            value = getattr(self, name)
            if not 1 <= value <= high:
                raise SettingsError(f"{name} must be 1 to {high:,}, not {value:,}")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight's name and shape."""
        rows = len(CELLS[self.cell].gates) * self.hidden
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (self.vocabulary_size, self.embedding)
        }
        for layer in range(self.layers):
            width = self.hidden if layer else self.embedding
            shapes[f"rnn.weight_ih_l{layer}"] = (rows, width)
            shapes[f"rnn.weight_hh_l{layer}"] = (rows, self.hidden)
            shapes[f"rnn.bias_ih_l{layer}"] = (rows,)
            shapes[f"rnn.bias_hh_l{layer}"] = (rows,)
        shapes["output.weight"] = (self.vocabulary_size, self.hidden)
        shapes["output.bias"] = (self.vocabulary_size,)
        return shapes

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(prod(shape) for shape in self.shapes().values())
