"""Describe a network: its cell, its sizes, the name and shape of every weight.

Knows nothing of the weights' values or of the libraries that compute with them. Weight names are
torch's own, so a state dict, a checkpoint and the NumPy model share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

from charrnn.errors import SettingsError
from charrnn.models.cells import CELLS

MAX_LAYERS = 64
MAX_WIDTH = 65_536


@dataclass(frozen=True)
class Architecture:
    """Embedding, stacked recurrent layers, feed-forward layers, linear output.

    A feed-forward layer computes x + tanh(W x + b), or tanh(W x + b) where its width is not that of
    its input x. With tanh, what the layers pass on stays as small as hidden states are; with the
    residual, a deep network starts as the same network without these layers.

    A bidirectional network has two more parts, which make it a reader: recurrent layers that read
    the text from its end, and an output above both stacks (models/reader.py). What is left without
    them is a network that predicts the next character.

    Attributes:
        cell: a key of CELLS.
        vocabulary_size: V, ids including UNK and EOS.
        embedding: E, width of a character's vector.
        hidden: H, width of each recurrent layer.
        layers: number of recurrent layers.
        dropout: probability of zeroing a unit between layers and before the output, in training.
        output_layers: number of feed-forward layers between the recurrent ones and the output.
        output_hidden: width of each; 0 if there are none.
        bidirectional: whether it is a reader, too.
        labels: L, ids after those of the vocabulary, which are read and never predicted.

    Raises:
        SettingsError: an unknown cell or a value out of range.
    """

    cell: str
    vocabulary_size: int
    embedding: int
    hidden: int
    layers: int
    dropout: float = 0.0
    output_layers: int = 0
    output_hidden: int = 0
    bidirectional: bool = False
    labels: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise SettingsError(f"unknown cell {self.cell!r}; choose one of {', '.join(CELLS)}")
        deep = self.output_layers != 0
        for name, low, high in (
            ("vocabulary_size", 1, MAX_WIDTH),
            ("embedding", 1, MAX_WIDTH),
            ("hidden", 1, MAX_WIDTH),
            ("layers", 1, MAX_LAYERS),
            ("output_layers", 0, MAX_LAYERS),
            ("output_hidden", int(deep), MAX_WIDTH if deep else 0),
            ("labels", 0, MAX_WIDTH - self.vocabulary_size),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} must be {low} to {high:,}, not {value:,}")
        if self.bidirectional and self.labels:
            raise SettingsError("a reader has no labels")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight's name and shape."""
        shapes: dict[str, tuple[int, ...]] = {
            "embedding.weight": (self.vocabulary_size + self.labels, self.embedding)
        }
        shapes |= self._recurrent("rnn") | self._outputs("output", self.hidden)
        if self.bidirectional:
            shapes |= self._recurrent("backward") | self._outputs("reader", 2 * self.hidden)
        return shapes

    def _recurrent(self, name: str) -> dict[str, tuple[int, ...]]:
        """The weights of a stack of recurrent layers."""
        rows = len(CELLS[self.cell].gates) * self.hidden
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.layers):
            width = self.hidden if layer else self.embedding
            shapes[f"{name}.weight_ih_l{layer}"] = (rows, width)
            shapes[f"{name}.weight_hh_l{layer}"] = (rows, self.hidden)
            shapes[f"{name}.bias_ih_l{layer}"] = (rows,)
            shapes[f"{name}.bias_hh_l{layer}"] = (rows,)
        return shapes

    def _outputs(self, name: str, width: int) -> dict[str, tuple[int, ...]]:
        """The weights of feed-forward layers above `width` units, and of the output."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.output_layers):
            shapes[f"{name}_layers.{layer}.weight"] = (self.output_hidden, width)
            shapes[f"{name}_layers.{layer}.bias"] = (self.output_hidden,)
            width = self.output_hidden
        shapes[f"{name}.weight"] = (self.vocabulary_size, width)
        shapes[f"{name}.bias"] = (self.vocabulary_size,)
        return shapes

    @property
    def forward_part(self) -> Architecture:
        """The network that predicts the next character."""
        return replace(self, bidirectional=False)

    @property
    def format_version(self) -> int:
        """The oldest file format that can describe this network."""
        needs_new = self.output_layers or self.bidirectional or self.labels
        return max(CELLS[self.cell].format_version, 2 if needs_new else 1)

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(prod(shape) for shape in self.shapes().values())
