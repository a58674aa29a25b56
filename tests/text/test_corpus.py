from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary
from tests.text.support import AWKWARD, FILES, LINES, load, text_of, write


def test_text_is_kept_exactly_and_ended_by_eos() -> None:
    corpus = load(write("a.txt", AWKWARD))
    assert text_of(corpus) == AWKWARD + "|"
    assert corpus.characters == len(AWKWARD)


def test_a_text_with_surrogates_has_no_vocabulary() -> None:
    Path("a.txt").write_bytes(b"a+2AA-b")
    with pytest.raises(VocabularyError, match=r"U\+D800 is a surrogate"):
        load("a.txt", reading=Reading(encoding="utf-7"))


def test_several_texts_have_a_common_vocabulary() -> None:
    corpus = load(write("a.txt", "abc"), write("b.txt", "cd"))
    assert text_of(corpus) == "abc|cd|"
    assert corpus.vocabulary == Vocabulary.from_text("abcd")
    assert corpus.names == ("a.txt", "b.txt")


def test_a_directory_is_its_texts_sorted() -> None:
    Path("many").mkdir()
    for name in ("b.txt", "a.txt", "c.md", "empty.txt"):
        write(f"many/{name}", "" if name == "empty.txt" else name[0])
    corpus = load("many")
    assert text_of(corpus) == "a|b|"


@pytest.mark.parametrize("reading", [FILES, LINES])
def test_naming_the_files_of_a_directory_is_naming_the_directory(reading: Reading) -> None:
    Path("many").mkdir()
    files = [write(f"many/{name}.txt", f"{name}\n\n{name * 9}\n") for name in "abcde"]
    files.append(write("many/z.txt", ""))
    whole, named = load("many", reading=reading), load(*files, reading=reading)
    mixed = load(files[0], "many/b.txt", *files[2:], reading=reading)
    assert whole.digest == named.digest == mixed.digest
    assert whole.vocabulary == named.vocabulary
    for fraction in (0.0, 0.1, 0.5):
        one, other = whole.split(fraction, seed=3), named.split(fraction, seed=3)
        assert one.training.tolist() == other.training.tolist()
        assert one.seams.tolist() == other.seams.tolist()
        assert one.held_out.starts.tolist() == other.held_out.starts.tolist()
        assert one.held_out.lengths.tolist() == other.held_out.lengths.tolist()


@pytest.mark.parametrize("name", ["a.txt", "many"])
def test_the_digest_of_one_name_is_that_of_format_1(name: str) -> None:
    Path("many").mkdir()
    for place in ("a.txt", "many/a.txt"):
        write(place, "abc")
    whole = hashlib.sha256(b"False utf-8 strictpart" + hashlib.sha256(b"abc").digest())
    assert load(name).digest == whole.hexdigest()

def test_standard_input_is_a_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"caf\xc3\xa9\r\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert text_of(load("-")) == "café\r\n|"


def test_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CorpusError, match="standard input is closed"):
        load("-")


def test_a_pipe_is_read_although_it_cannot_be_read_twice() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(b"from a pipe",), daemon=True)
    writer.start()
    corpus = load("pipe")
    writer.join()
    assert text_of(corpus) == "from a pipe|"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.txt", "cannot read missing.txt: no such file or directory; name a text file"),
        ("nothing", "nothing has no .*txt file .*; name the files themselves"),
        ("empty.txt", "empty.txt is empty; a corpus needs text"),
        ("/dev/zero", "cannot read /dev/zero: neither a text file nor a pipe"),
    ],
)
def test_a_corpus_without_text_is_refused(name: str, message: str) -> None:
    Path("nothing").mkdir()
    write("empty.txt", "")
    with pytest.raises(CorpusError, match=message):
        load(name)


def test_empty_files_among_others_are_no_documents() -> None:
    assert text_of(load(write("a.txt", "abc"), write("b.txt", ""))) == "abc|"


def test_several_empty_files_are_refused() -> None:
    names = [write(f"{number}.txt", "") for number in range(5)]
    with pytest.raises(CorpusError, match=r"^0\.txt, 1\.txt, 2\.txt are empty; a corpus needs"):
        load(*names)


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"^no corpus is named; name a text file, "):
        load()


def test_lines_without_characters_are_empty() -> None:
    with pytest.raises(CorpusError, match=r"a\.txt is empty"):
        load(write("a.txt", "\n\n\r\n"), reading=LINES)


def test_rare_characters_are_unknown() -> None:
    corpus = load(write("a.txt", "aaabbc"), min_count=2)
    assert corpus.vocabulary == Vocabulary.from_text("ab")
    assert corpus.ids.tolist() == [2, 2, 2, 3, 3, 0, 1]
    assert (corpus.characters, corpus.unknown_characters) == (6, 1)


def many_characters(rare: int) -> str:
    """600 distinct characters; of these, so many occur once."""
    return "".join(chr(0x4E00 + i) for i in range(600)) + "".join(
        chr(0x4E00 + i) for i in range(rare, 600)
    )


@pytest.mark.parametrize(("rare", "min_count"), [(29, 1), (30, 2)])
def test_min_count_is_chosen_if_none_is_given(rare: int, min_count: int) -> None:
    name = write("a.txt", many_characters(rare))
    for _ in range(2):  # the second time from the cache
        corpus = load_corpus([name], Reading(), None)
        assert corpus.min_count == min_count
        assert corpus.unknown_characters == (rare if min_count == 2 else 0)
    assert load(name).min_count == 1


def test_a_given_vocabulary_encodes() -> None:
    write("a.txt", "abx")
    corpus = load_corpus(["a.txt"], Reading(), vocabulary=Vocabulary.from_text("abc"))
    assert corpus.ids.tolist() == [2, 3, 0, 1]
    assert corpus.unknown_characters == 1


def test_a_copy_of_a_text_is_the_same_corpus() -> None:
    first, second = load(write("a.txt", "abc")), load(write("b.txt", "abc"))
    assert first.digest == second.digest
    assert first.digest != load("a.txt", reading=LINES).digest


@pytest.mark.parametrize("part", [1, 2, 3, 7, 100])
def test_many_lines_come_in_parts(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.corpus.PART", part)
    lines = ["a", "bcd", "e", "fghijklmno", "p"]
    corpus = load(write("a.txt", "\n".join(lines)), reading=LINES)
    found = [
        part.ids[start : start + length].tolist()
        for part in corpus.parts()
        for start, length in zip(part.starts, part.lengths, strict=True)
    ]
    assert found == [[*corpus.vocabulary.encode(line).tolist(), 1] for line in lines]
    assert len(list(load("a.txt").parts())) == 1
    for whole in (corpus, load("a.txt")):
        assert whole.predicted_characters == whole.documents().characters
