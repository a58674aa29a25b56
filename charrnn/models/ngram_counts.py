"""The counts of a text's n-grams in compact form, checked when they are read.

Knows nothing of how they are counted, or of probabilities beyond the discounts that counts of
counts give.

The n-grams form a trie, one flat level per order. Level k lists the k-grams in the order of their
first k-1 characters, then of their last, so the children of a node (its continuations by one
character) are contiguous and sorted, and the numbers of children give where they begin. Level 1 has
every id, seen or not: there an n-gram's index is its character.

EOS ends a document and starts the next: it can begin or end an n-gram but never stands inside one.

Sources: Kneser & Ney 1995; Chen & Goodman 1999, "An empirical study of smoothing techniques for
language modeling", section 3; Heafield et al. 2013, "Scalable modified Kneser-Ney language model
estimation", section 3, whose lmplz is followed where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from charrnn.arrays import Array, Integers
from charrnn.errors import CheckpointError

Discounts: TypeAlias = tuple[float, float, float]
"""What is subtracted from the counts 1, 2, and 3 or more."""

MAX_ORDER = 16
MAX_VOCABULARY = 1 << 16
MAX_NGRAMS = 20_000_000
"""Default limit: 60 to 100 MB on disk (5 bytes for each, where there are over 256 characters)."""
FALLBACK: Discounts = (0.5, 1.0, 1.5)
"""lmplz's --discount_fallback, for texts too small or too regular to estimate discounts from."""
MIN_DISCOUNT = 1e-6
"""A lower discount would make unseen characters almost impossible."""
DTYPES = ("uint8", "uint16", "uint32")


@dataclass(frozen=True)
class NgramCounts:
    """The counts of an n-gram model of order N, in compact form.

    Measured: 3.0 bytes per distinct n-gram (order 8, 65 characters, 1 MB of text); 3.7 where one
    occurs more than 65,535 times.

    Attributes:
        vocabulary_size: V, ids including UNK and EOS.
        discounts: of each order 1..N.
        arrays: by name; "ngram.k." is followed by one of
            character: last character of each k-gram (n_k,), k > 1;
            count: adjusted count of each k-gram (n_k,): of order N, and of those that begin with
                EOS, how often it occurs; of others, how many different characters precede it;
            children: how many characters continue each k-gram (n_k,), k < N;
            dropped: sum of the counts of its pruned children (n_k,), k < N, only if some are.
    """

    vocabulary_size: int
    discounts: tuple[Discounts, ...]
    arrays: Mapping[str, Array]

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""
        return len(self.discounts)

    @property
    def ngrams(self) -> list[int]:
        """How many n-grams of each order 1..N are kept."""
        return [len(self.arrays[f"ngram.{k}.count"]) for k in range(1, self.order + 1)]

    def description(self) -> dict[str, Any]:
        """All but the arrays, for JSON; `expected_tensors` and `from_tensors` read it."""
        return {
            "order": self.order,
            "vocabulary_size": self.vocabulary_size,
            "ngrams": self.ngrams,
            "discounts": [list(discounts) for discounts in self.discounts],
            "dtypes": {name: array.dtype.name for name, array in self.arrays.items()},
        }

    @classmethod
    def from_tensors(cls, description: Any, tensors: Mapping[str, Array]) -> NgramCounts:
        """The counts with the given description and at least the arrays that it announces.

        Raises:
            CheckpointError: they are not what `count_ngrams` could have made.
        """
        expected = expected_tensors(description)
        for name, (dtype, shape) in expected.items():
            found = tensors.get(name)
            if found is None or (found.dtype.name, found.shape) != (dtype, shape):
                raise CheckpointError(f"array {name!r} is missing or not {dtype} {list(shape)}")
        arrays = {name: tensors[name] for name in expected}
        discounts = tuple((float(a), float(b), float(c)) for a, b, c in description["discounts"])
        counts = cls(description["vocabulary_size"], discounts, arrays)
        for k in range(2, counts.order + 1):
            _check_level(k, counts)
        return counts


