"""Counts of n-grams: hand-made numbers, pruning, the round trip to arrays and hostile arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, SettingsError
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import FALLBACK, NgramCounts, expected_tensors

E, A, B = 1, 2, 3  # EOS and two characters
TEXT = np.array([A, A, B, E, A, B, A, B, B, E, E, A], np.uint8)


def strings(counts: NgramCounts, k: int) -> list[tuple[int, ...]]:
    """The k-grams that the arrays mean."""
    if k == 1:
        return [(index,) for index in range(counts.vocabulary_size)]
    parents = np.repeat(
        np.arange(counts.ngrams[k - 2]), counts.arrays[f"ngram.{k - 1}.children"]
    ).tolist()
    above, last = strings(counts, k - 1), counts.arrays[f"ngram.{k}.character"].tolist()
    return [(*above[parent], index) for parent, index in zip(parents, last, strict=True)]


def table(counts: NgramCounts, k: int) -> dict[tuple[int, ...], int]:
    return dict(zip(strings(counts, k), counts.arrays[f"ngram.{k}.count"].tolist(), strict=True))


def test_counts_by_hand() -> None:
    # With its start: E a a b E a b a b b E E a. No n-gram has EOS inside.
    counts = count_ngrams(TEXT, 3, 4)
    assert table(counts, 1) == {(0,): 0, (E,): 2, (A,): 3, (B,): 2}  # how many precede them
    assert table(counts, 2) == {
        (E, E): 1,  # begins with EOS: how often it occurs
        (E, A): 3,
        (A, A): 1,  # after E
        (A, B): 3,  # after a, E and b
        (B, E): 2,  # after a and b
        (B, A): 1,
        (B, B): 1,
    }
    assert table(counts, 3) == {  # the highest order: how often they occur
        (E, A, A): 1,
        (E, A, B): 1,
        (A, A, B): 1,
        (A, B, E): 1,
        (A, B, A): 1,
        (A, B, B): 1,
        (B, A, B): 1,
        (B, B, E): 1,
    }
    assert counts.discounts == (FALLBACK,) * 3


def test_order_one_counts_occurrences_without_the_start() -> None:
    assert table(count_ngrams(TEXT, 1, 4), 1) == {(0,): 0, (E,): 3, (A,): 5, (B,): 4}


def test_without_sentence_start_nothing_precedes_the_text() -> None:
    counts = count_ngrams(np.array([A, B, B]), 2, 4, sentence_start=False)
    assert table(counts, 2) == {(A, B): 1, (B, B): 1}
    assert table(counts, 1) == {(0,): 0, (E,): 0, (A,): 1, (B,): 2}


def test_discounts_by_hand() -> None:
    # n1..n4 = 4, 2, 1, 1; Y = 4 / (4 + 2 * 2) = 1/2; D1 = 1 - 2 Y 2/4, D2 = 2 - 3 Y 1/2,
    # D3 = 3 - 4 Y 1/1.
    ids = np.repeat(np.arange(2, 10), [1, 1, 1, 1, 2, 2, 3, 4])
    assert count_ngrams(ids, 1, 10).discounts == ((0.5, 1.25, 1.0),)


@pytest.mark.parametrize("order", [9, 12, 16])
@pytest.mark.parametrize("vocabulary_size", [6, 60_000])
def test_long_n_grams_of_narrow_and_wide_ids(order: int, vocabulary_size: int) -> None:
    rng = np.random.default_rng(0)
    ids = vocabulary_size - 4 + np.tile(rng.integers(0, 4, 40), 3)
    ids[::17] = E
    counts = count_ngrams(ids, order, vocabulary_size)
    text = [E, *ids.tolist()]
    expected: dict[tuple[int, ...], int] = {}
    for start in range(len(text) - order + 1):
        found = tuple(text[start : start + order])
        if E not in found[1:-1]:
            expected[found] = expected.get(found, 0) + 1
    assert table(counts, order) == expected
    assert list(expected) != sorted(expected) == strings(counts, order)


def test_pruning_drops_rare_n_grams_of_high_orders_first() -> None:
    whole = count_ngrams(TEXT, 3, 4)
    assert whole.ngrams == [4, 7, 8]
    pruned = count_ngrams(TEXT, 3, 4, max_ngrams=18)
    assert pruned.ngrams == [4, 7]  # every trigram occurs once
    assert table(pruned, 2) == table(count_ngrams(TEXT, 2, 4), 2)  # how often they occur
    pruned = count_ngrams(TEXT, 3, 4, max_ngrams=9)
    assert table(pruned, 2) == {(E, A): 3, (A, B): 3, (B, E): 2}
    assert table(pruned, 1) == table(whole, 1)
    assert pruned.arrays["ngram.1.dropped"].tolist() == [0, 1, 1, 2]
    assert pruned.discounts == whole.discounts[:2]


def test_pruning_lowers_the_order_when_it_must() -> None:
    ids = np.tile([A, B, B], 10)  # everything occurs often
    assert count_ngrams(ids, 5, 4).order == 5
    counts = count_ngrams(ids, 5, 4, max_ngrams=7)
    assert counts.order == 2
    assert table(counts, 2) == {(A, B): 10, (B, A): 9, (B, B): 10}
    assert count_ngrams(ids, 5, 4, max_ngrams=4).order == 1


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 6), st.integers(4, 60))
@settings(max_examples=60, deadline=None)
def test_pruning_keeps_the_limit_prefixes_and_suffixes(
    ids: list[int], order: int, limit: int
) -> None:
    counts = count_ngrams(np.array(ids, np.uint8), order, 4, max_ngrams=limit)
    assert sum(counts.ngrams) <= limit
    for k in range(2, counts.order + 1):
        shorter = set(strings(counts, k - 1))
        assert all(found[:-1] in shorter and found[1:] in shorter for found in strings(counts, k))


@pytest.mark.parametrize(("order", "limit"), [(0, 100), (17, 100), (2, 3)])
def test_settings_out_of_range(order: int, limit: int) -> None:
    with pytest.raises(SettingsError):
        count_ngrams(TEXT, order, 4, max_ngrams=limit)


def test_smallest_dtypes() -> None:
    counts = count_ngrams(np.tile(np.array([A, B], np.uint32), 200), 2, 300)
    dtypes = {name: array.dtype.name for name, array in counts.arrays.items()}
    assert dtypes == {
        "ngram.1.count": "uint8",
        "ngram.1.children": "uint8",
        "ngram.2.character": "uint16",
        "ngram.2.count": "uint8",
    }


@pytest.mark.parametrize("limit", [100, 9])
def test_round_trip(limit: int) -> None:
    counts = count_ngrams(TEXT, 3, 4, max_ngrams=limit)
    description = json.loads(json.dumps(counts.description()))
    expected = expected_tensors(description)
    assert {name: (a.dtype.name, a.shape) for name, a in counts.arrays.items()} == expected
    again = NgramCounts.from_tensors(description, {**counts.arrays, "another": np.zeros(3)})
    assert again.description() == counts.description()
    assert again.discounts == counts.discounts
    for name, array in counts.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("order", 0),
        ("order", 17),
        ("order", 2),
        ("order", "3"),
        ("order", True),
        ("vocabulary_size", 5),
        ("vocabulary_size", -4),
        ("vocabulary_size", 1 << 40),
        ("vocabulary_size", None),
        ("ngrams", [4, 7]),
        ("ngrams", [4, 7, -1]),
        ("ngrams", [4, 7, 1 << 40]),
        ("ngrams", [4, 7, 8.0]),
        ("ngrams", 4),
        ("discounts", [[0.5, 1.0, 1.5]] * 2),
        ("discounts", [[0.5, 1.0]] * 3),
        ("discounts", [[0.5, 1.0, 3.5]] * 3),
        ("discounts", [[0.0, 1.0, 1.5]] * 3),
        ("discounts", [[float("nan"), 1.0, 1.5]] * 3),
        ("discounts", [None] * 3),
        ("dtypes", {}),
        ("dtypes", []),
        ("dtypes", {"weight": "float32"}),
    ],
)
def test_hostile_descriptions(key: str, value: Any) -> None:
    description = count_ngrams(TEXT, 3, 4).description() | {key: value}
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        expected_tensors(description)


@pytest.mark.parametrize("dtype", ["float32", "int64", ["uint8"], None])
def test_hostile_dtypes(dtype: Any) -> None:
    description = count_ngrams(TEXT, 3, 4).description()
    description["dtypes"]["ngram.3.count"] = dtype
    with pytest.raises(CheckpointError):
        expected_tensors(description)


@pytest.mark.parametrize("nonsense", [None, [], "ngram", {}])
def test_what_is_no_description(nonsense: Any) -> None:
    with pytest.raises(CheckpointError):
        expected_tensors(nonsense)


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("ngram.1.children", 0, 200),  # more children than there are
        ("ngram.2.children", 2, 0),  # fewer
        ("ngram.2.character", 0, 4),  # not in the vocabulary
        ("ngram.2.character", 0, A),  # twice in a family
        ("ngram.3.character", 0, B),
        ("ngram.3.count", 5, 0),
    ],
)
def test_hostile_arrays(name: str, index: int, value: int) -> None:
    counts = count_ngrams(TEXT, 3, 4)
    array = counts.arrays[name].copy()
    array[index] = value
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        NgramCounts.from_tensors(counts.description(), {**counts.arrays, name: array})


def test_missing_or_misshapen_arrays() -> None:
    counts = count_ngrams(TEXT, 3, 4)
    name = "ngram.3.count"
    for other in ({}, {name: counts.arrays[name][1:]}, {name: counts.arrays[name].astype(int)}):
        arrays = {key: array for key, array in counts.arrays.items() if key != name}
        with pytest.raises(CheckpointError, match=name):
            NgramCounts.from_tensors(counts.description(), arrays | other)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_arrays_are_rejected_or_make_a_model(data: st.DataObject) -> None:
    counts = count_ngrams(TEXT, 3, 4, max_ngrams=data.draw(st.sampled_from([9, 100])))
    arrays = {name: array.copy() for name, array in counts.arrays.items()}
    for _ in range(data.draw(st.integers(1, 3))):
        array = arrays[data.draw(st.sampled_from(sorted(arrays)))]
        if len(array):
            array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(0, 5))
    try:
        model = NgramModel(NgramCounts.from_tensors(counts.description(), arrays))
    except CheckpointError:
        return
    found, _ = model.forward(TEXT[None], model.initial_state(1))
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)
