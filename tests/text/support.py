"""What several tests of texts need: corpora of a few characters, and what they were read as."""

from __future__ import annotations

from pathlib import Path

from charrnn.text.corpus import Corpus, load_corpus
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS

FILES = Reading()
LINES = Reading(lines=True)
AWKWARD = "naïve\r\n\r\n e\u0301\t漢字\0العربية 👩‍👩‍👧\n\rend\u2028.\r"


def text_of(corpus: Corpus) -> str:
    """The corpus's characters, with | for EOS."""
    known = corpus.vocabulary
    return "".join("|" if index == EOS else known.character(index) for index in corpus.ids.tolist())


def load(*names: str, reading: Reading = FILES, min_count: int = 1) -> Corpus:
    return load_corpus(names, reading, min_count)


def write(name: str, text: str) -> str:
    Path(name).write_bytes(text.encode())
    return name
