"""A corpus made ready for training: what is trained on, what is held out, in which order.

Knows nothing of budgets, files or how a run proceeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from charrnn.errors import CorpusError
from charrnn.text.corpus import Corpus, Documents, Ids, count_id
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import Batches, LineBatches, StreamBatches
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.state import network_architecture
from charrnn.training.trainer import Trainer

VALIDATION_CHARACTERS = 5_000
MAX_VALIDATION = 0.1
"""So many characters are held out by default, but at most this fraction of the text, and at least
the default one."""
MIN_CHARACTERS = 16
"""A shorter training text is refused: there is nothing to predict from."""


@dataclass(frozen=True)
class TrainingData:
    """A corpus made ready: what is trained on, what is held out, and what fraction that is."""

    corpus: Corpus
    training: Ids
    validation: Documents
    held_out: float

    def batches(self, settings: Settings) -> Batches:
        """The training text in the order of training."""
        sizes = settings.batch, settings.chunk, settings.seed
        if self.corpus.reading.lines:
            return LineBatches(self.training, *sizes)
        newline = int(self.corpus.vocabulary.encode("\n")[0])
        return StreamBatches(self.training, newline or None, *sizes)

    def trainer(self, settings: Settings, device: str) -> Trainer:
        """A network and all that trains it, before the first step."""
        architecture = network_architecture(settings, len(self.corpus.vocabulary))
        return Trainer(settings, architecture, self.batches(settings), device)


def prepare_data(corpus: Corpus, validation: float | None) -> TrainingData:
    """Split `corpus` for training; the fraction held out depends on its length, if not given.

    Raises:
        CorpusError: it is too short.
    """
    if validation is None:
        validation = validation_for(corpus.characters)
    training, held_out = corpus.split(validation)
    characters = len(training) - count_id(training, EOS)
    if characters < MIN_CHARACTERS:
        needed = math.ceil(MIN_CHARACTERS / (1 - validation))
        raise CorpusError(
            f"{', '.join(corpus.names)} is too short to train on: {corpus.characters} characters, "
            f"of which {characters} are for training; it must have about {needed} or more"
        )
    return TrainingData(corpus, training, held_out, validation)


def validation_for(characters: int) -> float:
    """The fraction of a corpus of so many characters that is held out by default.

    What is held out would have taught the most about what follows it, so it is as little as gives
    a usable figure (tests/benchmarks/README.md); of a short text, that is more of it.
    """
    wanted = VALIDATION_CHARACTERS / max(1, characters)
    return float(f"{min(MAX_VALIDATION, max(DEFAULTS.validation, wanted)):.2g}")


def changed_since_v1(data: TrainingData, settings: Settings) -> str | None:
    """Why a run started by charrnn 0.1 cannot go on with this corpus; None if it can."""
    if data.corpus.reading.lines:
        return "lines are held out in another way since"
    if len(data.corpus.part_ends) > 1:
        return "several files are divided in another way since"
    return None
