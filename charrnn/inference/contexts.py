"""Draw positions in documents, and the ids before each. Knows no models.

Axes: B positions in a batch, K ids of context, P positions, D documents.
"""

from __future__ import annotations

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS

FEWEST_POSITIONS = 64
"""A context is measured if so many characters, at least, have as much text before them."""


def longest_context(documents: Documents, wanted: int) -> int:
    """The longest context up to `wanted`, a power of 2, that FEWEST_POSITIONS characters have.

    In a collection of fewer characters than that, all of them.
    """
    fewest = min(FEWEST_POSITIONS, documents.characters)
    context = wanted
    while context and _room(documents, context).sum() < fewest:
        context //= 2
    return context


def sample_positions(documents: Documents, context: int, most: int, seed: int) -> Integers:
    """Positions in the documents' ids (P,) with `context` ids of the same document before them.

    At most `most` of them, without repetition, in ascending order.
    """
    room = _room(documents, context)
    ends = room.cumsum()
    total = int(ends[-1])
    drawn = np.random.default_rng(seed).choice(total, min(most, total), replace=False)
    drawn.sort()
    owners = np.searchsorted(ends, drawn, "right")
    found: Integers = documents.starts[owners] + context + drawn - (ends - room)[owners]
    return found


def contexts_before(documents: Documents, positions: Integers, context: int) -> Array:
    """The `context` ids (B, K) before each of `positions` (B,); EOS alone (B, 1) for none."""
    if context == 0:
        return np.full((len(positions), 1), EOS)
    before: Array = documents.ids[positions[:, None] - context + np.arange(context)]
    return before


def _room(documents: Documents, context: int) -> Integers:
    """How many ids of each document (D,) have `context` ids before them."""
    return np.maximum(0, documents.lengths - context)
