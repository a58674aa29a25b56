from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text import documents as documents_module
from charrnn.text.splitting import Split, draw_lines, split_files, split_lines
from charrnn.text.vocabulary import EOS

LINES = st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=300)
FILES = st.lists(
    st.one_of(st.integers(1, 40), st.integers(1, 30_000)).map(lambda n: "ab" * (n // 2) + "b"),
    min_size=1,
    max_size=40,
)


def ids_of(*texts: str) -> npt.NDArray[np.uint8]:
    """The texts, each ended by EOS; a is 2."""
    joined = "".join(text + "|" for text in texts)
    return np.array([EOS if c == "|" else ord(c) - ord("a") + 2 for c in joined], np.uint8)


def text_of(ids: npt.NDArray[np.uint8]) -> str:
    """Characters, with | for EOS."""
    return "".join("|" if i == EOS else chr(ord("a") + i - 2) for i in ids.tolist())


def shown(split: Split) -> tuple[str, list[str]]:
    """The training text, with / at each seam, and the texts that are held out."""
    parts = np.split(split.training, split.seams)
    documents = split.held_out
    texts = [
        text_of(documents.ids[start : start + length])
        for start, length in zip(documents.starts, documents.lengths, strict=True)
    ]
    return "/".join(text_of(part) for part in parts), texts


# --- files


@pytest.mark.parametrize(
    ("texts", "fraction", "training", "held_out"),
    [
        (["abcdefghi"], 0.3, "abcdefg", ["hi"]),  # ten ids, EOS included
        (["abcdefghi"], 0.0, "abcdefghi|", []),
        (["abcdefghi"], 0.05, "abcdefghi|", []),  # half an id
        (["abcdefghi", "lmnop"], 0.3, "abcdefg/lmnop|", ["hi"]),
        (["abcdefghi", "lmnop"], 0.5, "abcde/lmn", ["fghi", "op"]),
        (["abcdefghi", "lmnop"], 0.0, "abcdefghi|lmnop|", []),
    ],
)
def test_each_document_gives_its_end(
    texts: list[str], fraction: float, training: str, held_out: list[str]
) -> None:
    assert shown(split_files(ids_of(*texts), fraction, seed=1)) == (training, held_out)


def test_of_many_short_documents_whole_ones_are_held_out() -> None:
    poems = [f"{'abcdefghij'[number // 100] * 9}" * 100 for number in range(1000)]
    split = split_files(ids_of(*poems), 0.05, seed=1)
    training, held_out = shown(split)
    assert not len(split.seams)
    counts = Counter(text[0] for text in held_out)
    assert dict(counts) == dict.fromkeys("abcdefghij", 5)  # of each hundred neighbours five
    assert Counter(training[:-1].split("|")) + Counter(held_out) == Counter(poems)


@given(FILES, st.floats(0, 0.95), st.integers(0, 2**32))
def test_no_character_and_no_end_of_a_document_is_lost(
    texts: list[str], fraction: float, seed: int
) -> None:
    ids = ids_of("ab", *texts)
    split = split_files(ids, fraction, seed)
    training, held_out = split.training, split.held_out
    starts = np.concatenate([[0], np.flatnonzero(ids == EOS)[:-1] + 1])
    ends = np.flatnonzero(ids == EOS) + 1
    held = np.zeros(len(ids), bool)
    for start, length in zip(held_out.starts, held_out.lengths, strict=True):
        held[start : start + length + 1] = True  # its EOS too
        assert ids[start + length] == EOS
    assert int((ids == EOS).sum()) == int((training == EOS).sum()) + len(held_out.starts)
    assert training.tolist() == ids[~held].tolist()
    # every document begins after an EOS or at a seam, and nothing else does
    lengths = ends - starts - np.add.reduceat(held, starts)
    begins = np.concatenate([[0], np.flatnonzero(training[:-1] == EOS) + 1, split.seams])
    assert np.unique(begins).tolist() == np.unique(lengths.cumsum() - lengths)[
        : np.count_nonzero(lengths)
    ].tolist()
    assert split.starts is not None
    assert split.starts.tolist() == np.unique(begins).tolist()
    # as much is held out as was asked for, but for one piece and rounding
    assert abs(len(ids) - len(training) - fraction * len(ids)) <= 1000 + len(texts)


@pytest.mark.parametrize("seed", range(5))
def test_two_corpora_are_held_out_in_proportion(seed: int) -> None:
    """A book of half a million characters and five hundred poems of a thousand."""
    book, poems = "a" * 499_999, ["b" * 999] * 500
    for texts in ([book, *poems], [*poems, book]):
        split = split_files(ids_of(*texts), 0.02, seed)
        counts = np.bincount(split.training, minlength=4)
        assert counts[2] == 490_000
        assert counts[3] == 490 * 999
        assert split.held_out.characters == 10_000 - 1 + 10 * 999


def test_the_seed_draws_the_short_documents() -> None:
    ids = ids_of(*(chr(ord("a") + number % 26) * 99 for number in range(400)))
    draws = {shown(split_files(ids, 0.05, seed))[0] for seed in range(10)}
    assert len(draws) > 5
    assert shown(split_files(ids, 0.05, seed=3)) == shown(split_files(ids, 0.05, seed=3))


# --- lines


@given(LINES, st.floats(0, 0.95), st.integers(0, 2**32))
def test_training_and_held_out_lines_make_up_the_corpus(
    lines: list[str], fraction: float, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "BLOCK", 7)
        training, held_out = shown(split_lines(ids_of(*lines), fraction, seed))
    whole = [line + "|" for line in lines]
    kept = [line + "|" for line in training.split("|")[:-1]]
    assert Counter(kept) + Counter(held_out) == Counter(whole)
    rest = iter(whole)
    assert all(line in rest for line in kept), "in the order of the corpus"
    rest = iter(whole)
    assert all(line in rest for line in held_out)
    wanted = min(len(lines) - 1, max(1, round(fraction * len(lines)))) if fraction else 0
    assert len(held_out) == wanted


def test_of_a_sorted_list_lines_from_everywhere_are_held_out() -> None:
    lines = sorted(first + second for first in "abcdefghij" for second in "abcdefghijklmnop")
    _, held_out = shown(split_lines(ids_of(*lines), 0.125, seed=1))
    assert Counter(line[0] for line in held_out) == dict.fromkeys("abcdefghij", 2)


def test_the_seed_draws_the_lines() -> None:
    draws = [tuple(draw_lines(1000, 0.01, seed).tolist()) for seed in range(20)]
    assert len(set(draws)) == 20
    assert draws[3] == tuple(draw_lines(1000, 0.01, seed=3).tolist())
    assert all(np.unique(drawn).size == 10 for drawn in draws)
    every = np.concatenate([draw_lines(10, 0.2, seed) for seed in range(1000)])
    assert abs(np.bincount(every, minlength=10) - 200).max() < 60  # each as often as any other


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [(1, 0.5, 0), (2, 0.1, 1), (10, 0.0, 0), (10, 0.01, 1), (10, 0.94, 9), (3, 0.99, 2)],
)
def test_one_line_at_least_is_on_either_side(count: int, fraction: float, expected: int) -> None:
    assert len(draw_lines(count, fraction, seed=1)) == expected


def test_a_long_training_text_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ids_of(*("abc" for _ in range(100)))
    expected = split_lines(ids, 0.1, seed=1).training
    monkeypatch.setattr(documents_module, "MAX_IN_MEMORY", 10)
    training = split_lines(ids, 0.1, seed=1).training
    assert isinstance(training, np.memmap)
    assert training.tolist() == expected.tolist()