def expected_tensors(description: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array that `description`, parsed from JSON, announces.

    Raises:
        CheckpointError: it does not describe n-gram counts.
    """
    ngrams = parse_sizes(description)
    order = len(ngrams)
    discounts, dtypes = description.get("discounts"), description.get("dtypes")
    if not (
        isinstance(discounts, list)
        and len(discounts) == order
        and all(isinstance(each, list) and _are_discounts(each) for each in discounts)
    ):
        raise CheckpointError(f"{discounts!r} are not discounts of {order} orders of n-grams")
    shapes, optional = _shapes(ngrams)
    if not isinstance(dtypes, dict) or not set(shapes) - optional <= set(dtypes) <= set(shapes):
        raise CheckpointError(f"the n-gram model of order {order} has missing or unknown arrays")
    for name, dtype in dtypes.items():
        if dtype not in DTYPES:
            raise CheckpointError(f"array {name!r} cannot be {dtype!r}; {', '.join(DTYPES)} can")
    return {name: (dtype, shapes[name]) for name, dtype in dtypes.items()}


def parse_sizes(description: Any) -> list[int]:
    """How many n-grams of each order the model of `description`, parsed from JSON, has.

    Raises:
        CheckpointError: it does not describe an n-gram model.
    """
    if not isinstance(description, Mapping):
        raise CheckpointError(f"{description!r} does not describe an n-gram model")
    order = _integer(description, "order", 1, MAX_ORDER)
    size = _integer(description, "vocabulary_size", 2, MAX_VOCABULARY)
    ngrams = description.get("ngrams")
    if not (
        isinstance(ngrams, list)
        and len(ngrams) == order
        and all(type(n) is int and 0 <= n < 1 << 32 for n in ngrams)
        and ngrams[0] == size
    ):
        raise CheckpointError(f"the n-gram model of order {order} cannot have {ngrams!r} n-grams")
    return ngrams


def _shapes(ngrams: Sequence[int]) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """The shape of every possible array, and the names of the optional ones."""
    shapes: dict[str, tuple[int, ...]] = {"ngram.1.count": (ngrams[0],)}
    for k, n in enumerate(ngrams[1:], 2):
        shapes[f"ngram.{k - 1}.children"] = shapes[f"ngram.{k - 1}.dropped"] = (ngrams[k - 2],)
        shapes[f"ngram.{k}.character"] = shapes[f"ngram.{k}.count"] = (n,)
    return shapes, {name for name in shapes if name.endswith("dropped")}


def _integer(description: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = description.get(key)
    if type(value) is not int or not low <= value <= high:
        raise CheckpointError(f"the n-gram model's {key} is {value!r}, not {low} to {high:,}")
    return value


def _are_discounts(values: Sequence[Any]) -> bool:
    """Whether probabilities sum to 1 with these, and are positive for every unseen character."""
    return len(values) == len(FALLBACK) and all(
        type(value) is float and MIN_DISCOUNT <= value <= count
        for count, value in enumerate(values, 1)
    )


def _check_level(k: int, counts: NgramCounts) -> None:
    character, count = (counts.arrays[f"ngram.{k}.{part}"] for part in ("character", "count"))
    children = counts.arrays[f"ngram.{k - 1}.children"]
    if children.sum(dtype=np.uint64) != len(character):
        raise CheckpointError(f"the {k}-grams are not as many as the {k - 1}-grams' children")
    if len(character) == 0:
        return
    if count.min() == 0 or character.max() >= counts.vocabulary_size:
        raise CheckpointError(f"the {k}-grams have a count of 0 or a character out of range")
    ascending = character[1:] > character[:-1]
    first = np.cumsum(children, dtype=np.int64)
    ascending[first[(first > 0) & (first < len(character))] - 1] = True  # between families
    if not ascending.all():
        raise CheckpointError(f"the {k}-grams are not in the order of their characters")


def estimate_discounts(seen: Integers) -> Discounts:
    """Modified Kneser-Ney discounts, given how many n-grams have the counts 1, 2, 3 and 4.

    Chen & Goodman 1999, section 3; FALLBACK where they are undefined or out of range.
    """
    seen = seen.astype(np.float64)
    if not seen[:3].all():
        return FALLBACK
    share = seen[0] / (seen[0] + 2 * seen[1])
    one, two, three = (j - (j + 1) * share * seen[j] / seen[j - 1] for j in (1, 2, 3))
    found = float(one), float(two), float(three)
    return found if _are_discounts(found) else FALLBACK


def smallest(array: Integers) -> Array:
    """The same numbers in the smallest unsigned integers that hold them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
