"""A corpus made ready for training: what is trained on, what is held out, in which order.

Knows nothing of budgets, files or how a run proceeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError
from charrnn.text.corpus import MAX_NAMES, Corpus
from charrnn.text.documents import (
    Documents,
    Ids,
    count_id,
    find_id,
)
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import START_SEARCH, Batches, LineBatches, StreamBatches
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.state import network_architecture
from charrnn.training.trainer import Trainer

VALIDATION_CHARACTERS = 5_000
MAX_VALIDATION = 0.1
"""By default so many characters are held out, but at most this fraction of the text, and at least
DEFAULTS.validation of it."""
MIN_CHARACTERS = 16
"""A shorter training text is refused: there is nothing to predict from."""


@dataclass(frozen=True)
class TrainingData:
    """A corpus made ready.

    Attributes:
        corpus: all of it.
        training: (N,) ids that are trained on.
        seams: (J,) where in `training` a document begins without an EOS before it.
        validation: the documents, or parts of documents, that are held out.
        held_out: the fraction of the corpus that they are meant to be.
    """

    corpus: Corpus
    training: Ids
    seams: npt.NDArray[np.int64]
    validation: Documents
    held_out: float

    def batches(self, settings: Settings) -> Batches:
        """The training text in the order of training."""
        sizes = settings.batch, settings.chunk, settings.seed
        if self.corpus.reading.lines:
            return LineBatches(self.training, *sizes)
        return StreamBatches(self.training, self._newline, *sizes, seams=self.seams)

    @property
    def _newline(self) -> int | None:
        return int(self.corpus.vocabulary.encode("\n")[0]) or None

    def trainer(self, settings: Settings, device: str) -> Trainer:
        """A network and all that trains it, before the first step."""
        architecture = network_architecture(settings, len(self.corpus.vocabulary))
        return Trainer(settings, architecture, self.batches(settings), device)


def prepare_data(
    corpus: Corpus, validation: float | None, seed: int = DEFAULTS.seed
) -> TrainingData:
    """Split `corpus` for training.

    Args:
        corpus: what to split.
        validation: the fraction to hold out; None: as the corpus's length suggests.
        seed: chooses what is held out of lines and of short documents.

    Raises:
        CorpusError: it is too short.
    """
    if validation is None:
        validation = validation_for(corpus.characters)
    split = corpus.split(validation, seed)
    characters = len(split.training) - count_id(split.training, EOS)
    if characters < MIN_CHARACTERS:
        needed = math.ceil(MIN_CHARACTERS / (1 - validation))
        raise CorpusError(
            f"{', '.join(corpus.names[:MAX_NAMES])} is too short to train on: {corpus.characters} "
            f"characters, of which {characters} are for training; it must have about {needed} or "
            "more"
        )
    return TrainingData(corpus, split.training, split.seams, split.held_out, validation)


def validation_for(characters: int) -> float:
    """The fraction of a corpus of so many characters that is held out by default.

    What is held out would have taught the most about what follows it, so it is as little as gives
    a usable figure (tests/benchmarks/README.md); of a short text, that is more of it.
    """
    wanted = VALIDATION_CHARACTERS / max(1, characters)
    return float(f"{min(MAX_VALIDATION, max(DEFAULTS.validation, wanted)):.2g}")


def changed_since_v1(data: TrainingData, settings: Settings) -> str | None:
    """Why an unfinished run of charrnn 0.1.0 cannot go on with this text; None if it can.

    That version held out the last lines, and the end of each corpus named; it showed a newline
    before EOS as the beginning of a line, and the beginning of a text without newlines in every
    batch. To be asked before the digests are compared: that of several files named has changed too.
    """
    if data.corpus.reading.lines:
        return "which lines are held out has changed" if data.held_out else None
    if count_id(data.corpus.ids, EOS) > 1 and data.held_out:
        return "which part of several texts is held out has changed"
    if settings.batch > 1 and not _has_close_lines(data.training, data._newline):
        return "which beginnings of lines are shown has changed"
    return None


def _has_close_lines(ids: Ids, newline: int | None) -> bool:
    """Whether from every position the next beginning of a line is near, and no document ends."""
    if newline is None:
        return False
    begins = find_id(ids[:-1], newline) + 1
    following = ids[begins]
    ended = len(find_id(ids[:-1], EOS)) > 0 or bool((following == EOS).any())
    begins = begins[following != newline]
    gaps = np.diff(np.concatenate([[0], begins, [len(ids)]]))
    return len(begins) > 0 and not ended and int(gaps.max()) < START_SEARCH
