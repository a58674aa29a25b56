from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.cli.cache import KEYS
from charrnn.text import cache
from tests.conftest import Command
from tests.faults.support import TINY, on_terminal
from tests.support import prose
from tests.text.support import load, text_of, write


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two texts, and what a killed process left."""
    directory = Path("cache").resolve()
    monkeypatch.setenv("CHARRNN_CACHE", str(directory))
    load(write("a.txt", "abc" * 1000))
    load(write("b.txt", "bcd"), write("c\n.txt", "d"))
    return directory


def test_entries_are_shown_with_what_they_take(own_cache: Path, charrnn: Command) -> None:
    result = charrnn("cache", "--json")
    assert result.status == 0
    found = {record["corpus"]: record for record in result.records}
    assert set(found) == {"a.txt", "b.txt c\n.txt"}
    assert all(tuple(record) == KEYS for record in result.records)
    assert found["a.txt"]["bytes"] == Path(found["a.txt"]["file"]).stat().st_size > 3000
    lines = charrnn("cache").out.splitlines()
    assert lines[0] == "\t".join(KEYS)
    assert {line.split("\t")[0] for line in lines[1:]} == {"a.txt", "b.txt c\\n.txt"}
    assert len(charrnn("cache", "a.txt", "--json").records) == 1


def test_a_terminal_shows_a_table(own_cache: Path) -> None:
    status, shown = on_terminal("cache")
    assert status == 0
    assert "last used" in shown
    assert "a.txt" in shown
    assert f"MB in {own_cache}" in shown


def test_clearing_removes_everything(own_cache: Path, charrnn: Command) -> None:
    (own_cache / ".entry.ids.00ff.partial").write_bytes(b"of a killed process")
    (own_cache / f"{'0' * 32}.ids").write_bytes(b"damaged")
    result = charrnn("cache", "--clear")
    assert (result.status, result.out) == (0, "")
    assert "removed 0.0 MB from" in result.err
    assert {path.name for path in own_cache.iterdir()} == {".writers"}
    assert charrnn("cache", "--json").records == []
    assert text_of(load("b.txt")) == "bcd|"


def test_one_text_can_be_cleared(own_cache: Path, charrnn: Command) -> None:
    assert charrnn("cache", "--clear", "a.txt").status == 0
    assert [record["corpus"] for record in charrnn("cache", "--json").records] == ["b.txt c\n.txt"]


def test_without_a_cache_there_is_nothing_to_show(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(Path("nowhere").resolve()))
    for options in ((), ("--clear",), ("--json",)):
        assert charrnn("cache", *options).status == 0
    assert not Path("nowhere").exists()


def test_training_tells_what_a_large_cache_takes(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "NOTICED", 1)
    train = ("train", write("p.txt", prose(20)), *TINY, "--steps", "2", "--json")
    first = charrnn(*train, "-o", "one")
    assert first.status == 0
    assert "encoded texts take 0.0 GB in" in first.err
    assert "charrnn cache --clear removes them" in first.err
    assert "encoded texts" not in charrnn(*train, "-o", "two").err  # nothing was added
    assert {record["event"] for record in first.records} >= {"start", "done"}
