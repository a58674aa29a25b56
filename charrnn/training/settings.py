"""Every hyperparameter of training and its default. Knows neither torch nor the command line.

The defaults are the best of those measured in tests/benchmarks/README.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from charrnn.errors import Flag, Parameter, SettingsError
from charrnn.models.architecture import Architecture
from charrnn.models.members import check_networks

PRECISIONS = ("float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps")
NO_NETWORK = "none"
"""The cell to give for an n-gram model alone."""
MAX_NGRAM_ORDER = 16
MAX_VALIDATIONS = 10_000
"""A history of this many still fits into a checkpoint's header."""
FEWEST_RECENT = 1_000
RANGES = (
    (("layers", "hidden", "embedding", "chunk", "batch", "min_count"), 1, math.inf),
    (("steps", "validate_every"), 1, math.inf),
    (("output_layers", "output_hidden", "recent"), 0, math.inf),
    (("ngram_order",), 0, MAX_NGRAM_ORDER),
    (("muon_rate", "rate", "clip"), 1e-9, 1e9),
    (("weight_decay", "activation_penalty"), 0, 1e9),
    (("patience", "seed"), 0, 2**63 - 1),
    (("warmup",), 0, 1),
    (("dropout", "validation"), 0, 0.95),
)
"""Fields of Settings, their lowest and their highest value."""
ADDED = {"added": True}
"""Metadata of a dataclass's field that charrnn 0.1 did not have: a file in which it has its default
leaves it out, and so remains one that charrnn 0.1 can read."""


def recorded(value: Any) -> dict[str, Any]:
    """The fields of the dataclass `value` as a file records them; see ADDED."""
    return {
        each.name: getattr(value, each.name)
        for each in fields(value)
        if not (each.metadata.get("added") and getattr(value, each.name) == each.default)
    }


@dataclass(frozen=True)
class Settings:
    """All hyperparameters: on one machine, equal settings and an equal corpus give equal runs.

    Attributes:
        cell: a key of CELLS, or NO_NETWORK.
        layers: number of recurrent layers.
        hidden: width of each.
        embedding: width of a character's vector.
        output_layers: number of feed-forward layers between the recurrent ones and the output.
        output_hidden: width of each; 0: as wide as the recurrent layers.
        networks: how many networks there are in the model, all of these sizes.
        bidirectional: whether to train a reader, too: each character from those on both sides.
        dropout: probability of zeroing a unit between layers and before the output.
        recent: the network reads so many characters at the end of the training text; 0: all.
        chunk: T, characters per step of truncated back-propagation through time.
        batch: B, sequences read in parallel.
        steps: updates of the weights in the whole run.
        muon_rate: peak rate of Muon, which trains the hidden layers' matrices.
        rate: peak rate of AdamW, which trains everything else.
        weight_decay: of matrices, decoupled.
        activation_penalty: weight of the mean squares of the last layer's states and of their
            changes, added to the loss; see `losses.activation`.
        clip: the gradient's global L2 norm is clipped to this.
        warmup: fraction of the run in which the rates rise linearly.
        validate_every: steps between validations.
        patience: validations without a new best after which training stops; 0 for never.
        validation: fraction of each corpus that is held out.
        min_count: characters that occur less often are UNK.
        ngram_order: of the n-gram model in the mixture; 0 for none.
        precision: of the matrix products in training, a member of PRECISIONS.
        seed: of initial weights, data order and dropout.

    Raises:
        SettingsError: a value is out of range.
    """

    cell: str = "lstm"
    layers: int = 2
    hidden: int = 256
    embedding: int = 64
    output_layers: int = field(default=0, metadata=ADDED)
    output_hidden: int = field(default=0, metadata=ADDED)
    bidirectional: bool = field(default=False, metadata=ADDED)
    networks: int = field(default=1, metadata=ADDED)
    dropout: float = 0.05
    recent: int = field(default=0, metadata=ADDED)
    chunk: int = 48
    batch: int = 32
    steps: int = 3000
    muon_rate: float = 0.02
    rate: float = 6e-3
    weight_decay: float = 0.01
    activation_penalty: float = field(default=0.0, metadata=ADDED)
    clip: float = 1.0
    warmup: float = 0.05
    validate_every: int = 300
    patience: int = 10
    validation: float = 0.005
    min_count: int = 1
    ngram_order: int = 8
    precision: str = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        for names, low, high in RANGES:
            for name in names:
                self._require(name, low, high)
        if 0 < self.recent < FEWEST_RECENT:
            raise SettingsError(
                Parameter("recent"), f" must be 0 or {FEWEST_RECENT:,} or more, not {self.recent:,}"
            )
        if self.steps // self.validate_every > MAX_VALIDATIONS:
            raise SettingsError(
                Parameter("validate_every"),
                f" {self.validate_every} makes more than {MAX_VALIDATIONS:,} "
                f"validations; {math.ceil(self.steps / MAX_VALIDATIONS)} or more is possible"
            )
        if self.precision not in PRECISIONS:
            raise SettingsError(
                f"unknown precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}"
            )
        check_networks(self.networks, self.bidirectional)
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.bidirectional and self.cell == NO_NETWORK:
            raise SettingsError("--bidirectional trains a network; leave out --cell none")
        if self.bidirectional and self.activation_penalty:
            raise SettingsError(
                "give ", Flag("bidirectional"), " or ", Parameter("activation_penalty"),
                ", not both",
            )
        if self.networks > 1 and self.cell == NO_NETWORK:
            raise SettingsError(
                Parameter("networks"), f" {self.networks} contradicts ", Parameter("cell"), " none"
            )
        if self.output_hidden and not self.output_layers:
            raise SettingsError(
                Parameter("output_hidden"),
                " is the width of ",
                Parameter("output_layers"),
                "; give both",
            )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of all hyperparameters."""
        return tuple(each.name for each in fields(cls))

    def architecture(self, vocabulary_size: int, labels: int = 0) -> Architecture:
        """The network for this many characters and labels."""
        return Architecture(
            self.cell,
            vocabulary_size,
            self.embedding,
            self.hidden,
            self.layers,
            self.dropout,
            self.output_layers,
            (self.output_hidden or self.hidden) if self.output_layers else 0,
            self.bidirectional,
            labels,
        )

    def _require(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high or value == math.inf:  # false for NaN, too
            to = f"to {_in_full(high)}" if math.isfinite(high) else "or more"
            raise SettingsError(
                Parameter(name), f" must be {_in_full(low)} {to}, not {_in_full(value)}"
            )


def _in_full(number: float) -> str:
    """Whole numbers with all their digits, others in short form."""
    whole = isinstance(number, int) or (number.is_integer() and number < 1e15)
    return f"{int(number):,}" if whole else f"{number:g}"


DEFAULTS = Settings()
