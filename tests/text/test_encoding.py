from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text import corpus as corpus_module
from charrnn.text import reading as reading_module
from charrnn.text.corpus import Corpus, load_corpus
from charrnn.text.decoding import narrow
from charrnn.text.encoding import Encoder
from charrnn.text.reading import END, Reading
from charrnn.text.vocabulary import EOS, UNK, Vocabulary

CHARACTERS = st.sampled_from("ab\r\n\0é\u0100漢👩")


@pytest.mark.parametrize(
    ("known", "dtype"),
    [("ab\xff", "uint8"), ("".join(map(chr, range(253))) + "\xff", "uint8"),
     ("".join(map(chr, range(1, 400))), "uint16")],
)
def test_blocks_of_every_type_are_encoded_alike(known: str, dtype: str) -> None:
    vocabulary = Vocabulary.from_text(known)
    text = "abz\xff"
    expected = vocabulary.encode(text).tolist()
    encoder = Encoder(vocabulary, END, lists_ends=True)
    blocks = [narrow(text), narrow(text).astype(np.uint16), narrow(text).astype(np.uint32)]
    ids = list(encoder.encode(blocks))
    assert [block.tolist() for block in ids] == [expected] * 3
    assert {block.dtype for block in ids} == {np.dtype(dtype)}


def test_what_is_met_is_counted() -> None:
    encoder = Encoder(Vocabulary.from_text("ab"), END, lists_ends=True)
    end = np.array([END], np.uint32)
    ids = np.concatenate(list(encoder.encode([narrow("axb"), end, narrow("é漢"), end])))
    assert ids.tolist() == [2, UNK, 3, EOS, UNK, UNK, EOS]
    counts = (encoder.characters, encoder.unknown, encoder.documents)
    assert counts == (7, 3, 2)
    assert encoder.listed_ends().tolist() == [4, 7]


def slowly(data: bytes, reading: Reading, min_count: int, given: Vocabulary | None) -> list[int]:
    """The ids of one text, character by character, as the README defines them."""
    text = data.decode(reading.encoding, reading.errors)
    if reading.encoding == "utf-8":
        text = text.removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").split("\n") if reading.lines else [text]
    documents = [line for line in lines if line]
    whole = "".join(documents)
    points = sorted({ord(each) for each in whole if whole.count(each) >= min_count})
    known = list(given.code_points) if given else points
    ids: list[int] = []
    for document in documents:
        ids += [known.index(ord(c)) + 2 if ord(c) in known else UNK for c in document] + [EOS]
    return ids


def loaded(
    data: bytes, reading: Reading, min_count: int, given: Vocabulary | None, block: int, once: int
) -> Corpus:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARRNN_CACHE", f"{scratch}/cache")
        patch.setattr(reading_module, "BLOCK", block)
        patch.setattr(corpus_module, "READ_ONCE", once)
        path = Path(scratch, "text")
        path.write_bytes(data)
        return load_corpus([str(path)], reading, min_count, given)


@given(
    st.text(CHARACTERS, max_size=60), st.sampled_from(["utf-8", "utf-16", "latin-1", "gb18030"]),
    st.booleans(), st.integers(1, 2), st.booleans(), st.integers(1, 7), st.sampled_from([0, 999]),
)
def test_a_corpus_is_what_a_slow_reader_makes_of_it(
    text: str, encoding: str, lines: bool, min_count: int, given_one: bool, block: int, once: int
) -> None:
    text = "aa" + text
    data = text.encode(encoding, "replace")
    reading = Reading(lines, encoding)
    given = Vocabulary.from_text("a漢") if given_one else None
    corpus = loaded(data, reading, min_count, given, block, once)
    expected = slowly(data, reading, min_count, given)
    assert corpus.ids.tolist() == expected
    assert corpus.document_count == expected.count(EOS)
    assert corpus.unknown_characters == expected.count(UNK)
    assert corpus.characters == len(expected) - expected.count(EOS)
    if lines:
        assert corpus.ends is None
    else:
        assert corpus.ends is not None
        assert corpus.ends.tolist() == [len(expected)]
