from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charrnn.text import cache
from charrnn.text import corpus as corpus_module
from tests.text.support import AWKWARD, LINES, load, text_of, write


def test_encoded_text_is_cached_as_a_memory_map(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.txt", AWKWARD)
    first = load("a.txt")

    def refuse(*arguments: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(corpus_module, "_encode", refuse)
    second = load("a.txt")
    assert isinstance(second.ids, np.memmap)
    assert np.array_equal(first.ids, second.ids)
    assert (first.vocabulary, first.part_ends) == (second.vocabulary, second.part_ends)


def test_the_cache_tells_contents_and_settings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(Path("cache").resolve()))
    write("a.txt", "ab\nb")
    write("b.txt", "ab\nc")
    found = {
        text_of(load("a.txt")),
        text_of(load("a.txt", reading=LINES)),
        text_of(load("a.txt", min_count=2)),
        text_of(load("b.txt")),
        text_of(load("a.txt", "b.txt")),
        text_of(load("b.txt", "a.txt")),
    }
    unknown = "\N{REPLACEMENT CHARACTER}"
    assert found == {
        "ab\nb|",
        "ab|b|",
        f"{unknown}b{unknown}b|",
        "ab\nc|",
        "ab\nb|ab\nc|",
        "ab\nc|ab\nb|",
    }
    assert len(list(Path("cache").glob("*.npy"))) == 6


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".json", b""),
        (".json", b"[]"),
        (".json", b'{"code_points": [98, 97], "part_ends": [4]}'),
        (".json", b'{"code_points": [97], "part_ends": [9]}'),
        (".npy", b""),
        (".npy", b"\x80\x04pickle"),
    ],
)
def test_a_damaged_cache_is_made_anew(
    suffix: str, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    write("a.txt", "abc")
    load("a.txt")
    (entry,) = Path("cache").glob(f"*{suffix}")
    entry.write_bytes(damage)
    assert text_of(load("a.txt")) == "abc|"


def test_without_a_place_for_the_cache_the_corpus_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("occupied", "a file, not a directory")
    monkeypatch.setenv("CHARRNN_CACHE", "occupied/cache")
    assert text_of(load(write("a.txt", "abc"))) == "abc|"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CHARRNN_CACHE": "/one"}, "/one"),
        ({"CHARRNN_CACHE": "", "XDG_CACHE_HOME": "/two"}, "/two/charrnn"),
        ({"CHARRNN_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/me"}, "/me/.cache/charrnn"),
    ],
)
def test_where_the_cache_is(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache.cache_directory()) == expected
