"""Save and load a trained model as one self-contained file, `model.safetensors`.

Knows what a trained model consists of; not how to compute with it, nor how it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.errors import CheckpointError
from charrnn.models.architecture import Architecture
from charrnn.models.label_arrays import expected_label_arrays, label_arrays, read_label_arrays
from charrnn.models.members import check_networks, joined, separated
from charrnn.models.ngram import NgramSource
from charrnn.models.ngram_counts import NgramCounts, expected_tensors
from charrnn.models.ngram_tables import LAYOUT, NgramTables, expected_tables
from charrnn.storage import tensor_file
from charrnn.storage.header import Description
from charrnn.storage.runs import model_file
from charrnn.storage.sealed_file import SealedFile
from charrnn.storage.tensor_file import WRITERS, Specification, check_version
from charrnn.text.labels import Labels
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

EXPONENTS = "mixture.exponents"
NGRAM = "ngram."
"""The names of the n-gram model's arrays begin with this; they have checks of their own."""
MAX_WEIGHT = 1e15
"""With smaller weights, no network of MAX_WIDTH can overflow float32."""
FLOAT16_LIMIT = 65_520.0
"""From here on, numbers are rounded to infinity in float16."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and the record of its training.

    Attributes:
        vocabulary: its characters.
        lines: whether it was trained on lines as documents, so that texts end with EOS.
        architecture: of the network, or of each; None if there is none.
        weights: of the network: float32 arrays named and shaped as `architecture` says; of several
            as `members.joined` names them.
        ngram: the n-gram model: its counts or, if it is large, its tables; None if there is none.
        exponents: of the mixture of both, (order, 2); None unless there are both.
        training: settings, summary and history of the run; free-form JSON, for people.
        corpus: name, digest and sizes of the training text; free-form JSON, for people.
        half: whether the network's weights are stored in float16; each must be one. In memory they
            are float32.
        labels: of the lines it was trained on; None if they had none.
        networks: the number of networks.
        label_ngrams: n-grams counted label by label, see models/label_ngrams.py; None if there are
            none.
        label_exponents: of the model and of each order of these, (order + 1,); None without them.
    """

    vocabulary: Vocabulary = field(repr=False)
    lines: bool
    architecture: Architecture | None
    weights: Mapping[str, Array] = field(repr=False)
    ngram: NgramSource | None = field(default=None, repr=False)
    exponents: Array | None = field(default=None, repr=False)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    corpus: dict[str, Any] = field(default_factory=dict, repr=False)
    half: bool = False
    labels: Labels | None = field(default=None, repr=False)
    networks: int = field(default=1, repr=False)
    label_ngrams: NgramCounts | None = field(default=None, repr=False)
    label_exponents: Array | None = field(default=None, repr=False)

    @property
    def parameters(self) -> int:
        """The number of trainable parameters of all networks."""
        return self.networks * self.architecture.parameters if self.architecture else 0

    def members(self) -> list[dict[str, Array]]:
        """The weights of each network."""
        names = [*self.architecture.shapes()] if self.architecture else []
        return separated(self.weights, names, self.networks)

    def reading(
        self, encoding: str = Reading.encoding, errors: str = Reading.errors
    ) -> Reading:
        """How a corpus is read for this model: as in training."""
        return Reading(self.lines, encoding, errors, self.labels is not None)


