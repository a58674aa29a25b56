"""Decode bytes block by block into code points. Knows encodings and line ends; nothing of files.

A block of code points has the narrowest type that holds them all: most text needs one byte each,
and ASCII is taken as it is, without a `str` in between.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from charrnn.arrays import np
from charrnn.errors import CorpusError, Parameter
from charrnn.text.vocabulary import code_points

if TYPE_CHECKING:
    import numpy.typing as npt

Codes: TypeAlias = "npt.NDArray[np.unsignedinteger[Any]]"
"""Code points (T,), as uint8, uint16 or uint32."""

CARRIAGE_RETURN, NEWLINE = 0x0D, 0x0A
BYTE_ORDER_MARKS = (  # the longer first: UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTAIN_ASCII = {"utf-8", "utf-8-sig", "ascii", "iso8859-1"}
"""Codecs in which bytes below 128 are ASCII whatever surrounds them."""
BETWEEN_CHARACTERS = (b"", 0)
"""The state of such a decoder that has seen the beginning and holds no part of a character."""


def decode(
    blocks: Iterable[bytes], name: str, encoding: str, errors: str = "strict"
) -> Iterator[str]:
    """Decode `blocks`; each part of the text is yielded as soon as its bytes have arrived.

    Args:
        blocks: the bytes of one text from the beginning.
        name: of the text, for error messages.
        encoding: a Python codec; with "utf-8" a byte-order mark overrules it.
        errors: "strict", or "replace" for U+FFFD in place of bytes that are not text.

    Raises:
        CorpusError: the bytes are not text in that encoding; gives the byte's offset.
    """
    for part in _decode(blocks, name, encoding, errors):
        yield part if isinstance(part, str) else part.decode("ascii")


def decode_codes(
    blocks: Iterable[bytes], name: str, encoding: str, errors: str = "strict"
) -> Iterator[Codes]:
    """Decode `blocks` into code points; arguments and errors as in `decode`."""
    for part in _decode(blocks, name, encoding, errors):
        yield narrow(part) if isinstance(part, str) else np.frombuffer(part, np.uint8)


def _decode(
    blocks: Iterable[bytes], name: str, encoding: str, errors: str
) -> Iterator[str | bytes]:
    """The parts of a text that are not empty; one of ASCII alone may be left as bytes."""
    if encoding.lower().replace("_", "-") in {"utf-8", "utf8"}:
        encoding, blocks = _recognise_mark(iter(blocks))
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    contains_ascii = codecs.lookup(encoding).name in CONTAIN_ASCII
    end = 0  # offset of the end of `block`
    try:
        for block in chain(blocks, [b""]):
            end += len(block)
            if (
                contains_ascii and block and block.isascii()
                and decoder.getstate() == BETWEEN_CHARACTERS
            ):
                yield block
            elif text := decoder.decode(block, final=not block):
                yield text
    except UnicodeDecodeError as error:
        offset = end - len(error.object) + error.start
        raise CorpusError(
            f"{name} is not {encoding} text: byte {error.object[error.start]:#04x} at "
            f"offset {offset:,} ({error.reason}); convert it to UTF-8, or name its ",
            Parameter("encoding"),
            ", for example latin-1 or cp1252, or give ",
            Parameter("errors"),
            " replace",
        ) from None
    except UnicodeError as error:
        raise CorpusError(
            f"{name} is not {encoding} text ({error}); name its ", Parameter("encoding")
        ) from None


def _recognise_mark(blocks: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """The encoding that a byte-order mark announces, else UTF-8; and all the blocks.

    Reads no more blocks than needed to decide, as each may have to be waited for.
    """
    beginning = b""
    for block in blocks:
        beginning += block
        if not any(mark.startswith(beginning) for mark, _ in BYTE_ORDER_MARKS):
            break
    announced = (name for mark, name in BYTE_ORDER_MARKS if beginning.startswith(mark))
    return next(announced, "utf-8"), chain([beginning] if beginning else [], blocks)


def narrow(text: str) -> Codes:
    """The code points of `text` (T,) in the narrowest type, lone surrogates included."""
    try:
        return np.frombuffer(text.encode("latin-1"), np.uint8)
    except UnicodeEncodeError:
        units = text.encode("utf-16-le", "surrogatepass")
    if len(units) == 2 * len(text):  # no character takes two units
        return np.frombuffer(units, np.uint16)
    return code_points(text)


def ended_lines(blocks: Iterable[Codes]) -> Iterator[Codes]:
    """The lines of a text that are not empty, each ended by one NEWLINE, the last one too.

    A line ends at LF or CRLF; a lone carriage return is a character.
    """
    last = NEWLINE  # the character before the block; so an empty first line is dropped
    held = np.empty(0, np.uint8)  # a final carriage return; its newline may come next
    for raw in blocks:
        block: Codes = np.concatenate([held, raw]) if len(held) else raw
        held = np.full(int(block[-1] == CARRIAGE_RETURN), CARRIAGE_RETURN, np.uint8)
        block = _without_empty_lines(block[: len(block) - len(held)], last)
        if len(block):
            last = int(block[-1])
            yield block
    if len(held) or last != NEWLINE:
        yield np.append(held, np.uint8(NEWLINE))


def _without_empty_lines(block: Codes, last: int) -> Codes:
    """`block` without carriage returns before newlines, then without newlines after newlines."""
    ends = block == NEWLINE
    returns = block == CARRIAGE_RETURN
    if returns.any():
        kept = ~(returns & np.append(ends[1:], False))
        block, ends = block[kept], ends[kept]
    if not len(block):
        return block
    repeated = ends & np.append(last == NEWLINE, ends[:-1])
    return block[~repeated] if repeated.any() else block
