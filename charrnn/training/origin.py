"""The model that a run starts from (`--from`): its sizes, its weights, its figure.

The run's vocabulary has the old model's characters and those of the new text. Ids shift where a new
character stands between two old ones, so weights are brought to the new ids.

Axes: V entries of the run's vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.errors import Flag, Parameter, SettingsError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.architecture import Architecture
from charrnn.models.checkpoint import Checkpoint, load_checkpoint
from charrnn.models.loading import load_model
from charrnn.storage.runs import MODEL_FILE, find_checkpoint
from charrnn.text.corpus import Corpus, load_corpus
from charrnn.text.documents import Documents, copy_spans
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS, UNK, Vocabulary

FIXED = ("cell", "layers", "hidden", "embedding", "output_layers", "output_hidden", "bidirectional")
"""The fields of Settings that the old model's architecture decides."""
BY_CHARACTER = ("embedding.weight", "output.weight", "output.bias", "reader.weight", "reader.bias")
"""Weights with a row for each character."""
MEASURED = 50_000
"""The old model is measured on at most so many characters of the new held-out text."""


@dataclass(frozen=True)
class Origin:
    """A trained model that a run starts from.

    Attributes:
        path: of its run directory or file.
        checkpoint: the model.
        architecture: of its network.
        digest: SHA-256 of its file.
    """

    path: Path
    checkpoint: Checkpoint
    architecture: Architecture
    digest: str

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of Settings that it decides."""
        return decided_by(self.checkpoint, self.architecture)

    def weights(self, vocabulary: Vocabulary) -> list[dict[str, Array]]:
        """Each network's weights for `vocabulary`: a new character starts with those of UNK."""
        rows = self._old_ids(vocabulary)
        return [
            {name: weight[rows] if name in BY_CHARACTER else weight for name, weight in own.items()}
            for own in self.checkpoint.members()
        ]

    def new_characters(self, vocabulary: Vocabulary) -> str:
        """The characters of `vocabulary` that it does not know."""
        known = {*self.checkpoint.vocabulary.code_points}
        return "".join(chr(point) for point in vocabulary.code_points if point not in known)

    def measure(self, documents: Documents, vocabulary: Vocabulary) -> float | None:
        """Its nats per character, of network and n-gram model together, on encoded documents.

        A character that it does not know is UNK. None where there is nothing to measure on.
        """
        sample = documents.subsample(MEASURED)
        if not sample.characters:
            return None
        ids = copy_spans(sample.ids, sample.starts, sample.starts + sample.lengths)
        starts = sample.lengths.cumsum() - sample.lengths
        old = Documents(self._old_ids(vocabulary)[ids], starts, sample.lengths)
        return evaluate_documents(load_model(self.checkpoint), old).nats_per_character

    def _old_ids(self, vocabulary: Vocabulary) -> Integers:
        """For each id (V,) of `vocabulary`, the id in the old model; UNK for a new character."""
        return shifted(vocabulary, self.checkpoint.vocabulary)


def decided_by(checkpoint: Checkpoint, architecture: Architecture) -> dict[str, Any]:
    """The fields of Settings that a model to start from decides."""
    sizes = {name: getattr(architecture, name) for name in FIXED}
    return {**sizes, "networks": checkpoint.networks}


def shifted(old: Vocabulary, new: Vocabulary) -> Integers:
    """For each id of `old`, the id of the same character in `new`; UNK if it is not there."""
    points = np.array(old.code_points, np.uint32)
    return np.concatenate([[UNK, EOS], new.encode_code_points(points)]).astype(np.int64)


def open_origin(name: str, reading: Reading, requested: Mapping[str, Any]) -> Origin:
    """The model `name` to start from.

    Args:
        name: a run directory, a file, or the name of a run in checkpoints/.
        reading: how the new text is read.
        requested: the fields of Settings that the user has given.

    Raises:
        CheckpointError: it cannot be read.
        SettingsError: it has no network, it knows labels, or an option contradicts it.
    """
    path = find_checkpoint(name)
    checkpoint = load_checkpoint(path)
    architecture = checkpoint.architecture
    if architecture is None:
        raise SettingsError(f"{path} has no network to start from, only an n-gram model")
    if checkpoint.labels is not None or reading.labelled:
        raise SettingsError(
            Parameter("from"), " and labels do not go together; train the model from the beginning"
        )
    if checkpoint.lines != reading.lines:
        how, remedy = ("with ", "give it too") if checkpoint.lines else ("without ", "leave it out")
        raise SettingsError(f"{path} was trained {how}", Flag("lines"), f"; {remedy}")
    for option, there in decided_by(checkpoint, architecture).items():
        here = requested.get(option, there)
        if here != there:
            raise SettingsError(
                Parameter(option), f" {here} contradicts ", Parameter("from"),
                f": {path} has {there}; leave it out",
            )
    file = path / MODEL_FILE if path.is_dir() else path
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Origin(path, checkpoint, architecture, digest)


def with_characters_of(corpus: Corpus, origin: Origin) -> Corpus:
    """`corpus`, encoded with the old model's characters besides its own."""
    own, old = corpus.vocabulary, origin.checkpoint.vocabulary
    joined = Vocabulary(tuple(sorted({*own.code_points, *old.code_points})))
    if joined == own:
        return corpus
    if corpus.kept:
        encoded = load_corpus(corpus.names, corpus.reading, vocabulary=joined)
        return replace(encoded, min_count=corpus.min_count)
    ids = shifted(own, joined).astype(joined.dtype)[corpus.ids]
    return replace(corpus, ids=ids, vocabulary=joined)