def without_reader(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with the network that predicts the next character alone."""
    if checkpoint.architecture is None or not checkpoint.architecture.bidirectional:
        return checkpoint
    architecture = checkpoint.architecture.forward_part
    weights = {name: checkpoint.weights[name] for name in architecture.shapes()}
    return replace(checkpoint, architecture=architecture, weights=weights)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` atomically; equal checkpoints give equal bytes.

    Raises:
        CheckpointError: a weight is not finite; nothing is written.
        OutputError: the file cannot be written; an older one is intact.
    """
    require_finite(checkpoint.weights, FLOAT16_LIMIT if checkpoint.half else MAX_WEIGHT)
    dtype = np.float16 if checkpoint.half else np.float32
    arrays: dict[str, Array] = {
        name: weight.astype(dtype, copy=False) for name, weight in checkpoint.weights.items()
    }
    network = None
    if checkpoint.architecture is not None:
        network = describe_architecture(checkpoint.architecture)
        if checkpoint.half:
            network["weights"] = "float16"
    if checkpoint.ngram is not None:
        arrays.update(checkpoint.ngram.arrays)
    if checkpoint.exponents is not None:
        arrays[EXPONENTS] = checkpoint.exponents
    if checkpoint.label_ngrams is not None and checkpoint.label_exponents is not None:
        arrays.update(label_arrays(checkpoint.label_ngrams, checkpoint.label_exponents))
    require_finite(arrays, MAX_WEIGHT)
    version = _format_version(checkpoint)
    description = {
        "format_version": version,
        "kind": "model",
        "vocabulary": checkpoint.vocabulary.code_points,
        "lines": checkpoint.lines,
        "network": network,
        "ngram": None if checkpoint.ngram is None else checkpoint.ngram.description(),
        "training": checkpoint.training,
        "corpus": checkpoint.corpus,
    }
    if checkpoint.labels is not None:
        description["labels"] = checkpoint.labels.description()
    if checkpoint.networks > 1:
        description["networks"] = checkpoint.networks
    if checkpoint.label_ngrams is not None:
        description["label_ngrams"] = checkpoint.label_ngrams.description()
    if version > 1:
        description["needs"] = WRITERS[version]  # for the message of an older charrnn
    tensor_file.write(path, description, arrays)


def _format_version(checkpoint: Checkpoint) -> int:
    """The oldest format that can hold `checkpoint`."""
    network = 1 if checkpoint.architecture is None else checkpoint.architecture.format_version
    needs_new = checkpoint.half or isinstance(checkpoint.ngram, NgramTables)
    several = checkpoint.labels is not None or checkpoint.networks > 1
    return 2 if needs_new or several else network


def load_checkpoint(source: Path | SealedFile) -> Checkpoint:
    """Read a checkpoint.

    Args:
        source: a file, a run directory, or a file that is being read already.

    Raises:
        CheckpointError: the file is missing, damaged, inconsistent, or of a newer format.
    """
    file = model_file(source) if isinstance(source, Path) else source
    with tensor_file.opened(file, _expected_arrays) as (description, arrays):
        vocabulary, labels, architecture = _parts(description)
        ngram = _ngram(description.get("ngram"), arrays)
        label_ngrams, label_exponents = read_label_arrays(description, arrays)
        own = {name: array for name, array in arrays.items() if not name.startswith(NGRAM)}
        require_finite(own, MAX_WEIGHT)
    networks = _networks(description, architecture)
    weights = network_specification(architecture, networks) if architecture else ()
    return Checkpoint(
        vocabulary=vocabulary,
        lines=description["lines"],
        architecture=architecture,
        weights={name: arrays[name].astype(np.float32, copy=False) for name in weights},
        ngram=ngram,
        exponents=arrays.get(EXPONENTS),
        training=description.get("training", {}),
        corpus=description.get("corpus", {}),
        half=architecture is not None and _weights_dtype(description) == "float16",
        labels=labels,
        networks=networks,
        label_ngrams=label_ngrams,
        label_exponents=label_exponents,
    )


def require_finite(arrays: Mapping[str, Array], limit: float = np.inf) -> None:
    """Raise CheckpointError if a number in `arrays` is not finite, or is `limit` or beyond."""
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.size:
            continue
        if not -limit < float(array.min()) <= float(array.max()) < limit:  # false for NaN, too
            problem = "not finite" if not np.isfinite(array).all() else "too large"
            raise CheckpointError(f"weights {name!r} are {problem}; train with a lower rate")


def network_specification(
    architecture: Architecture, networks: int = 1, dtype: str = "float32"
) -> dict[str, Specification]:
    """The dtype and shape of every weight in a file."""
    own = {name: (dtype, shape) for name, shape in architecture.shapes().items()}
    return joined([own] * networks)


def _expected_arrays(description: Description) -> dict[str, Specification]:
    vocabulary, labels, architecture = _parts(description)
    expected: dict[str, Specification] = {}
    if architecture is not None:
        networks, dtype = _networks(description, architecture), _weights_dtype(description)
        expected.update(network_specification(architecture, networks, dtype))
    counts = description.get("ngram")
    if counts is not None:
        arrays = expected_tables if _are_tables(counts) else expected_tensors
        expected.update(arrays(counts))
        if counts["vocabulary_size"] != len(vocabulary) + len(labels or ()):
            raise CheckpointError("its n-gram model has another vocabulary")
        if architecture is not None:
            expected[EXPONENTS] = ("float32", (counts["order"], 2))
    return expected | expected_label_arrays(description, len(vocabulary), len(labels or ()))


def _weights_dtype(description: Description) -> str:
    if description["format_version"] == 1:
        return "float32"
    dtype = description["network"].get("weights", "float32")
    if dtype not in ("float16", "float32"):  # a tuple: forged values need not be hashable
        raise CheckpointError(f"its network's weights are {dtype!r}, not float16 or float32")
    return str(dtype)


def _networks(description: Description, architecture: Architecture | None) -> int:
    """How many networks it holds."""
    networks = 1 if description["format_version"] == 1 else description.get("networks", 1)
    if not isinstance(networks, int) or isinstance(networks, bool):
        raise CheckpointError("its number of networks is not an integer")
    if architecture is None and networks != 1:
        raise CheckpointError("it describes no network, but several of them")
    check_networks(networks, architecture is not None and architecture.bidirectional)
    return networks


def _ngram(description: Any, arrays: Mapping[str, Array]) -> NgramSource | None:
    if description is None:
        return None
    form = NgramTables if _are_tables(description) else NgramCounts
    return form.from_tensors(description, arrays)


def _are_tables(description: Any) -> bool:
    return isinstance(description, dict) and description.get("layout") == LAYOUT


def _parts(
    description: Description,
) -> tuple[Vocabulary, Labels | None, Architecture | None]:
    check_version(description, "model")
    points = description.get("vocabulary")
    if not isinstance(points, list):
        raise CheckpointError("its vocabulary is not a list of code points")
    vocabulary = Vocabulary(tuple(points))
    if not isinstance(description.get("lines"), bool):
        raise CheckpointError("its field lines is not true or false")
    for name in ("training", "corpus"):
        if not isinstance(description.get(name, {}), dict):
            raise CheckpointError(f"its {name} record is malformed")
    network = description.get("network")
    if network is None and description.get("ngram") is None:
        raise CheckpointError("it holds neither a network nor an n-gram model")
    labels = _labels(description)
    if network is None:
        return vocabulary, labels, None
    return vocabulary, labels, parse_architecture(network, len(vocabulary), len(labels or ()))


def _labels(description: Description) -> Labels | None:
    labels = Labels.parse(description.get("labels"))
    if labels is not None and not description["lines"]:
        raise CheckpointError("it has labels, but its texts are not lines")
    return labels


def describe_architecture(architecture: Architecture) -> dict[str, Any]:
    """The JSON object that `parse_architecture` reads."""
    network = asdict(architecture)
    del network["vocabulary_size"], network["labels"]  # recorded beside it
    if not architecture.output_layers:  # as format 1 has it
        del network["output_layers"], network["output_hidden"]
    if not architecture.bidirectional:
        del network["bidirectional"]
    return network


def parse_architecture(network: Any, vocabulary_size: int, labels: int = 0) -> Architecture:
    """The architecture that the JSON object `network` describes.

    Raises:
        CheckpointError: it does not describe a network.
        SettingsError: a size is out of range.
    """
    if not isinstance(network, dict):
        raise CheckpointError("its network is not described by an object")
    sizes = {name: network.get(name) for name in ("embedding", "hidden", "layers")}
    sizes |= {name: network.get(name, 0) for name in ("output_layers", "output_hidden")}
    cell, dropout = network.get("cell"), network.get("dropout")
    if not isinstance(cell, str) or not all(_is_integer(size) for size in sizes.values()):
        raise CheckpointError("its network has sizes that are not integers, or no cell")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float):
        raise CheckpointError("its network's dropout is not a number")
    bidirectional = network.get("bidirectional", False)
    if not isinstance(bidirectional, bool):
        raise CheckpointError("its network's field bidirectional is not true or false")
    return Architecture(
        cell,
        vocabulary_size,
        **sizes,  # type: ignore[arg-type]
        dropout=dropout,
        bidirectional=bidirectional,
        labels=labels,
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
