from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text import reading as reading_module
from charrnn.text.decoding import decode
from charrnn.text.reading import Reading, Source, line_batches, text_blocks
from tests.text.support import AWKWARD, FILES, LINES, write


def lines(name: str, encoding: str = "utf-8", errors: str = "strict") -> Iterator[str]:
    """The lines of all batches."""
    return chain.from_iterable(line_batches(name, encoding, errors))


def read(data: bytes, reading: Reading = FILES) -> str:
    """What a file with `data` is read as, with | for the end of a document."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "text"
        path.write_bytes(data)
        with closing(Source(str(path))) as source:
            blocks = list(text_blocks([source], reading, lambda read: None))
    points = [point for block in blocks for point in block.tolist()]
    return "".join("|" if point == reading.end else chr(point) for point in points)


def lines_by_hand(text: str) -> str:
    """Each line that is not empty, ended by |. CRLF is an end of line, a lone CR is none."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "".join(line + "|" for line in lines if line)


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
        patch.setattr(reading_module, "BLOCK", block)
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
    monkeypatch.setattr(reading_module, "BLOCK", block)
    with pytest.raises(CorpusError, match=f"byte {byte} at offset {offset} .*encoding"):
        read(data)


def test_a_text_that_shrinks_while_it_is_read_is_an_error() -> None:
    write("a.txt", "abcdef")
    source = Source("a.txt")
    Path("a.txt").write_bytes(b"abc")
    with pytest.raises(CorpusError, match="shrank while it was read"):
        list(source.blocks())
    source.close()


def test_a_text_that_grows_is_read_as_it_was() -> None:
    write("a.txt", "abc")
    source = Source("a.txt")
    write("a.txt", "abcdef")
    assert b"".join(source.blocks()) == b"abc"
    source.close()


def test_a_text_that_is_written_while_it_is_read_is_an_error() -> None:
    """One half as it was and the other as it is now would be a text that never was."""
    write("a.txt", "abcdef" * 100_000)
    source = Source("a.txt")
    blocks = source.blocks()
    next(blocks)
    with Path("a.txt").open("r+") as file:
        file.write("another")
    os.utime("a.txt", (1, 1))
    with pytest.raises(CorpusError, match="changed while it was read; run the command again"):
        list(blocks)
    source.close()


def test_all_that_is_read_is_reported() -> None:
    with closing(Source(write("a.txt", "é" * 300_000))) as a, closing(Source("a.txt")) as b:
        reported: list[int] = []
        assert sum(len(block) for block in text_blocks([a, b], FILES, reported.append)) == 600_002
    assert sum(reported) == 1_200_000
    assert len(reported) > 4


# --- lines, one by one


def stdin_of(data: bytes, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("name", ["file", "-"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\n\r\ntwo\r\r\n", ["one", "", "two\r"]),
        (b"a\rb\r", ["a\rb\r"]),
        (b"\n", [""]),
        (b"", []),
        ("\ufeffé\u2028\x0c\x85\n".encode(), ["é\u2028\x0c\x85"]),
        ("é\r\n漢\n".encode("utf-16"), ["é", "漢"]),
        ("é\r\n漢\n".encode("utf-32"), ["é", "漢"]),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 3, 1 << 20])
def test_lines_come_without_their_ends(
    data: bytes, expected: list[str], block: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "BLOCK", block)
    stdin_of(data, monkeypatch)
    Path("file").write_bytes(data)
    assert list(lines(name)) == expected


@given(st.text(st.sampled_from("a\r\né")), st.integers(1, 5))
def test_all_that_lines_leave_out_is_their_ends(text: str, block: int) -> None:
    data = text.encode()
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    batches = reading_module._split_lines(decode(blocks, "text", "utf-8"))
    found = list(chain.from_iterable(batches))
    expected = text.replace("\r\n", "\n").split("\n")
    assert found == (expected if expected[-1] else expected[:-1])


@pytest.mark.parametrize("name", ["file", "-"])
def test_a_line_that_is_no_text_is_refused_with_its_offset(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"good\nbad \xff\n"
    Path("file").write_bytes(data)
    stdin_of(data, monkeypatch)
    found = lines(name)
    with pytest.raises(CorpusError, match="is not utf-8 text: byte 0xff at offset 9 "):
        list(found)
    stdin_of(data, monkeypatch)
    assert list(lines(name, "latin-1")) == ["good", "bad ÿ"]
    stdin_of(data, monkeypatch)
    assert list(lines(name, errors="replace")) == ["good", "bad \ufffd"]


def test_each_line_of_standard_input_is_there_as_soon_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", stdin)
        found = lines("-")
        for text in ("a", "", "é", "longer"):
            pipe.write(f"{text}\n".encode())
            assert next(found) == text  # a read-ahead would wait here forever
        pipe.close()
        assert list(found) == []


def test_a_very_long_line_is_put_together_once() -> None:
    """Each block is searched once: the blocks of a line are joined at its end, not one by one."""
    searched = 0

    class Block(str):
        __slots__ = ()

        def rpartition(self, separator: str, /) -> tuple[str, str, str]:
            nonlocal searched
            searched += len(self)
            return str.rpartition(self, separator)

    def blocks() -> Iterator[str]:
        for _ in range(1000):
            yield Block("x" * 100)

    ((found,),) = reading_module._split_lines(blocks())
    assert len(found) == searched == 100_000
