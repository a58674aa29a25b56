from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text import decoding
from charrnn.text.decoding import NEWLINE, Codes, decode, decode_codes, ended_lines, narrow
from charrnn.text.vocabulary import code_points

TEXTS = st.text(st.sampled_from("ab\r\n\0é\xff\u0100漢\uffff👩\U0010ffff"))
CODECS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-7", "cp1252", "latin-1"]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def joined(blocks: Iterator[Codes]) -> list[int]:
    return [code for block in blocks for code in block.tolist()]


@given(TEXTS, st.sampled_from(CODECS), st.integers(1, 9))
def test_any_text_is_decoded_alike_wherever_blocks_end(text: str, codec: str, size: int) -> None:
    data = text.encode(codec, "replace")
    expected = data.decode(codec)
    blocks = cut(data, size)
    assert "".join(decode(blocks, "text", codec)) == expected
    assert joined(decode_codes(blocks, "text", codec)) == [ord(each) for each in expected]


@given(st.binary(max_size=30), st.sampled_from(["utf-8", "ascii", "utf-16-le"]), st.integers(1, 5))
def test_bytes_that_are_no_text_are_replaced_as_python_does(
    data: bytes, codec: str, size: int
) -> None:
    if codec == "utf-8" and any(data.startswith(mark) for mark, _ in decoding.BYTE_ORDER_MARKS):
        return
    expected = data.decode(codec, "replace")
    found = joined(decode_codes(cut(data, size), "text", codec, "replace"))
    assert found == [ord(each) for each in expected]


def test_a_mark_is_dropped_at_the_beginning_alone() -> None:
    blocks = [codecs.BOM_UTF8 + b"a", b"b", codecs.BOM_UTF8, b"c"]
    assert "".join(decode(blocks, "text", "utf-8")) == "ab\ufeffc"
    assert "".join(decode([b"a", *blocks], "text", "utf-8-sig")) == "a\ufeffab\ufeffc"


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("", "uint8"), ("abc\xff", "uint8"), ("\u0100", "uint16"), ("a\uffff", "uint16"),
        ("\ud800", "uint16"), ("\ud83d\ude00", "uint16"), ("\U00010000", "uint32"),
        ("漢👩", "uint32"),
    ],
)
def test_code_points_take_the_narrowest_type(text: str, dtype: str) -> None:
    found = narrow(text)
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [ord(each) for each in text]


def lines_by_hand(text: str) -> str:
    """Each line that is not empty and its newline. CRLF ends a line, a lone CR does not."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "".join(line + "\n" for line in lines if line)


@given(st.lists(st.text(st.sampled_from("a\r\né漢"), min_size=1)))
def test_each_line_that_is_not_empty_ends_with_one_newline(texts: list[str]) -> None:
    """The blocks have types of their own, and end anywhere."""
    found = joined(ended_lines(map(narrow, texts)))
    assert found == code_points(lines_by_hand("".join(texts))).tolist()
    assert not found or found[-1] == NEWLINE
