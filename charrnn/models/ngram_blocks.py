"""The distinct n-grams of one block of a text, counted exactly.

Knows nothing of other blocks or of probabilities.

Positions are sorted by the characters from each on, after which every n-gram is a run of positions.
The sort is prefix doubling (Manber & Myers 1993, "Suffix arrays", section 3) on keys that hold the
position in their low bits: NumPy sorts plain 64-bit integers five times as fast as it finds the
permutation that would sort them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.text.vocabulary import EOS

Array: TypeAlias = npt.NDArray[Any]
Keys: TypeAlias = npt.NDArray[np.uint64]
Integers: TypeAlias = npt.NDArray[np.int64]

BLOCK = (1 << 21) - 64
"""Most positions of a block: a position and two ranks share the 64 bits of a key."""


@dataclass(frozen=True)
class Level:
    """The distinct k-grams of a part of a text, in lexicographic order of their ids.

    Axis n: the k-grams. Of order 1 there is every id, and no character, parent or suffix.

    Attributes:
        character: the last (n,).
        parent: which (k-1)-gram its first k-1 characters are (n,).
        suffix: which (k-1)-gram its last k-1 characters are (n,).
        raw: how often it occurs (n,), 0 if only as the suffix of one that begins before this part.
        lost: how many k+1-grams with this suffix were pruned (n,), or nothing if none were.
        dropped: sum of the adjusted counts of its pruned children (n,), or nothing likewise.
    """

    character: Array
    parent: Array
    suffix: Array
    raw: Array
    lost: Array
    dropped: Array

    def __len__(self) -> int:
        return len(self.raw)


NOTHING: Array = np.zeros(0, np.uint32)


def unigram_level(raw: Array) -> Level:
    """Order 1, of occurrences raw (V,)."""
    return Level(NOTHING, NOTHING, NOTHING, raw, NOTHING, NOTHING)


def block_levels(
    ids: Array, start: int, stop: int, order: int, vocabulary_size: int, *, sentence_start: bool
) -> list[Level]:
    """The n-grams of orders 1..`order` that begin in ids[start:stop].

    They may reach beyond `stop`. Their suffixes are listed even where those begin there, with a
    count of 0 if they do not occur before.

    Args:
        ids: the whole text (T,).
        sentence_start: whether an EOS that is not in `ids` stands before ids[start]; n-grams that
            begin with it belong to the block.
    """
    assert stop - start <= BLOCK
    inside = np.asarray(ids[start:stop])
    unigrams = np.bincount(inside, minlength=vocabulary_size)
    assert len(unigrams) == vocabulary_size, "an id is beyond the vocabulary"
    beyond = np.asarray(ids[stop : stop + order - 1])
    dtype = np.min_scalar_type(vocabulary_size - 1)
    opening = np.full(int(sentence_start), EOS, dtype)
    text = np.concatenate([opening, inside, beyond]).astype(dtype, copy=False)
    levels = _levels(text, len(text) - len(beyond), order, vocabulary_size)
    return [unigram_level(unigrams), *levels]


def _levels(text: Array, counted: int, order: int, vocabulary_size: int) -> Iterator[Level]:
    """Orders 2..`order` of a block, of which the first `counted` positions count."""
    if order == 1 or len(text) < 2:
        yield from (Level(text[:0], *[NOTHING] * 5) for _ in range(2, order + 1))
        return
    alphabet = np.flatnonzero(np.bincount(text, minlength=vocabulary_size)).astype(text.dtype)
    codes = np.zeros(vocabulary_size, np.min_scalar_type(len(alphabet)))
    codes[alphabet] = np.arange(1, len(alphabet) + 1)
    code = np.zeros(len(text) + order, codes.dtype)  # 0 is beyond the end
    code[: len(text)] = codes[text]
    positions = _sorted_positions(code[: len(text)], len(alphabet).bit_length(), order)
    place = np.empty(len(text), np.uint32)  # of each position among the sorted
    place[positions] = np.arange(len(text), dtype=np.uint32)
    room = _room(text, order)[positions]
    edge = place[counted:]
    nodes = text[positions].astype(np.uint32)  # (T,) which (k-1)-gram begins at each sorted place
    is_new = np.zeros(len(text), np.bool_)  # whether the first k characters are new there
    is_new[0] = True
    differs = is_new[1:]
    previous = code[positions]
    differs |= previous[1:] != previous[:-1]
    for k in range(2, order + 1):
        current = code[k - 1 :].take(positions)
        differs |= current[1:] != current[:-1]
        fits = room >= k
        starts = np.flatnonzero(is_new)
        fitting = fits[starts]
        raw = np.diff(starts, append=len(text)).compress(fitting).astype(np.uint32)
        first = starts.compress(fitting)
        following = np.cumsum(is_new & fits, dtype=np.uint32)
        following -= 1
        uncounted = edge[fits[edge]]
        np.subtract.at(raw, following[uncounted], 1)
        yield Level(
            character=alphabet[current[first] - 1],
            parent=nodes[first],
            suffix=nodes[place[positions[first] + 1]],
            raw=raw,
            lost=NOTHING,
            dropped=NOTHING,
        )
        nodes = following


def _room(text: Array, order: int) -> npt.NDArray[np.uint8]:
    """How long the n-grams that begin at each position may be (T,), at most `order`."""
    room = np.full(len(text), order, np.uint8)
    room[-order:] = np.minimum(room[-order:], np.arange(len(room[-order:]), 0, -1))
    ends = np.flatnonzero(text == EOS)
    for length in range(1, order):
        before = ends[ends >= length] - length
        room[before] = np.minimum(room[before], length + 1)
    return room


def _sorted_positions(code: Array, width: int, depth: int) -> Integers:
    """The positions of `code` in the order of the `depth` characters from each on (T,).

    Args:
        code: below 2**width, above 0.
    """
    bits = len(code).bit_length()
    low = np.arange(len(code), dtype=np.uint64)
    further = np.empty_like(low)
    length = min(depth, (64 - bits) // width)
    key = _packed(code, width, length, further)
    while True:
        key <<= np.uint64(bits)
        key |= low
        key.sort()
        positions: Integers = (key & np.uint64((1 << bits) - 1)).astype(np.int64)
        if length >= depth:
            return positions
        key >>= np.uint64(bits)
        further[0] = 1
        further[1:] = key[1:] != key[:-1]
        np.cumsum(further, out=further)  # ranks, from 1 on
        rank_bits = int(further[-1]).bit_length()
        key[positions] = further
        _shift(key, length, further)
        key <<= np.uint64(rank_bits)
        key |= further
        length *= 2


def _packed(code: Array, width: int, length: int, further: Keys) -> Keys:
    """The `length` characters from each position on, in one integer (T,)."""
    key, have = code.astype(np.uint64), 1
    while have < length:
        more = min(have, length - have)
        _shift(key, have, further)
        further >>= np.uint64(width * (have - more))
        key <<= np.uint64(width * more)
        key |= further
        have += more
    return key


def _shift(key: Keys, distance: int, further: Keys) -> None:
    """Fill `further` with what stands `distance` further on, 0 beyond the end (T,)."""
    rest = max(len(key) - distance, 0)
    further[:rest] = key[distance:]
    further[rest:] = 0
