"""Measure what a network remembers: how much its prediction improves with context.

How far back its gradient reaches is measured in gradient_reach.py, which alone needs torch.

Axes: B texts in a batch, K characters of context, P positions. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.errors import Parameter, SettingsError
from charrnn.inference.contexts import contexts_before, longest_context, sample_positions
from charrnn.inference.scoring import MAX_CELLS, MAX_CHUNK, MAX_ROWS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_model
from charrnn.text.corpus import load_corpus
from charrnn.text.documents import Documents
from charrnn.text.reading import Reading

CONTEXTS = (0, *(1 << power for power in range(11)))
"""0, 1, 2, 4, ..., 1,024 characters."""


@dataclass(frozen=True)
class Memory:
    """What a network remembers.

    Attributes:
        nats_per_character: with only the last 0, 1, 2, 4, ... characters read.
        gradient_norms: (K,) of d loss(t) / d hidden(t - k) for k = 0, 1, ...; empty if not wanted.
        positions: the number of characters predicted, at most.
    """

    nats_per_character: dict[int, float]
    gradient_norms: tuple[float, ...]
    positions: int


def inspect_corpora(
    checkpoint: Checkpoint,
    names: Sequence[str | Path],
    positions: int = 500,
    seed: int = 1,
    encoding: str = Reading.encoding,
    errors: str = Reading.errors,
    gradient: bool = True,
) -> Memory:
    """Measure a network on the corpora `names`; see `inspect_memory`.

    Raises:
        CorpusError: one cannot be read, or the encoding is unknown.
        SettingsError: there is no network in `checkpoint`, or `positions` is not positive.
    """
    corpus = load_corpus(
        [*map(str, names)],
        checkpoint.reading(encoding, errors),
        vocabulary=checkpoint.vocabulary,
        labels=checkpoint.labels,
    )
    return inspect_memory(checkpoint, corpus.documents(), positions, seed, gradient)


def inspect_memory(
    checkpoint: Checkpoint, documents: Documents, positions: int, seed: int, gradient: bool
) -> Memory:
    """Measure the network in `checkpoint`, without the n-gram model, on `documents`.

    Args:
        checkpoint: with a network.
        documents: at least one character.
        positions: the number of characters to predict, at most.
        seed: chooses them.
        gradient: whether to measure how far back gradients reach, for which torch is imported.

    Raises:
        SettingsError: there is no network in `checkpoint`, or `positions` is not positive.
    """
    architecture, weights = checkpoint.architecture, checkpoint.weights
    if architecture is None:
        raise SettingsError("an n-gram model alone has no memory to inspect; name a network")
    if positions < 1:
        raise SettingsError(Parameter("positions"), f" must be 1 or more, not {positions:,}")
    nats = context_curve(load_model(checkpoint, use_ngram=False), documents, positions, seed)
    norms: tuple[float, ...] = ()
    if gradient:
        from charrnn.inference.gradient_reach import gradient_reach

        reached = gradient_reach(architecture, weights, documents, positions, seed)
        norms = tuple(reached.tolist())
    return Memory(nats, norms, min(positions, documents.characters))


def context_curve(
    model: LanguageModel, documents: Documents, positions: int, seed: int
) -> dict[int, float]:
    """Nats per character when only the last 0, 1, 2, 4, ..., 1,024 characters are read.

    The same characters are predicted with each context, which is read from an initial state; where
    it is empty, the model predicts what follows EOS. Long contexts are left out if the documents
    are too short for them.

    Args:
        model: to measure.
        documents: at least one character.
        positions: the number of characters to predict, at most.
        seed: chooses them.
    """
    contexts = [each for each in CONTEXTS if each <= longest_context(documents, CONTEXTS[-1])]
    chosen = sample_positions(documents, contexts[-1], positions, seed)
    return {each: _nats(model, documents, chosen, each) for each in contexts}


def _nats(model: LanguageModel, documents: Documents, positions: Integers, context: int) -> float:
    rows = max(1, min(MAX_ROWS, MAX_CELLS // model.vocabulary_size))
    total = 0.0
    for at in range(0, len(positions), rows):
        batch = positions[at : at + rows]
        inputs = contexts_before(documents, batch, context)
        total -= float(_last_scores(model, inputs, documents.ids[batch]).sum(dtype=np.float64))
    return total / len(positions)


def _last_scores(model: LanguageModel, inputs: Array, targets: Array) -> Array:
    """Read `inputs` (B, K) from the start -> log-probability of `targets` (B,) after them."""
    following = np.concatenate([inputs[:, 1:], targets[:, None]], 1)
    state = model.initial_state(len(inputs))
    scores: Array = np.empty((len(inputs), 0), np.float32)
    for part in _ranges(len(inputs), inputs.shape[1], model.vocabulary_size):
        scores, state = model.score(inputs[:, part], following[:, part], state)
    return scores[:, -1]


def _ranges(rows: int, length: int, vocabulary_size: int) -> Iterator[slice]:
    """Ranges of positions of which all predictions fit into MAX_CELLS."""
    size = min(MAX_CHUNK, max(1, MAX_CELLS // (rows * vocabulary_size)))
    return (slice(at, at + size) for at in range(0, length, size))
