"""Counting block by block against counting at once, what pruning may lose, and steps in time."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import (
    NgramCounter,
    bit_reversed_order,
    count_ngrams,
    recent_first,
)
from charrnn.models.ngram_counts import NgramCounts

E = 1
V = 5
TEXTS = st.lists(st.integers(0, V - 1), max_size=80).map(lambda ids: np.array(ids, np.uint8))
ORDERS = st.integers(1, 6)


def assert_same(one: NgramCounts, other: NgramCounts) -> None:
    assert one.description() == other.description()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


def tables(counts: NgramCounts) -> list[dict[tuple[int, ...], int]]:
    """Of each order, the n-grams with their adjusted counts."""
    strings: list[tuple[int, ...]] = [(index,) for index in range(counts.vocabulary_size)]
    found = [dict(zip(strings, counts.arrays["ngram.1.count"].tolist(), strict=True))]
    for k in range(2, counts.order + 1):
        parents = np.repeat(np.arange(len(strings)), counts.arrays[f"ngram.{k - 1}.children"])
        last = counts.arrays[f"ngram.{k}.character"]
        strings = [(*strings[parent], int(c)) for parent, c in zip(parents, last, strict=True)]
        found.append(dict(zip(strings, counts.arrays[f"ngram.{k}.count"].tolist(), strict=True)))
    return found


def plain_tables(ids: list[int], order: int, *, sentence_start: bool) -> list[dict[object, int]]:
    """The same, as plainly as adjusted counts can be put."""
    text = [E, *ids] if sentence_start else ids
    raw = []
    for k in range(1, order + 1):
        first = int(sentence_start and k == 1)
        grams = [tuple(text[i : i + k]) for i in range(first, len(text) - k + 1)]
        raw.append(Counter(gram for gram in grams if E not in gram[1:-1]))
    found: list[dict[object, int]] = []
    for k, counter in enumerate(raw, 1):
        preceded = Counter(gram[1:] for gram in raw[k]) if k < order else Counter()
        adjusted: dict[object, int] = {(index,): 0 for index in range(V)} if k == 1 else {}
        for gram, count in counter.items():
            as_is = k == order or (k > 1 and gram[0] == E)
            adjusted[gram] = count if as_is else max(preceded[gram], 1)
        if k == 1 and sentence_start and order > 1 and preceded[(E,)]:
            adjusted[(E,)] = preceded[(E,)]
        found.append(adjusted)
    return found


@given(TEXTS, ORDERS, st.booleans(), st.integers(1, 20), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_steps_and_blocks_of_any_size_count_exactly(
    ids: npt.NDArray[np.uint8], order: int, start: bool, block: int, blocks: int, threads: int
) -> None:
    counter = NgramCounter(ids, order, V, sentence_start=start, block=block, step=block * blocks)
    assert sum(counter.count(threads)) == len(ids)
    counts = counter.finish()
    assert tables(counts) == plain_tables(ids.tolist(), order, sentence_start=start)
    assert_same(counts, count_ngrams(ids, order, V, sentence_start=start))
    assert not any(counter.missing)


@given(TEXTS, ORDERS, st.integers(V, 60), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_pruning_at_the_end_does_not_depend_on_blocks(
    ids: npt.NDArray[np.uint8], order: int, limit: int, block: int
) -> None:
    counter = NgramCounter(ids, order, V, max_ngrams=10_000, block=block, step=3 * block)
    list(counter.count())
    assert_same(counter.finish(limit), count_ngrams(ids, order, V, max_ngrams=limit))


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pruning while counting, and tries in files, with texts of a few hundred characters."""
    monkeypatch.setattr("charrnn.models.ngram_counter.STEP_NGRAMS", 40)
    monkeypatch.setattr("charrnn.models.ngram_counter.WORKING_SHARE", 1.2)
    monkeypatch.setattr("charrnn.models.ngram_trie.IN_MEMORY", 20)


def repetitive(seed: int, length: int = 600) -> npt.NDArray[np.uint8]:
    """Words from a small lexicon, so that some n-grams are frequent and many are rare."""
    rng = np.random.default_rng(seed)
    words = [rng.integers(E, V, rng.integers(1, 6)) for _ in range(12)]
    return np.concatenate([words[i] for i in rng.geometric(0.25, length) % 12])[:length].astype(
        np.uint8
    )


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("seed", range(5))
def test_lossy_counts_stay_within_the_stated_bound(seed: int, tmp_path: Path) -> None:
    ids, order = repetitive(seed), 5
    counter = NgramCounter(ids, order, V, max_ngrams=150, block=20, step=60, directory=tmp_path)
    list(counter.count())
    counts, missing = counter.finish(), counter.missing
    assert any(missing)
    assert missing == sorted(missing)
    assert sum(counts.ngrams) <= 150
    found = tables(counts)
    exact = plain_tables(ids.tolist(), counts.order, sentence_start=True)
    edges = counter.steps * (order - 1)
    for gram, count in found[-1].items():
        assert exact[-1][gram] - missing[-1] - edges <= count <= exact[-1][gram]
    for k, grams in enumerate(found[1:], 1):
        assert all(gram[:-1] in found[k - 1] and gram[1:] in found[k - 1] for gram in grams)
        assert set(grams) <= set(exact[k])


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("seed", range(5))
def test_lossy_counts_make_probabilities(seed: int) -> None:
    ids = repetitive(seed)
    counter = NgramCounter(ids, 5, V, max_ngrams=150, block=20, step=60)
    list(counter.count())
    model = NgramModel(counter.finish())
    found, _ = model.forward(ids[None].astype(np.int64), model.initial_state(1))
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)


