"""What a trained model says about whole corpora: the part of TrainedModel that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.inference.adapting import Adapter
from charrnn.inference.arguments import list_of
from charrnn.inference.scoring import Score, evaluate_documents
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.text.corpus import load_corpus
from charrnn.text.documents import Ids, id_blocks
from charrnn.text.vocabulary import UNK

if TYPE_CHECKING:
    from charrnn.inference.evaluation import Evaluation
    from charrnn.inference.inspection import Memory
    from charrnn.inference.novelty import Novelty


@dataclass(frozen=True, repr=False)
class CorpusMethods(Adapter):
    """Methods of a model that read corpora.

    Attributes:
        checkpoint: the contents of the file.
        path: of the file or run directory.
        model: computes the probabilities.
    """

    checkpoint: Checkpoint
    path: Path
    model: LanguageModel

    def evaluate(
        self,
        corpora: Sequence[str | Path],
        encoding: str = "utf-8",
        errors: str = "strict",
        adaptive: bool = False,
    ) -> Score:
        """The log-probability of whole corpora together, read as in training.

        Args:
            corpora: files, directories or "-" for standard input.
            encoding: of the files.
            errors: "strict" refuses bytes that are not text; "replace" reads U+FFFD for them.
            adaptive: learn from each character after it is scored; see `adapting`.

        Raises:
            CorpusError: one cannot be read, or the encoding is unknown.
            TypeError: `corpora` is a single name, not a list of names.
        """
        names = [str(name) for name in list_of("files", (str, Path), corpora)]
        reading = self.checkpoint.reading(encoding, errors)
        corpus = load_corpus(
            names,
            reading,
            vocabulary=self.checkpoint.vocabulary,
            labels=self.checkpoint.labels,
        )
        scorer = (self.adapting() if adaptive else self).scorer
        return Score.total([evaluate_documents(scorer, part) for part in corpus.parts()])

    def evaluate_each(
        self,
        corpora: Sequence[str | Path],
        encoding: str = "utf-8",
        errors: str = "strict",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Evaluation]:
        """What the model says about each of the `corpora`; arguments and errors: see `evaluate`.

        `on_progress` is called with the characters that are done and all that are to be done.
        """
        names = [str(name) for name in list_of("files", (str, Path), corpora)]
        reading = self.checkpoint.reading(encoding, errors)
        from charrnn.inference.evaluation import evaluate_corpora
        return evaluate_corpora(self.scorer, self.checkpoint, names, reading, on_progress)

    def inspect(self, corpora: Sequence[str | Path], **options: Any) -> Memory:
        """How much of a text the network remembers; options: see `inspect_corpora`."""
        from charrnn.inference.inspection import inspect_corpora
        return inspect_corpora(self.checkpoint, list_of("files", (str, Path), corpora), **options)

    def training_text(
        self, corpus: str | None = None, encoding: str | None = None, errors: str | None = None
    ) -> str:
        """The corpus that the model was trained on, to compare samples with.

        Args:
            corpus: its file or directory; None: take it from the cache of encoded corpora.
            encoding: of `corpus`; None: as in training.
            errors: "strict" or "replace"; None: as in training.

        Raises:
            CorpusError: it is no longer in the cache, or cannot be read.
        """
        from charrnn.inference.evaluation import training_ids
        ids = training_ids(self.checkpoint, corpus, encoding, errors)
        return "".join([self.checkpoint.vocabulary.decode(block) for block in id_blocks(ids)])

    def training_ids(
        self, corpus: str | None = None, encoding: str | None = None, errors: str | None = None
    ) -> Ids:
        """The ids (N,) of the corpus; arguments and errors: see `training_text`."""
        from charrnn.inference.evaluation import training_ids
        return training_ids(self.checkpoint, corpus, encoding, errors)

    def novelty(self, text: str, training: Ids) -> Novelty:
        """What `text` shares with `training`, which `training_ids` gives.

        A character outside the vocabulary equals none.
        """
        from charrnn.inference.novelty import measure_novelty

        ids = self.checkpoint.vocabulary.encode(text).astype(np.uint32)
        return measure_novelty(np.where(ids == UNK, len(self.checkpoint.vocabulary), ids), training)

    def training_lines(
        self, corpus: str | None = None, encoding: str | None = None, errors: str | None = None
    ) -> frozenset[str]:
        """The different lines of the corpus, to compare samples with.

        Arguments and errors: see `training_text`.
        """
        from charrnn.inference.evaluation import lines_of, training_ids

        ids = training_ids(self.checkpoint, corpus, encoding, errors)
        return lines_of(ids, self.checkpoint.vocabulary)
