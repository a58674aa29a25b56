from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CorpusError, VocabularyError
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import (
    END,
    Corpus,
    Reading,
    Source,
    code_point_blocks,
    documents_of,
    load_corpus,
)
from charrnn.text.vocabulary import EOS, Vocabulary

FILES = Reading()
LINES = Reading(lines=True)
AWKWARD = "naïve\r\n\r\n e\u0301\t漢字\0العربية 👩‍👩‍👧\n\rend\u2028.\r"


def text_of(corpus: Corpus) -> str:
    """The corpus's characters, with | for EOS."""
    known = corpus.vocabulary
    return "".join("|" if index == EOS else known.character(index) for index in corpus.ids.tolist())


def read(data: bytes, reading: Reading = FILES) -> str:
    """What a file with `data` is read as, with | for the end of a document."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "text"
        path.write_bytes(data)
        with closing(Source(str(path))) as source:
            blocks = list(code_point_blocks(source, reading))
    points = [point for block in blocks for point in block.tolist()]
    return "".join("|" if point == END else chr(point) for point in points)


def load(*names: str, reading: Reading = FILES, min_count: int = 1) -> Corpus:
    return load_corpus(names, reading, min_count)


def write(name: str, text: str) -> str:
    Path(name).write_bytes(text.encode())
    return name


def lines_by_hand(text: str) -> str:
    """Each line that is not empty, ended by |. CRLF is an end of line, a lone CR is none."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "".join(line + "|" for line in lines if line)


def test_text_is_kept_exactly_and_ended_by_eos() -> None:
    corpus = load(write("a.txt", AWKWARD))
    assert text_of(corpus) == AWKWARD + "|"
    assert corpus.characters == len(AWKWARD)


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(bool))
def test_any_text_in_utf8_is_read_exactly(text: str) -> None:
    if text.startswith("\ufeff"):
        text = "." + text
    assert read(text.encode()) == text + "|"


@given(
    st.text(st.sampled_from("a\r\né")),
    st.integers(1, 5),
)
def test_lines_are_split_alike_wherever_blocks_end(text: str, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "BLOCK", block)
        assert read(text.encode(), LINES) == lines_by_hand(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna\nBob\n", "Anna|Bob|"),
        ("Anna\nBob", "Anna|Bob|"),
        ("Anna\r\nBob\r\n", "Anna|Bob|"),
        ("\n\nAnna\n\n\nBob\n\n", "Anna|Bob|"),
        ("\r\n\r\nAnna\r\n", "Anna|"),
        ("An\rna\r\r\n", "An\rna\r|"),
        ("Anna\r", "Anna\r|"),
        (" \n", " |"),
        ("\n\r\n", ""),
        ("", ""),
    ],
)
def test_each_line_that_is_not_empty_is_a_document(text: str, expected: str) -> None:
    assert read(text.encode(), LINES) == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_a_byte_order_mark_is_recognised_and_dropped(encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    assert read((mark + AWKWARD).encode(encoding)) == AWKWARD + "|"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "shift_jis", "utf-7"])
def test_other_encodings_are_named(encoding: str) -> None:
    assert read("one £ two".encode(encoding), Reading(encoding=encoding)) == "one £ two|"


@pytest.mark.parametrize("encoding", ["nonsense", "", "rot13", "base64", "a\0b", "undefined"])
def test_what_is_no_text_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(CorpusError, match=r"unknown encoding .* try utf-8"):
        Reading(encoding=encoding)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 1 << 20])
@pytest.mark.parametrize(
    ("data", "offset", "byte"),
    [
        (b"\xff", 0, "0xff"),
        (b"abc\xe9 def", 3, "0xe9"),
        ("漢字".encode() + b"\x80", 6, "0x80"),
        ("ab漢".encode()[:-1], 2, "0xe6"),
        (b"\xef\xbb\xbfab\xff", 5, "0xff"),
        (b"\xff\xfea\0b\0\x00\xd8c\0", 6, "0x00"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_offset(
    data: bytes, offset: int, byte: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "BLOCK", block)
    with pytest.raises(CorpusError, match=f"byte {byte} at offset {offset} .*--encoding"):
        read(data)


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


# --- the cache


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


def test_a_copy_of_a_text_is_the_same_corpus() -> None:
    first, second = load(write("a.txt", "abc")), load(write("b.txt", "abc"))
    assert first.digest == second.digest
    assert first.digest != load("a.txt", reading=LINES).digest


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
    assert str(corpus_module.cache_directory()) == expected


def test_a_text_that_shrinks_while_it_is_read_is_an_error() -> None:
    write("a.txt", "abcdef")
    source = Source("a.txt")
    Path("a.txt").write_bytes(b"abc")
    with pytest.raises(CorpusError, match="shrank while it was read"):
        list(source.bytes())
    source.close()


def test_a_text_that_grows_is_read_as_it_was() -> None:
    write("a.txt", "abc")
    source = Source("a.txt")
    write("a.txt", "abcdef")
    assert b"".join(source.bytes()) == b"abc"
    source.close()


# --- what is held out


def spans(ids: Sequence[int], with_eos: bool) -> list[list[int]]:
    documents = documents_of([np.array(ids)], with_eos)
    return [
        documents.ids[start : start + length].tolist()
        for start, length in zip(documents.starts, documents.lengths, strict=True)
    ]


@pytest.mark.parametrize(
    ("ids", "with_eos", "without_eos"),
    [
        ([2, 3, EOS], [[2, 3, EOS]], [[2, 3]]),
        ([2, EOS, 3, EOS], [[2, EOS], [3, EOS]], [[2], [3]]),
        ([2, EOS, 3], [[2, EOS], [3]], [[2], [3]]),
        ([EOS, 2], [[EOS], [2]], [[2]]),
        ([EOS], [[EOS]], []),
        ([], [], []),
    ],
)
def test_documents_lie_between_ends(
    ids: list[int], with_eos: list[list[int]], without_eos: list[list[int]]
) -> None:
    assert spans(ids, True) == with_eos
    assert spans(ids, False) == without_eos


def test_documents_do_not_go_on_from_piece_to_piece() -> None:
    documents = documents_of([np.array([2, 3]), np.array([4, EOS])], False)
    assert documents.starts.tolist() == [0, 2]
    assert documents.lengths.tolist() == [2, 1]
    assert documents.characters == 3


def held_out(corpus: Corpus, fraction: float) -> tuple[str, list[str]]:
    training, documents = corpus.split(fraction)
    known = corpus.vocabulary
    texts = [
        "".join("|" if i == EOS else known.character(i) for i in documents.ids[at : at + length])
        for at, length in zip(documents.starts, documents.lengths, strict=True)
    ]
    return "".join("|" if i == EOS else known.character(i) for i in training), texts


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
