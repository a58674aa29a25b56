"""Prepare a corpus for training: split it, and cut the training text into batches.

Knows nothing of budgets, files or how a run proceeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError, Parameter, SettingsError
from charrnn.models.architecture import Architecture
from charrnn.text.corpus import MAX_NAMES, Corpus
from charrnn.text.documents import (
    Documents,
    Ids,
    find_id,
)
from charrnn.text.splitting import without_some_labels
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import (
    MAX_TOGETHER,
    START_SEARCH,
    UNLABELLED,
    Batches,
    LineBatches,
    StreamBatches,
)
from charrnn.training.ensemble_trainer import AnyTrainer, EnsembleTrainer
from charrnn.training.following import Leader
from charrnn.training.origin import Origin
from charrnn.training.processes import Alone, Group
from charrnn.training.reader_batches import ReaderLineBatches, WindowBatches
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.trainer import Trainer

VALIDATION_CHARACTERS = 5_000
MAX_VALIDATION = 0.1
MAX_VALIDATION_CHARACTERS = 200_000
"""By default DEFAULTS.validation of the text is held out, but at least VALIDATION_CHARACTERS
(though not more than MAX_VALIDATION of a short text) and at most MAX_VALIDATION_CHARACTERS."""
MAX_CLASSIFIED = 1 << 18
"""Characters that are predicted, at most, to classify held-out lines."""
MIN_CHARACTERS = 16
"""A shorter training text is refused: it is too little to learn from."""

SHORT_LINES = (
    "the text is a list of short lines; if each is a text of its own, such as a name, train with "
    "--lines"
)
LINES_SEARCH = 1 << 20
FEWEST_LINES, LONGEST_MEAN, EMPTY_LINES = 100, 20, 0.01
"""A text looks like a list if its beginning has at least so many lines, of at most so many
characters on average, and fewer than this share of them are empty. Lines of verse are longer."""


@dataclass(frozen=True)
class TrainingData:
    """A corpus prepared for training.

    Attributes:
        corpus: the whole corpus.
        training: (N,) ids to train on.
        seams: (J,) positions in `training` where a document begins without an EOS before it.
        starts: (D,) positions in `training` where documents begin; None if they are lines.
        validation: the documents, or parts of documents, that are held out.
        held_out: the fraction of the corpus that was to be held out.
        group: the processes that train on it together.
        origin: the model to start from.
        seed: chooses what is held out, and which lines lose their label for the n-gram model.
    """

    corpus: Corpus
    training: Ids
    seams: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64] | None
    validation: Documents
    held_out: float
    group: Group = field(default_factory=Alone)
    origin: Origin | None = None
    seed: int = DEFAULTS.seed

    @property
    def fixed_settings(self) -> dict[str, Any]:
        """The fields of Settings that the model to start from decides."""
        return {} if self.origin is None else self.origin.settings

    @property
    def is_one_document(self) -> bool:
        """Whether the held-out text is the end of the only document."""
        return self.starts is not None and len(self.starts) == 1

    def batches(self, settings: Settings) -> Batches:
        """What the network reads of the training text, in the order of training."""
        cut = self._beginning_of(settings.recent)
        return self._batches(settings) if cut == 0 else self._from(cut)._batches(settings)

    def _beginning_of(self, recent: int) -> int:
        """Where the last `recent` ids begin; of lines, the first line there, or 0 without one."""
        cut = max(0, len(self.training) - recent) if recent else 0
        if cut == 0 or not self.corpus.reading.lines:
            return cut
        ends = find_id(self.training[cut - 1 : cut + LINES_SEARCH], EOS)[:1]
        return int(cut + ends[0]) if len(ends) and cut + ends[0] < len(self.training) else 0

    def _from(self, cut: int) -> TrainingData:
        """The same with the training text from there on, as if it began there."""
        starts = self.starts
        return replace(
            self,
            training=self.training[cut:],
            seams=self.seams[self.seams >= cut] - cut,
            starts=None if starts is None else np.append(0, starts[starts > cut] - cut),
        )

    def _batches(self, settings: Settings) -> Batches:
        sizes = settings.batch, settings.chunk, settings.seed
        if self.corpus.reading.lines:
            first = len(self.corpus.vocabulary) if self.corpus.labels else None
            lines = LineBatches(self.training, *sizes, first_label=first)
            return ReaderLineBatches(lines) if settings.bidirectional else lines
        if settings.bidirectional:
            assert self.starts is not None
            return WindowBatches(self.training, self.starts, *sizes)
        return StreamBatches(
            self.training, self._newline, *sizes, seams=self.seams, starts=self.starts
        )

    def looks_like_lines(self) -> bool:
        """Whether the text is a list of short lines, none of them empty, read as whole files."""
        newline = self._newline
        if self.corpus.reading.lines or newline is None:
            return False
        ends = find_id(self.training[:LINES_SEARCH], newline)
        lengths = np.diff(ends) - 1
        if len(lengths) < FEWEST_LINES or lengths.mean() > LONGEST_MEAN:
            return False
        return float((lengths == 0).mean()) < EMPTY_LINES

    @property
    def label_count(self) -> int:
        """L, the number of labels."""
        return len(self.corpus.labels or ())

    @property
    def ids(self) -> int:
        """The number of different ids: characters and labels."""
        return len(self.corpus.vocabulary) + self.label_count

    @property
    def times_classified(self) -> float:
        """How often the held-out text is read at the end to classify its lines."""
        return min(self.label_count, MAX_CLASSIFIED / max(1, self.validation.characters))

    def ngram_text(self) -> Ids:
        """The ids whose n-grams are counted: some lines have no label, as in `batches`."""
        if self.corpus.labels is None:
            return self.training
        return without_some_labels(self.training, UNLABELLED, self.seed)

    @property
    def _newline(self) -> int | None:
        return int(self.corpus.vocabulary.encode("\n")[0]) or None

    def architecture(self, settings: Settings) -> Architecture:
        """Of the network that `settings` describe."""
        return settings.architecture(len(self.corpus.vocabulary), self.label_count)

    def trainer(self, settings: Settings, device: str) -> AnyTrainer:
        """A new network with its optimisers, or several, before the first step.

        Raises:
            SettingsError: several processes cannot train several networks.
        """
        if settings.networks == 1:
            return self.single_trainer(settings, device)
        if len(self.group.threads) > 1:
            raise SettingsError(
                "several processes train one network together, not several; give ",
                Parameter("networks"), " 1, or start one process",
            )
        return EnsembleTrainer(settings, lambda own: self.single_trainer(own, device), device)

    def single_trainer(self, settings: Settings, device: str) -> Trainer:
        """A new network with its optimisers, before the first step, whatever else is to train."""
        architecture = self.architecture(settings)
        kind = Trainer if self.group.rank else Leader
        return kind(settings, architecture, self.batches(settings), device, self.group)


def prepare_data(
    corpus: Corpus, validation: float | None, seed: int = DEFAULTS.seed
) -> TrainingData:
    """Split `corpus` for training.

    Args:
        corpus: to split.
        validation: the fraction to hold out; None: `validation_for` the corpus's length.
        seed: chooses which lines or short documents are held out.

    Raises:
        CorpusError: it is too short.
    """
    if validation is None:
        validation = validation_for(corpus.characters)
    split = corpus.split(validation, seed)
    beginning = split.training[: 4 * MIN_CHARACTERS]  # no two ends follow each other
    known = len(corpus.vocabulary)  # ids from there on are labels
    characters = int(np.count_nonzero((beginning != EOS) & (beginning < known)))
    if characters < MIN_CHARACTERS:
        needed = math.ceil(MIN_CHARACTERS / (1 - validation))
        raise CorpusError(
            f"{', '.join(corpus.names[:MAX_NAMES])} is too short to train on: {corpus.characters} "
            f"characters, of which {characters} are for training; it must have about {needed} or "
            "more"
        )
    return TrainingData(
        corpus, split.training, split.seams, split.starts, split.held_out, validation, seed=seed
    )


def validation_for(characters: int) -> float:
    """The fraction of a corpus of `characters` that is held out by default.

    Held-out text is lost for training, so it is only as much as gives a usable validation loss
    (tests/benchmarks/README.md): a larger fraction of a shorter text. Each validation reads all of
    it, so it has a limit that does not grow with the text.
    """
    least = VALIDATION_CHARACTERS / max(1, characters)
    most = MAX_VALIDATION_CHARACTERS / max(1, characters)
    fraction = min(MAX_VALIDATION, max(least, min(DEFAULTS.validation, most)))
    return float(f"{fraction:.2g}")


def changed_since_v1(data: TrainingData, settings: Settings) -> str | None:
    """Why an unfinished run of charrnn 0.1.0 cannot go on with this text; None if it can.

    That version held out the last lines, and the end of each corpus named; it showed a newline
    before EOS as the beginning of a line, and the beginning of a text without newlines in every
    batch. Call it before the digests are compared: that of several files has changed too.
    """
    if data.corpus.reading.lines:
        if data.held_out:
            return "which lines are held out has changed"
        if len(data.training) > MAX_TOGETHER:
            return "the order of so many lines has changed"
        return None
    if data.corpus.document_count > 1 and data.held_out:
        return "which part of several texts is held out has changed"
    if settings.batch > 1 and not _has_close_lines(data.training, data._newline):
        return "which beginnings of lines are shown has changed"
    return None


def _has_close_lines(ids: Ids, newline: int | None) -> bool:
    """Whether a line begins within START_SEARCH of every position, and no document ends."""
    if newline is None:
        return False
    begins = find_id(ids[:-1], newline) + 1
    following = ids[begins]
    ended = len(find_id(ids[:-1], EOS)) > 0 or bool((following == EOS).any())
    begins = begins[following != newline]
    gaps = np.diff(np.concatenate([[0], begins, [len(ids)]]))
    return len(begins) > 0 and not ended and int(gaps.max()) < START_SEARCH
