"""Labels are taken off lines; what is no `label<TAB>text` is refused with its line's number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import CorpusError
from charrnn.text import labelled
from charrnn.text.corpus import Corpus, load_corpus
from charrnn.text.decoding import Codes, narrow
from charrnn.text.documents import Documents
from charrnn.text.labelled import FIRST_LABEL, LabelReader
from charrnn.text.labels import Labels
from charrnn.text.reading import Reading
from charrnn.text.splitting import without_some_labels
from charrnn.text.vocabulary import EOS, Vocabulary

TEXT = "b\taab\na\tb\nb\tab\n"
LABELLED = Reading(lines=True, labelled=True)


def pieces(text: str, size: int) -> Iterator[Codes]:
    codes = narrow(text)
    return (codes[at : at + size] for at in range(0, len(codes), size))


def load(text: str | bytes, known: tuple[Vocabulary, Labels] | None = None) -> Corpus:
    path = Path("names.tsv")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    vocabulary, labels = known or (None, None)
    return load_corpus([str(path)], LABELLED, vocabulary=vocabulary, labels=labels)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_label_becomes_one_code_however_a_text_is_cut(size: int) -> None:
    reader = LabelReader()
    read = np.concatenate([*reader.read(pieces(TEXT, size))]).tolist()
    b, a = FIRST_LABEL, FIRST_LABEL + 1  # in the order in which they come
    assert read == [b, *map(ord, "aab\n"), a, *map(ord, "b\n"), b, *map(ord, "ab\n")]
    assert reader.names == ("b", "a")
    assert reader.ranks().tolist() == [1, 0]


def test_labels_are_ids_after_the_characters() -> None:
    corpus = load(TEXT)
    assert corpus.labels == Labels(("a", "b"), (1, 2))
    assert corpus.vocabulary == Vocabulary.from_text("ab")  # UNK 0, EOS 1, a 2, b 3
    assert corpus.ids.tolist() == [5, 2, 2, 3, EOS, 4, 3, EOS, 5, 2, 3, EOS]
    assert (corpus.characters, corpus.predicted_characters) == (6, 9)
    for documents in (corpus.documents(), *corpus.parts()):
        assert spans(documents) == [(5, [2, 2, 3, 1]), (4, [3, 1]), (5, [2, 3, 1])]
    again = load(TEXT)  # from the cache
    assert again.labels == corpus.labels


def spans(documents: Documents) -> list[tuple[int, list[int]]]:
    assert documents.labels is not None
    rows = zip(documents.labels, documents.starts, documents.lengths, strict=True)
    return [
        (int(label), documents.ids[start : start + length].tolist())
        for label, start, length in rows
    ]


def test_held_out_lines_keep_their_labels() -> None:
    lines = [f"{'ab'[n % 2]}\t{n:03}" for n in range(100)]
    corpus = load("\n".join(lines))
    split = corpus.split(0.1, 1)
    found = {
        (label - len(corpus.vocabulary), corpus.vocabulary.decode(ids))
        for label, ids in spans(split.held_out)
    }
    assert len(found) == 10
    assert all((int(text) % 2) == label for label, text in found)


def test_some_lines_lose_their_label_for_the_ngrams() -> None:
    corpus = load("\n".join(f"{'ab'[n % 2]}\t{n:03}" for n in range(100)))
    for seed in (1, 2):
        ids = without_some_labels(corpus.ids, 0.1, seed)
        assert len(corpus.ids) - len(ids) == 10
        known = len(corpus.vocabulary)
        assert ids[ids < known].tolist() == corpus.ids[corpus.ids < known].tolist()
        assert ids.tolist() == without_some_labels(corpus.ids, 0.1, seed).tolist()


def test_another_text_is_read_with_the_labels_of_a_model() -> None:
    trained = load(TEXT)
    assert trained.labels is not None
    known = trained.vocabulary, trained.labels
    assert load("b\tba\n", known).ids.tolist() == [5, 3, 2, EOS]
    assert load("b\tba\n").ids.tolist() == [4, 3, 2, EOS]  # with its own
    with pytest.raises(CorpusError, match=r"line 2 of .*does not know, 'c'; it knows a, b"):
        load("b\tba\nc\ta\n", known)


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\nab\n", "line 2 of names.tsv has no tab"),
        ("a\tb\r\n\r\n\nab\n", "line 4 of names.tsv has no tab"),
        ("\tb\n", "line 1 of names.tsv has a label that is empty"),
        ("a\tb\na\t\n", "line 2 of names.tsv has no text after its tab"),
        ("a\tb\tc\n", "line 1 of names.tsv has 2 tabs"),
        ("a\tb\na \tb\nxx", "line 2 of names.tsv has a label that begins or ends with a space"),
        ("a\tb\n\x1b[2J\tb\n", "line 2 of names.tsv has a label that has a control character"),
        ("a\u202e\tb\n", "line 1 of names.tsv has a label that has a control character"),
        ("a" * 101 + "\tb\n", "line 1 of names.tsv has a label that has more than 100 characters"),
        ("é\tb\ne\u0301\tb\n", "line 2 of names.tsv has a label that is not in Unicode's normal"),
        ("\n".join(f"{n}\tb" for n in range(5000)), "line 4,097 .* more label than the 4,096"),
        ("\n".join(f"{n:099}\tb" for n in range(700)), "line 662 .* 65,536 characters in all"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_line_is_named(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        load(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_the_first_of_several_bad_lines_is_named() -> None:
    for text in ("a\tb\n\tb\nab\n", "a\tb\nab\n\tb\n"):
        with pytest.raises(CorpusError, match="line 2 "):
            load(text)


def test_a_tab_is_no_newline() -> None:
    assert ord("\t") == labelled.TAB
