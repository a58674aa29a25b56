from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charrnn.text.reading import Reading
from charrnn.text.splitting import Split
from tests.text.support import FILES, LINES, load, write


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARRNN_CACHE", str(Path("cache").resolve()))
    return Path("cache")


def assert_same(one: Split, other: Split) -> None:
    assert one.training.tolist() == other.training.tolist()
    assert one.seams.tolist() == other.seams.tolist()
    assert one.held_out.starts.tolist() == other.held_out.starts.tolist()
    assert one.held_out.lengths.tolist() == other.held_out.lengths.tolist()
    assert (one.starts is None) == (other.starts is None)
    if one.starts is not None and other.starts is not None:
        assert one.starts.tolist() == other.starts.tolist()


@pytest.mark.parametrize("reading", [FILES, LINES])
def test_a_large_split_is_made_once(
    reading: Reading, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write("a.txt", "abc\ndef\n" * 300), write("b.txt", "ghi\njkl\n" * 200)]
    corpus = load(*files, reading=reading)
    expected = [corpus.split(0.1, seed) for seed in (1, 2)]
    monkeypatch.setattr("charrnn.text.corpus.MAX_IN_MEMORY", 10)
    before = len(list(own_cache.glob("*.ids")))
    for seed in (1, 2):
        assert_same(corpus.split(0.1, seed), expected[seed - 1])
    assert len(list(own_cache.glob("*.ids"))) == before + 2

    def refuse(*arguments: object) -> None:
        raise AssertionError("split again")

    for name in ("split_files", "split_lines"):
        monkeypatch.setattr(f"charrnn.text.corpus.{name}", refuse)
    again = corpus.split(0.1, seed=2)
    assert_same(again, expected[1])
    assert isinstance(again.training, np.memmap)


def test_one_text_is_not_copied(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.corpus.MAX_IN_MEMORY", 10)
    corpus = load(write("a.txt", "abc" * 300))
    assert len(corpus.split(0.1, seed=1).training) == 811
    assert len(list(own_cache.glob("*.ids"))) == 1
