from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CorpusError, VocabularyError
from charrnn.text.corpus import Corpus, load_corpus
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS, Vocabulary
from tests.text.support import AWKWARD, LINES, load, text_of, write


def held_out(corpus: Corpus, fraction: float) -> tuple[str, list[str]]:
    training, documents = corpus.split(fraction)
    known = corpus.vocabulary
    texts = [
        "".join("|" if i == EOS else known.character(i) for i in documents.ids[at : at + length])
        for at, length in zip(documents.starts, documents.lengths, strict=True)
    ]
    return "".join("|" if i == EOS else known.character(i) for i in training), texts


def test_text_is_kept_exactly_and_ended_by_eos() -> None:
    corpus = load(write("a.txt", AWKWARD))
    assert text_of(corpus) == AWKWARD + "|"
    assert corpus.characters == len(AWKWARD)


def test_a_text_with_surrogates_has_no_vocabulary() -> None:
    Path("a.txt").write_bytes(b"a+2AA-b")
    with pytest.raises(VocabularyError, match=r"U\+D800 is a surrogate"):
        load("a.txt", reading=Reading(encoding="utf-7"))


def test_several_corpora_are_parts_with_a_common_vocabulary() -> None:
    corpus = load(write("a.txt", "abc"), write("b.txt", "cd"))
    assert text_of(corpus) == "abc|cd|"
    assert corpus.part_ends == (4, 7)
    assert corpus.vocabulary == Vocabulary.from_text("abcd")
    assert corpus.names == ("a.txt", "b.txt")


def test_a_directory_is_its_texts_sorted() -> None:
    Path("many").mkdir()
    for name in ("b.txt", "a.txt", "c.md", "empty.txt"):
        write(f"many/{name}", "" if name == "empty.txt" else name[0])
    corpus = load("many")
    assert text_of(corpus) == "a|b|"
    assert corpus.part_ends == (4,)


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
        ("nothing", "nothing has no .*txt file; name the files themselves"),
        ("empty.txt", "empty.txt is empty; a corpus needs text"),
        ("/dev/zero", "cannot read /dev/zero: neither a text file nor a pipe"),
    ],
)
def test_a_corpus_without_text_is_refused(name: str, message: str) -> None:
    Path("nothing").mkdir()
    write("empty.txt", "")
    with pytest.raises(CorpusError, match=message):
        load(name)


def test_one_empty_corpus_among_others_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"b\.txt is empty"):
        load(write("a.txt", "abc"), write("b.txt", ""))


def test_lines_without_characters_are_empty() -> None:
    with pytest.raises(CorpusError, match=r"a\.txt is empty"):
        load(write("a.txt", "\n\n\r\n"), reading=LINES)


def test_rare_characters_are_unknown() -> None:
    corpus = load(write("a.txt", "aaabbc"), min_count=2)
    assert corpus.vocabulary == Vocabulary.from_text("ab")
    assert corpus.ids.tolist() == [2, 2, 2, 3, 3, 0, 1]
    assert (corpus.characters, corpus.unknown_characters) == (6, 1)


def test_a_given_vocabulary_encodes() -> None:
    write("a.txt", "abx")
    corpus = load_corpus(["a.txt"], Reading(), vocabulary=Vocabulary.from_text("abc"))
    assert corpus.ids.tolist() == [2, 3, 0, 1]
    assert corpus.unknown_characters == 1


def test_a_copy_of_a_text_is_the_same_corpus() -> None:
    first, second = load(write("a.txt", "abc")), load(write("b.txt", "abc"))
    assert first.digest == second.digest
    assert first.digest != load("a.txt", reading=LINES).digest


def test_the_end_of_a_file_is_held_out() -> None:
    corpus = load(write("a.txt", "abcdefghi"))  # ten ids, EOS included
    assert held_out(corpus, 0.3) == ("abcdefg", ["hi"])
    assert held_out(corpus, 0.0) == ("abcdefghi|", [])


def test_the_end_of_each_corpus_is_held_out() -> None:
    corpus = load(write("a.txt", "abcdefghi"), write("b.txt", "ABCD"))
    assert held_out(corpus, 0.3) == ("abcdefgABCD", ["hi"])
    assert held_out(corpus, 0.5) == ("abcdeABC", ["fghi", "D"])


def test_no_line_is_cut_in_two() -> None:
    corpus = load(write("a.txt", "one\ntwo\nthree\nfour\n"), reading=LINES)  # 19 ids
    assert held_out(corpus, 0.1) == ("one|two|three|", ["four|"])  # 1 id would be in "four|"
    assert held_out(corpus, 0.3) == ("one|two|three|", ["four|"])  # 5 are all of it
    assert held_out(corpus, 0.35) == ("one|two|", ["three|", "four|"])


@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=1), st.floats(0, 0.95))
def test_training_and_held_out_lines_make_up_the_corpus(
    lines: list[str], fraction: float
) -> None:
    vocabulary = Vocabulary.from_text("ab")
    text = "".join(line + "|" for line in lines)
    ids = np.array([EOS if c == "|" else ord(c) - ord("a") + 2 for c in text], np.uint8)
    corpus = Corpus(ids, (len(ids),), vocabulary, LINES, "", ())
    training, texts = held_out(corpus, fraction)
    assert training + "".join(texts) == text
    assert all(each.endswith("|") for each in texts)
