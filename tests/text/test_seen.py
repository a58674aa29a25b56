"""Second starts: nothing is read again, and every change is noticed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from charrnn import platform
from charrnn.text import seen
from charrnn.text.corpus import Corpus
from charrnn.text.reading import Source
from tests.text.support import LINES, load, text_of, write

OLD = (1_000_000_000, 1_000_000_000)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own; and files count as settled at once: the tests do not wait for that."""
    monkeypatch.setenv("CHARRNN_CACHE", str(Path("cache").resolve()))
    monkeypatch.setattr(seen, "TICK", -1_000_000_000)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the texts that are read, once for each time."""
    names: list[str] = []
    original = Source.blocks

    def blocks(self: Source) -> object:
        names.append(self.name)
        return original(self)

    monkeypatch.setattr(Source, "blocks", blocks)
    return names


def test_an_unchanged_text_is_not_read_again(passes: list[str]) -> None:
    first = load(write("a.txt", "abc"), write("b.txt", "bcd"))
    assert passes == ["a.txt", "b.txt"]
    second = load("a.txt", "b.txt")
    assert passes == ["a.txt", "b.txt"]
    assert same(first, second)


def same(one: Corpus, other: Corpus) -> bool:
    facts = [(each.digest, each.names, each.document_count, text_of(each)) for each in (one, other)]
    return facts[0] == facts[1]


def test_a_long_text_is_counted_and_then_encoded(
    passes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.text.corpus.READ_ONCE", 2)
    assert text_of(load(write("a.txt", "abc"))) == "abc|"
    assert passes == ["a.txt"] * 2
    assert text_of(load("a.txt")) == "abc|"
    assert passes == ["a.txt"] * 2


def test_a_change_of_the_same_length_is_noticed_although_its_time_was_restored() -> None:
    load(write("a.txt", "abc"))
    os.utime("a.txt", OLD)
    assert text_of(load("a.txt")) == "abc|"
    before = Path("a.txt").stat()
    time.sleep(0.02)  # a tick of the file system's clock
    write("a.txt", "abd")
    os.utime("a.txt", OLD)
    after = Path("a.txt").stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    assert text_of(load("a.txt")) == "abd|"


def test_another_file_in_its_place_is_noticed() -> None:
    load(write("a.txt", "abc"))
    os.replace(write("b.txt", "abd"), "a.txt")
    assert text_of(load("a.txt")) == "abd|"


def test_a_file_that_joins_a_directory_is_noticed() -> None:
    Path("many").mkdir()
    write("many/a.txt", "abc")
    assert text_of(load("many")) == "abc|"
    write("many/b.txt", "d")
    assert text_of(load("many")) == "abc|d|"
    Path("many/a.txt").unlink()
    assert text_of(load("many")) == "d|"


def test_another_way_to_read_is_another_question(passes: list[str]) -> None:
    write("a.txt", "ab\nb")
    assert [text_of(each) for each in (load("a.txt"), load("a.txt", reading=LINES))] == [
        "ab\nb|", "ab|b|"
    ]
    assert "\N{REPLACEMENT CHARACTER}" in text_of(load("a.txt", min_count=2))
    assert len(passes) == 3


def test_a_text_that_changed_just_before_it_was_read_is_read_again(
    passes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next change might come within the same tick of the clock, with the same status."""
    monkeypatch.setattr(seen, "TICK", 3600 * 10**9)
    load(write("a.txt", "abc"))
    load("a.txt")
    assert passes == ["a.txt"] * 2


def test_a_system_without_a_time_of_change_reads_again(
    passes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "fingerprint", lambda status: None)
    load(write("a.txt", "abc"))
    load("a.txt")
    assert passes == ["a.txt"] * 2


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"status": 1}', b"[" * 5000])
def test_a_damaged_record_or_a_lost_entry_is_no_answer(damage: bytes) -> None:
    load(write("a.txt", "abc"))
    (record,) = Path("cache").glob("*.seen")
    record.write_bytes(damage)
    assert text_of(load("a.txt")) == "abc|"
    (entry,) = Path("cache").glob("*.ids")
    entry.unlink()
    assert text_of(load("a.txt")) == "abc|"


def test_a_relative_name_means_the_file_in_this_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    load(write("a.txt", "abc"))
    Path("below").mkdir()
    monkeypatch.chdir("below")
    assert text_of(load(write("a.txt", "abd"))) == "abd|"


