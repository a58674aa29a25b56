"""What several tests of training need: a text made ready."""

from __future__ import annotations

from pathlib import Path

from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData, prepare_data


def prepare(
    *texts: str, lines: bool = False, validation: float | None = 0.1, seed: int = 1
) -> TrainingData:
    """The texts as files of one corpus, split."""
    names = [f"{number}.txt" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        Path(name).write_bytes(text.encode())
    return prepare_data(load_corpus(names, Reading(lines=lines)), validation, seed)
