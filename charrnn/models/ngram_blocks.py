"""Count the distinct n-grams of one block of a text, exactly.

Knows nothing of other blocks or of probabilities. Axes: T positions, n n-grams of one order.

Positions are sorted by the characters that follow; then the occurrences of an n-gram are adjacent.
The sort is prefix doubling (Manber & Myers 1993, "Suffix arrays", section 3) on keys that hold the
position in their low bits: NumPy sorts plain 64-bit integers five times as fast as it finds the
permutation that would sort them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Array, Integers
from charrnn.text.vocabulary import EOS

Keys: TypeAlias = npt.NDArray[np.uint64]

BLOCK = (1 << 21) - 64
"""Maximum positions of a block: a position and two ranks share the 64 bits of a key."""


@dataclass(frozen=True)
class Level:
    """The distinct k-grams of a part of a text, in lexicographic order of their ids.

    Axis n: the k-grams. Order 1 has every id, and empty character, parent and suffix.

    Attributes:
        character: its last character (n,).
        parent: index of the (k-1)-gram of its first k-1 characters (n,).
        suffix: index of the (k-1)-gram of its last k-1 characters (n,).
        raw: how often it occurs (n,), 0 if only as the suffix of one that begins before this part.
        lost: how many (k+1)-grams with this suffix were pruned (n,); empty if none were.
        dropped: sum of the adjusted counts of its pruned children (n,); empty if none were.
    """

    character: Array
    parent: Array
    suffix: Array
    raw: Array
    lost: Array
    dropped: Array

    def __len__(self) -> int:
        return len(self.raw)


EMPTY: Array = np.zeros(0, np.uint32)


def unigram_level(raw: Array) -> Level:
    """The level of order 1, given how often each id occurs, `raw` (V,)."""
    return Level(EMPTY, EMPTY, EMPTY, raw, EMPTY, EMPTY)


def block_levels(
    ids: Array, start: int, stop: int, order: int, vocabulary_size: int, *, sentence_start: bool
) -> list[Level]:
    """The n-grams of orders 1..`order` that begin in ids[start:stop].

    They may reach beyond `stop`. Their suffixes that begin at `stop` or later are listed too, with
    a count of 0 if they do not occur earlier.

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
    """Orders 2..`order` of a block; only n-grams at its first `counted` positions are counted."""
    if order == 1 or len(text) < 2:
        yield from (Level(text[:0], *[EMPTY] * 5) for _ in range(2, order + 1))
        return
    alphabet = np.flatnonzero(np.bincount(text, minlength=vocabulary_size)).astype(text.dtype)
    codes = np.zeros(vocabulary_size, np.min_scalar_type(len(alphabet)))
    codes[alphabet] = np.arange(1, len(alphabet) + 1)
    code = np.zeros(len(text) + order, codes.dtype)  # 0 is beyond the end
    code[: len(text)] = codes[text]
    positions = _sorted_positions(code[: len(text)], len(alphabet).bit_length(), order)
    place = np.empty(len(text), np.uint32)  # of each position among the sorted
    place[positions] = np.arange(len(text), dtype=np.uint32)
    longest = _longest_ngrams(text, order)[positions]
    uncounted_places = place[counted:]
    nodes = text[positions].astype(np.uint32)  # (T,) which (k-1)-gram begins at each sorted place
    is_new = np.zeros(len(text), np.bool_)  # whether the first k characters are new there
    is_new[0] = True
    differs = is_new[1:]
    previous = code[positions]
    differs |= previous[1:] != previous[:-1]
    for k in range(2, order + 1):
        current = code[k - 1 :].take(positions)
        differs |= current[1:] != current[:-1]
        fits = longest >= k
        starts = np.flatnonzero(is_new)
        fitting = fits[starts]
        raw = np.diff(starts, append=len(text)).compress(fitting).astype(np.uint32)
        first = starts.compress(fitting)
        following = np.cumsum(is_new & fits, dtype=np.uint32)
        following -= 1
        uncounted = uncounted_places[fits[uncounted_places]]
        np.subtract.at(raw, following[uncounted], 1)
        yield Level(
            character=alphabet[current[first] - 1],
            parent=nodes[first],
            suffix=nodes[place[positions[first] + 1]],
            raw=raw,
            lost=EMPTY,
            dropped=EMPTY,
        )
        nodes = following


def _longest_ngrams(text: Array, order: int) -> npt.NDArray[np.uint8]:
    """The length of the longest n-gram that begins at each position (T,), at most `order`."""
    longest = np.full(len(text), order, np.uint8)
    longest[-order:] = np.minimum(longest[-order:], np.arange(len(longest[-order:]), 0, -1))
    ends = np.flatnonzero(text == EOS)
    for length in range(1, order):
        before = ends[ends >= length] - length
        longest[before] = np.minimum(longest[before], length + 1)
    return longest


def _sorted_positions(code: Array, width: int, depth: int) -> Integers:
    """The positions of `code`, sorted by the `depth` characters that begin at each (T,).

    Args:
        code: (T,) above 0, below 2**width.
        width: bits of a character.
        depth: how many characters are compared.
    """
    bits = len(code).bit_length()
    low = np.arange(len(code), dtype=np.uint64)
    scratch = np.empty_like(low)
    length = min(depth, (64 - bits) // width)
    key = _packed(code, width, length, scratch)
    while True:
        key <<= np.uint64(bits)
        key |= low
        key.sort()
        positions: Integers = (key & np.uint64((1 << bits) - 1)).astype(np.int64)
        if length >= depth:
            return positions
        key >>= np.uint64(bits)
        scratch[0] = 1
        scratch[1:] = key[1:] != key[:-1]
        np.cumsum(scratch, out=scratch)  # ranks, from 1 on
        rank_bits = int(scratch[-1]).bit_length()
        key[positions] = scratch
        _shift(key, length, scratch)
        key <<= np.uint64(rank_bits)
        key |= scratch
        length *= 2


def _packed(code: Array, width: int, length: int, scratch: Keys) -> Keys:
    """The `length` characters that begin at each position, packed in one integer (T,)."""
    key, packed = code.astype(np.uint64), 1
    while packed < length:
        more = min(packed, length - packed)
        _shift(key, packed, scratch)
        scratch >>= np.uint64(width * (packed - more))
        key <<= np.uint64(width * more)
        key |= scratch
        packed += more
    return key


def _shift(key: Keys, distance: int, shifted: Keys) -> None:
    """Fill `shifted` with the keys `distance` positions later, 0 beyond the end (T,)."""
    rest = max(len(key) - distance, 0)
    shifted[:rest] = key[distance:]
    shifted[rest:] = 0
