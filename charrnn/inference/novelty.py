"""Measure how much of a text is copied from another. Knows ids only, not models or characters.

A model that copies its corpus scores well and writes nothing new; this shows the difference.

The training text may have gigabytes, so it is scanned in blocks, and only some of its places are
looked at: a run of k ids covers a gram of about k / 2 ids at a multiple of k / 2. Where such a gram
occurs in the sample, the runs of k ids around it are compared. All comparisons are of 64-bit hashes
(Karp and Rabin 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.platform import release_pages
from charrnn.text.documents import Ids

WINDOW = 20
BLOCK = 1 << 20
"""Ids scanned at a time."""
FACTOR = np.uint64(0x9E3779B97F4A7C15)
TABLE_BITS = 16

Hashes: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Novelty:
    """What a text shares with the training text.

    Attributes:
        longest_run: length of the longest run of characters found in both.
        copied_windows: share of the text's windows of WINDOW characters found in both, 0 to 1.
    """

    longest_run: int
    copied_windows: float


def measure_novelty(text: Ids, training: Ids) -> Novelty:
    """Compare `text` (T,) with the ids (N,) that a model was trained on, both unsigned integers.

    No run contains EOS, so none goes from one document into the next.
    """
    shared = find_shared(text, training, WINDOW)
    copied = float(shared.mean()) if len(shared) else 0.0
    low, high = (WINDOW, len(text) + 1) if copied else (0, min(WINDOW, len(text) + 1))
    while high - low > 1:  # a run of `low` is shared, none of `high`
        middle = min((low + high) // 2, 2 * low + 1)
        if find_shared(text, training, middle, only_one=True).any():
            low = middle
        else:
            high = middle
    return Novelty(low, copied)


def find_shared(
    text: Ids, training: Ids, length: int, only_one: bool = False
) -> npt.NDArray[np.bool_]:
    """Where in `text` (T,) a run of `length` ids begins that `training` has too: (T - length + 1,).

    `only_one`: stop where the first is found.
    """
    gram = (length + 1) // 2
    stride = length - gram + 1
    runs, grams = _hashes(text, length), _Set(_hashes(text, gram))
    shared = np.zeros(len(runs), np.bool_)
    if not len(runs):
        return shared
    block = max(1, BLOCK // stride) * stride
    for at in range(0, len(training), block):
        low = max(0, at - stride)
        part = training[low : at + block + length]
        places = grams.find(_hashes(part, gram, at - low, stride)) * stride + (at - low)
        begins = (places[:, None] - np.arange(stride)).ravel()
        begins = np.unique(begins[(begins >= 0) & (begins + length <= len(part))])
        found = _hashes_at(part, begins, length)
        shared |= np.isin(runs, found)
        release_pages(part)
        if only_one and shared.any():
            break
    return shared


class _Set:
    """A set of hashes, with a small table that tells most others apart at once."""

    def __init__(self, members: Hashes) -> None:
        self._members = np.unique(members)
        self._table = np.zeros(1 << TABLE_BITS, np.bool_)
        self._table[self._key(self._members)] = True

    def _key(self, hashes: Hashes) -> Hashes:
        key: Hashes = hashes >> np.uint64(64 - TABLE_BITS)
        return key

    def find(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        """The indices of those `hashes` that are members."""
        likely = np.flatnonzero(self._table[self._key(hashes)])
        return likely[np.isin(hashes[likely], self._members)]


def _hashes(ids: Ids, length: int, first: int = 0, stride: int = 1) -> Hashes:
    """Of the runs of `length` ids that begin at `first`, `first` + `stride`, and so on."""
    count = max(0, -(-(len(ids) - length + 1 - first) // stride))
    hashes = np.zeros(count, np.uint64)
    for offset in range(first, first + length):
        hashes *= FACTOR  # modulo 2^64
        hashes += ids[offset : offset + (count - 1) * stride + 1 : stride][:count]
    return hashes


def _hashes_at(ids: Ids, begins: npt.NDArray[np.intp], length: int) -> Hashes:
    hashes = np.zeros(len(begins), np.uint64)
    for offset in range(length):
        hashes *= FACTOR
        hashes += ids[begins + offset]
    return hashes
