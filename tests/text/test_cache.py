from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.text import cache
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import OVERHEAD, Corpus
from charrnn.text.vocabulary import Vocabulary
from tests.text.support import AWKWARD, LINES, load, text_of, write


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's cache will be."""
    directory = Path("deep/cache").resolve()
    monkeypatch.setenv("CHARRNN_CACHE", str(directory))
    return directory


def test_encoded_text_is_cached_as_a_memory_map(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.txt", AWKWARD)
    first = load("a.txt")

    def refuse(*arguments: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(corpus_module, "write_entry", refuse)
    second = load("a.txt")
    assert isinstance(second.ids, np.memmap)
    assert np.array_equal(first.ids, second.ids)
    assert first.vocabulary == second.vocabulary


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
    assert len(list(Path("cache").glob("*.ids"))) == 6


ARRAYS: dict[str, list[Any]] = {"ids": ["|u1", 0, 4], "ends": ["<i8", 64, 1]}


def described(arrays: dict[str, list[Any]], **facts: object) -> bytes:
    """An entry of "abc" with this description."""
    given = {
        "key": "", "digest": "", "code_points": [97, 98, 99], "documents": 1, "unknown": 0, **facts
    }
    description = json.dumps({"arrays": arrays, "facts": given}).encode()
    body = b"\2\3\4\1".ljust(64, b"\0") + (4).to_bytes(8, "little")
    return body + description + b"charrnn\n" + len(description).to_bytes(8, "little")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]\n" + b"\2\3\4\1",
        b"\2\3\4\1" + b"charrnn\n" + (1 << 60).to_bytes(8, "little"),
        described({**ARRAYS, "ids": ["|u1", 0, 5]}),
        described({**ARRAYS, "ids": ["|u1", 0, 3]}),
        described({**ARRAYS, "ids": ["|u1", 0, -1]}),
        described({**ARRAYS, "ids": ["|u1", 0, "4"]}),
        described({**ARRAYS, "ids": ["|u1", 0, 4.0]}),
        described({**ARRAYS, "ids": ["|O", 0, 4]}),
        described({**ARRAYS, "ids": ["<u2", 0, 4]}),
        described({"ends": ARRAYS["ends"]}),
        described({**ARRAYS, "ends": ["<i8", 64, 2]}),
        described(ARRAYS, code_points=[98, 97, 99]),
        described(ARRAYS, code_points="abc"),
        described(ARRAYS, code_points=[*range(300)]),
        described(ARRAYS, documents=0),
        described(ARRAYS, digest=None, documents="many"),
        b"[" * 100_000 + b"charrnn\n" + (100_000).to_bytes(8, "little"),
        b"\x80\x04pickle",
    ],
)
def test_a_damaged_cache_is_rebuilt(damage: bytes, own_cache: Path) -> None:
    write("a.txt", "abc")
    load("a.txt")
    (entry,) = own_cache.glob("*.ids")
    entry.write_bytes(damage)
    assert text_of(load("a.txt")) == "abc|"


def test_an_interrupt_while_an_entry_is_created_leaves_nothing(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = os.open

    def interrupted(path: Path, *more: int) -> int:
        descriptor = create(path, *more)
        if path.suffix != ".partial":
            return descriptor
        os.close(descriptor)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(write("text.txt", AWKWARD))
    assert not list(own_cache.glob(".*.partial"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_nobody_else_can_read_the_cache(own_cache: Path) -> None:
    before = os.umask(0)
    try:
        load(write("a.txt", "abc"))
    finally:
        os.umask(before)
    assert mode(own_cache) == 0o700
    assert [mode(path) for path in own_cache.glob("*.ids")] == [0o600]


def test_the_mode_of_a_directory_that_is_there_is_left_alone(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    own_cache.chmod(0o750)
    load(write("a.txt", "abc"))
    assert mode(own_cache) == 0o750


@pytest.mark.parametrize("piped", ["-", "fifo"])
def test_nothing_of_a_pipe_is_kept(
    piped: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"secret")))
    if piped == "fifo":
        os.mkfifo(piped)
        threading.Thread(target=Path(piped).write_bytes, args=(b"secret",), daemon=True).start()
    assert text_of(load(piped, write("a.txt", "abc"))) == "secret|abc|"
    assert not own_cache.exists()


def entries(directory: Path) -> set[str]:
    """The texts that can be read from the cache."""
    found = set()
    for path in directory.glob("*.ids"):
        entry = cache.read_entry(path.stem)
        assert entry is not None
        vocabulary = Vocabulary(tuple(entry.facts["code_points"]))
        found.add(vocabulary.decode(entry.arrays["ids"]))
    return found


def test_entries_unused_for_longest_make_space_for_a_new_one(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = "abcdef"
    for letter in letters:
        write(f"{letter}.txt", letter * 99_999)
    one = OVERHEAD + 100_000  # what is set aside for a new entry
    monkeypatch.setattr(cache, "LIMIT", one + 250_000)
    corpora: list[Corpus] = []
    for letter in "cba":  # the first is the last that was used
        before = set(own_cache.glob("*.ids"))
        corpora.append(load(f"{letter}.txt"))
        (entry,) = set(own_cache.glob("*.ids")) - before
        os.utime(entry, (ord(letter), ord(letter)))
    assert text_of(load("a.txt")) == "a" * 99_999 + "|"  # used just now
    load("d.txt")
    assert entries(own_cache) == {letter * 99_999 for letter in "acd"}
    monkeypatch.setattr(cache, "LIMIT", one + 50_000)
    load("e.txt")
    assert entries(own_cache) == {"e" * 99_999}
    # what somebody still reads stays as it was
    assert [text_of(corpus)[0] for corpus in corpora] == ["c", "b", "a"]


def test_what_is_larger_than_the_cache_is_not_kept(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(write("small.txt", "abc"))
    monkeypatch.setattr(cache, "LIMIT", OVERHEAD + 1000)
    assert text_of(load(write("large.txt", "b" * 1000))) == "b" * 1000 + "|"
    assert entries(own_cache) == {"abc"}


def test_entries_of_format_1_are_removed(own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    old = [own_cache / f"{'0f' * 16}{suffix}" for suffix in (".npy", ".json")]
    others = [own_cache / name for name in ("notes.json", "array.npy")]
    for path in (*old, *others):
        path.write_bytes(b"")
    load(write("a.txt", "abc"))
    assert [path.exists() for path in (*old, *others)] == [False, False, True, True]


def test_without_a_place_for_the_cache_the_corpus_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("occupied", "a file, not a directory")
    monkeypatch.setenv("CHARRNN_CACHE", "occupied/cache")
    assert text_of(load(write("a.txt", "abc"))) == "abc|"