@pytest.mark.usefixtures("small_limits")
def test_lossy_counts_do_not_depend_on_threads() -> None:
    ids = repetitive(0)
    made = []
    for threads in (1, 2, 3):
        counter = NgramCounter(ids, 5, V, max_ngrams=150, block=20, step=60)
        list(counter.count(threads))
        made.append(counter.finish())
    assert_same(made[0], made[1])
    assert_same(made[0], made[2])


def test_counting_may_stop_and_go_on() -> None:
    ids = repetitive(1)
    counter = NgramCounter(ids, 3, V, block=20, step=40)
    assert sum(islice(counter.count(), 4)) == 160
    steps = bit_reversed_order(counter.steps)[:4]
    text = [E, *ids.tolist()]
    expected: Counter[tuple[int, ...]] = Counter()
    for step in steps:  # n-grams that begin in the step, with the start of the text in the first
        for i in range(step * 40 + (step > 0), step * 40 + 41):
            gram = tuple(text[i : i + 3])
            expected[gram] += len(gram) == 3 and gram[1] != E
    assert tables(counter.finish())[2] == {gram: n for gram, n in expected.items() if n}
    list(counter.count(2))
    assert_same(counter.finish(), count_ngrams(ids, 3, V))


def test_chosen_steps_are_counted_once() -> None:
    ids = repetitive(1)[:290]
    counter = NgramCounter(ids, 3, V, block=20, step=40)
    assert list(counter.count(steps=[7, 3])) == [10, 40]
    assert counter.finish().arrays["ngram.1.count"].any()
    assert list(counter.count(2, [3, 0])) == [40]
    assert list(counter.count(2)) == [40] * 5
    assert_same(counter.finish(), count_ngrams(ids, 3, V))


@pytest.mark.parametrize(
    ("characters", "recent", "gap", "expected"),
    [
        (290, 0, 0, ([], [0, 4, 2, 6, 1, 5, 3, 7], [])),
        # The gap begins at 260, in the step of 240 to 280; what is recent at 150, in that of 120.
        (290, 140, 30, ([5, 4, 3], [0, 2, 1], [6, 7])),
        (290, 1000, 0, ([7, 6, 5, 4, 3, 2, 1, 0], [], [])),
        (90, 1000, 1000, ([0], [], [1, 2])),
        (30, 1000, 1000, ([0], [], [])),
        (0, 10, 10, ([0], [], [])),
    ],
)
def test_the_recent_steps_come_first(
    characters: int, recent: int, gap: int, expected: tuple[list[int], list[int], list[int]]
) -> None:
    assert recent_first(characters, 40, recent, gap) == expected


def test_rare_long_ngrams_are_dropped_in_each_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.models.ngram_counter.LONG", 3)
    text = [2, 3, 4, 2, 3, 4, 3, 2, 4, 4, 3, 2, 4, 4]  # 2 3 4 and 4 3 2 twice in the first block
    counter = NgramCounter(np.array(text), 3, V, sentence_start=False, block=10, step=10)
    list(counter.count(steps=[0], cutoff=1))
    assert counter.missing == [0, 0, 1]
    list(counter.count())
    found = tables(counter.finish())
    assert found[2] == {(2, 3, 4): 2, (4, 3, 2): 2, (3, 2, 4): 1, (2, 4, 4): 1}
    assert found[1].keys() == plain_tables(text, 3, sentence_start=False)[1].keys()


def test_a_memory_map_is_counted(tmp_path: Path) -> None:
    ids = repetitive(2)
    np.save(tmp_path / "ids.npy", ids)
    mapped = np.load(tmp_path / "ids.npy", mmap_mode="r")
    assert_same(count_ngrams(mapped, 4, V), count_ngrams(ids, 4, V))


@pytest.mark.usefixtures("small_limits")
def test_temporary_files_are_gone(tmp_path: Path) -> None:
    counter = NgramCounter(
        repetitive(3), 5, V, max_ngrams=200, block=20, step=60, directory=tmp_path
    )
    list(counter.count())
    counter.finish()
    del counter
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13, 100])
def test_every_prefix_is_spread_evenly(n: int) -> None:
    order = bit_reversed_order(n)
    assert sorted(order) == list(range(n))
    for taken in range(1, n + 1):
        gaps = np.diff([-1, *sorted(order[:taken]), n])
        assert gaps.max() <= 2 * n / taken + 1
