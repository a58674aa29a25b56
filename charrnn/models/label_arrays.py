"""The n-grams of labels in a checkpoint: names, shapes and checks of their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charrnn.arrays import Array
from charrnn.errors import CheckpointError
from charrnn.models.ngram_counts import NgramCounts, expected_tensors

DESCRIPTION = "label_ngrams"
PREFIX = "label_"
EXPONENTS = "label_exponents"


def label_arrays(counts: NgramCounts, exponents: Array) -> dict[str, Array]:
    """All arrays by their names in a file; `exponents`: of the model and of each order."""
    named = {PREFIX + name: array for name, array in counts.arrays.items()}
    return named | {EXPONENTS: exponents}


def expected_label_arrays(
    description: Mapping[str, Any], vocabulary_size: int, labels: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array that a checkpoint's description announces.

    Raises:
        CheckpointError: it does not describe n-grams of these labels.
    """
    counts = description.get(DESCRIPTION)
    if counts is None:
        return {}
    arrays = {PREFIX + name: each for name, each in expected_tensors(counts).items()}
    if counts["vocabulary_size"] != vocabulary_size * labels:
        raise CheckpointError("its n-grams of labels have another vocabulary")
    return arrays | {EXPONENTS: ("float32", (counts["order"] + 1,))}


def read_label_arrays(
    description: Mapping[str, Any], arrays: Mapping[str, Array]
) -> tuple[NgramCounts | None, Array | None]:
    """The n-grams of labels and their exponents among a checkpoint's arrays; None without any.

    Raises:
        CheckpointError: they are not what could have been counted.
    """
    counts = description.get(DESCRIPTION)
    if counts is None:
        return None, None
    own = {
        name.removeprefix(PREFIX): array
        for name, array in arrays.items()
        if name.startswith(PREFIX)
    }
    return NgramCounts.from_tensors(counts, own), arrays[EXPONENTS]
