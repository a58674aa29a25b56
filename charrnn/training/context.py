"""What every run needs, with a network or without: request, data, clock, events, saving a model.

Knows nothing of how a model is trained.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.arrays import Array
from charrnn.models.architecture import Architecture
from charrnn.models.checkpoint import Checkpoint, save_checkpoint
from charrnn.models.mixture import Exponents
from charrnn.models.ngram import NgramModel
from charrnn.storage.runs import MODEL_FILE, remember_latest
from charrnn.training.clock import Clock, date_and_duration
from charrnn.training.data import TrainingData
from charrnn.training.emitter import Emitter
from charrnn.training.events import CheckpointEvent, DoneEvent, OriginEvent
from charrnn.training.figures import Figures
from charrnn.training.labelling import Labelling
from charrnn.training.origin import Origin
from charrnn.training.plan import describe
from charrnn.training.request import TrainingRequest
from charrnn.training.settings import Settings

MAX_NAMES = 100
"""A checkpoint lists at most this many of its corpora's names."""


@dataclass(frozen=True)
class Context:
    """What every run needs.

    Attributes:
        request: the command's options.
        data: the corpus, split for training.
        clock: of the whole run.
        emit: receives the events.
    """

    request: TrainingRequest
    data: TrainingData
    clock: Clock
    emit: Emitter

    def start_facts(self, settings: Settings) -> dict[str, Any]:
        """The fields of a start event that describe the request and the corpus."""
        corpus = self.data.corpus
        return {
            "checkpoint": str(self.request.output),
            "settings": asdict(settings),
            "flags": self._flags(settings),
            "characters": corpus.characters,
            "unknown_characters": corpus.unknown_characters,
            "vocabulary_size": len(corpus.vocabulary),
            "validation_characters": self.data.validation.characters,
            "seed": settings.seed,
        }

    def save_model(
        self,
        training: Mapping[str, Any],
        *,
        architecture: Architecture | None = None,
        weights: Mapping[str, Array] | None = None,
        ngram: NgramModel | None = None,
        exponents: Exponents | None = None,
        labelling: Labelling | None = None,
    ) -> None:
        """Write the checkpoint and make it the default one.

        Raises:
            OutputError: it cannot be written; an older one is intact.
            CheckpointError: a weight is not finite; an older one is intact.
        """
        corpus = self.data.corpus
        checkpoint = Checkpoint(
            vocabulary=corpus.vocabulary,
            lines=corpus.reading.lines,
            architecture=architecture,
            weights=weights or {},
            ngram=None if ngram is None else ngram.source,
            exponents=exponents,
            labels=corpus.labels,
            label_ngrams=labelling.source if labelling else None,
            label_exponents=labelling.exponents if labelling else None,
            networks=int(training["settings"].get("networks", 1)) if architecture else 1,
            training={
                "flags": self._flags(Settings(**training["settings"])),
                **training,
                **date_and_duration(self.clock.elapsed()),
            },
            corpus=self._corpus_facts(),
        )
        save_checkpoint(self.request.output / MODEL_FILE, checkpoint)
        remember_latest(self.request.output)

    def _flags(self, settings: Settings) -> str:
        """The options that repeat the run."""
        flags = describe(settings, self.data.corpus.reading)
        origin = self.request.origin
        return flags if origin is None else f"{flags} --from {shlex.quote(origin)}"

    def started_from(
        self, origin: Origin, before: float | None, share: float | None
    ) -> OriginEvent:
        """The event that reports the model that the run starts from."""
        new = origin.new_characters(self.data.corpus.vocabulary)
        return OriginEvent(str(origin.path), new, before, share)

    def _corpus_facts(self) -> dict[str, Any]:
        corpus = self.data.corpus
        return {
            "names": list(corpus.names[:MAX_NAMES]),
            "digest": corpus.digest,
            "characters": corpus.characters,
            "unknown_characters": corpus.unknown_characters,
            "validation_characters": self.data.validation.characters,
        }

    def saved(self, step: int) -> CheckpointEvent:
        """The event that reports a saved model."""
        return CheckpointEvent(step, str(self.request.output / MODEL_FILE))

    def done(
        self, step: int, best_step: int, figures: Figures
    ) -> DoneEvent:
        """The event that reports a finished run.

        Args:
            step: number of updates.
            best_step: the step with the lowest validation loss.
            figures: of the model, by their names in a DoneEvent.
        """
        values: dict[str, Any] = {"nats_per_character": None, **figures}
        output, seconds = str(self.request.output), self.clock.elapsed()
        return DoneEvent(output, step, best_step, seconds=seconds, **values)
