"""Make a checkpoint smaller: half the precision, fewer n-grams or none, no history.

Knows nothing of the form in which it is given to others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn.errors import Parameter, SettingsError
from charrnn.export.reduction import Reduction
from charrnn.models.checkpoint import FLOAT16_LIMIT, Checkpoint, require_finite
from charrnn.models.ngram_recovery import recover_counts
from charrnn.models.ngram_reduction import reduce_ngrams
from charrnn.models.ngram_tables import NgramTables

MOST_CHARACTERS = 1 << 31
"""Counts of n-grams in a text of so many still fit into 32 bits."""


def reduce_checkpoint(checkpoint: Checkpoint, reduction: Reduction) -> Checkpoint:
    """`checkpoint` without what `reduction` leaves out.

    Raises:
        SettingsError: the model has no network, or no n-gram model, and would need one.
        CheckpointError: a weight is too large for float16.
    """
    if reduction.half:
        checkpoint = halve(checkpoint)
    if reduction.no_ngram:
        checkpoint = _without_ngram(checkpoint)
    if reduction.max_ngrams is not None:
        checkpoint = _with_fewer_ngrams(checkpoint, reduction.max_ngrams)
    if reduction.without_history:
        training = {name: each for name, each in checkpoint.training.items() if name != "history"}
        checkpoint = replace(checkpoint, training=training)
    return checkpoint


def halve(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with its network's weights rounded to float16.

    Raises:
        SettingsError: there is no network.
        CheckpointError: a weight is too large.
    """
    if checkpoint.architecture is None:
        raise SettingsError(
            "this model has no network whose weights could be halved; leave out ",
            Parameter("half"),
        )
    require_finite(checkpoint.weights, FLOAT16_LIMIT)
    rounded = {
        name: weight.astype(np.float16).astype(np.float32)
        for name, weight in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=rounded, half=True)


def _without_ngram(checkpoint: Checkpoint) -> Checkpoint:
    if checkpoint.architecture is None:
        raise SettingsError(
            "this model has no network, only an n-gram model; leave out ", Parameter("no_ngram")
        )
    return replace(
        checkpoint, ngram=None, exponents=None, label_ngrams=None, label_exponents=None
    )


def _with_fewer_ngrams(checkpoint: Checkpoint, max_ngrams: int) -> Checkpoint:
    if checkpoint.ngram is None:
        raise SettingsError("this model has no n-gram model; leave out ", Parameter("max_ngrams"))
    ngram = checkpoint.ngram
    if isinstance(ngram, NgramTables):
        if sum(ngram.ngrams) <= max_ngrams:
            return checkpoint
        ngram = recover_counts(ngram, _characters_counted(checkpoint, ngram))
    ngram = reduce_ngrams(ngram, max_ngrams)
    exponents = checkpoint.exponents
    if exponents is not None:
        exponents = exponents[: ngram.order]  # a row for each length of context, the shortest first
    return replace(checkpoint, ngram=ngram, exponents=exponents)


def _characters_counted(checkpoint: Checkpoint, tables: NgramTables) -> int:
    """Length of the text that the n-grams were counted in, about: the record is free-form JSON."""
    found = checkpoint.corpus.get("characters")
    if isinstance(found, int) and 0 < found < MOST_CHARACTERS:
        return found
    return 2 * sum(tables.ngrams)
