"""The Python interface to a trained model, also used by the command line: sample, score, evaluate.

Joins vocabulary, model, sampler and scorer; knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.errors import CheckpointError, Parameter, SettingsError, VocabularyError
from charrnn.inference.arguments import (
    DEFAULT_LENGTH,
    list_of,
    require_count,
    seed_or_new,
    texts_of,
)
from charrnn.inference.html import ShownAsHeatMap, model_card
from charrnn.inference.restoring import Restorer
from charrnn.inference.scoring import (
    Score,
    evaluate_documents,
    most_probable,
    score_characters,
    score_documents,
)
from charrnn.inference.strategies import Value
from charrnn.inference.texts import Request, Sample, Writer
from charrnn.models.checkpoint import Checkpoint, load_checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_model
from charrnn.storage.runs import find_checkpoint
from charrnn.text.corpus import load_corpus
from charrnn.text.documents import Documents, Ids, id_blocks
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS, UNK, Vocabulary

if TYPE_CHECKING:
    from charrnn.inference.evaluation import Evaluation
    from charrnn.inference.inspection import Memory
    from charrnn.inference.novelty import Novelty



@dataclass(frozen=True)
class CharacterScores(ShownAsHeatMap):
    """The characters of a text, with EOS as "" if it is predicted, and the log-probability of each.

    Attributes:
        characters: (T,) single characters.
        log_probabilities: (T,) natural logarithms, in nats.
    """

    characters: tuple[str, ...]
    log_probabilities: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class TrainedModel(Restorer):
    """A model and its vocabulary.

    Attributes:
        checkpoint: the contents of the file.
        path: of the file or run directory.
        model: computes the probabilities.
    """

    checkpoint: Checkpoint
    path: Path
    model: LanguageModel

    @classmethod
    def open(
        cls,
        checkpoint: str | Path | None = None,
        device: str = "cpu",
        use_ngram: bool = True,
    ) -> TrainedModel:
        """Read a checkpoint; see `charrnn.load` for arguments and errors."""
        if checkpoint == "":
            raise CheckpointError("the name of the checkpoint is empty; name a run directory")
        path = find_checkpoint(None if checkpoint is None else str(checkpoint))
        found = load_checkpoint(path)
        return cls(found, path, load_model(found, device, use_ngram))

    def __repr__(self) -> str:
        parts = []
        if network := self.checkpoint.architecture:
            parts.append(f"{network.cell.upper()} {network.layers} x {network.hidden}")
        if self.checkpoint.ngram:
            parts.append(f"{self.checkpoint.ngram.order}-gram model")
        return (
            f"<TrainedModel {str(self.path)!r}: {' and '.join(parts)}, "
            f"vocabulary of {len(self.vocabulary):,}>"
        )

    def _repr_html_(self) -> str:
        return model_card(repr(self), self.checkpoint.training)

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters it knows."""
        return self.checkpoint.vocabulary

    def sample(
        self,
        num: int = 1,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        **decoding: Value,
    ) -> list[str]:
        """`num` new texts, each beginning with `prime`.

        Equal arguments give equal texts on one machine and device. The random numbers of a text
        depend only on `seed` and its position in the list; but with another `num` probabilities
        are rounded differently, which can, rarely, change a text.

        Args:
            num: number of texts.
            length: maximum characters of each after `prime`; None: until EOS.
            prime: the beginning of every text.
            seed: of the random numbers; None: a new one every time.
            until_eos: whether EOS ends a text; otherwise it has `length` characters. None: if
                the model was trained on lines.
            decoding: temperature, top_k, top_p, min_p, typical_p, repetition_penalty, argmax, beam:
                numbers; forbid, only: characters; stop: texts. See the options of `sample`.

        Raises:
            SettingsError: an argument is out of range, or nothing would end a text.
        """
        require_count("num", num)
        if length is None and not self._ends(until_eos):
            raise SettingsError(
                "nothing would end the text; give ", Parameter("length"), " or ",
                Parameter("until_eos"),
            )
        samples = self.samples(range(num), length, prime, seed, until_eos, **decoding)
        return [sample.text for sample in samples]

    def samples(
        self,
        numbers: range,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        **decoding: Value,
    ) -> Iterator[Sample]:
        """The texts that `sample` gives, but only those with these `numbers`, as they are ready.

        Other arguments and errors: see `sample`.
        """
        request = self._request(length, prime, seed, until_eos, decoding)
        return self._writer().samples(request, numbers)

    def stream(
        self,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        **decoding: Value,
    ) -> Iterator[str]:
        """The text that `sample` gives, character by character, without `prime`.

        If `length` is None and EOS does not end the text, it is infinite. Arguments: see `sample`.
        """
        request = self._request(length, prime, seed, until_eos, decoding)
        return (character for character, _ in self._writer().stream(request))

    def stream_scored(
        self,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        **decoding: Value,
    ) -> Iterator[tuple[str, float]]:
        """The characters that `stream` gives, each with its log-probability in nats.

        That is what `score` gives for it, whatever the decoding.
        """
        request = self._request(length, prime, seed, until_eos, decoding)
        return self._writer().stream(request)

    def _writer(self) -> Writer:
        return Writer(self.model, self.vocabulary)

    def _request(
        self,
        length: int | None,
        prime: str,
        seed: int | None,
        until_eos: bool | None,
        decoding: dict[str, Value],
    ) -> Request:
        if length is not None:
            require_count("length", length)
        return Request(prime, length, self._ends(until_eos), seed_or_new(seed), decoding)

    def _ends(self, until_eos: bool | None) -> bool:
        return self.checkpoint.lines if until_eos is None else until_eos

    def score(self, texts: Sequence[str], eos: bool | None = None) -> list[Score]:
        """The log-probability of each text, read from its beginning.

        An empty text whose end is not predicted scores 0 nats over 0 characters.

        Args:
            texts: any texts; characters outside the vocabulary count as UNK.
            eos: whether the text's end is predicted too; None: if the model was trained on lines.

        Raises:
            TypeError: `texts` is a single text, not a list of texts.
        """
        return score_documents(self.model, self._documents(texts_of(texts), eos))

    def score_characters(
        self, texts: Sequence[str], eos: bool | None = None
    ) -> list[CharacterScores]:
        """The log-probability (nats) of every character of each text; arguments as in `score`."""
        given = texts_of(texts)
        scores = score_characters(self.model, self._documents(given, eos))
        return [
            CharacterScores((*text, *[""] * (len(values) - len(text))), tuple(values.tolist()))
            for text, values in zip(given, scores, strict=True)
        ]

    def expected_characters(
        self, text: str, eos: bool | None = None
    ) -> list[tuple[str, float]]:
        """The most probable character at each place of `text`, EOS as "", and its probability.

        `eos`: as in `score`.
        """
        (pairs,) = most_probable(self.model, self._documents([text], eos))
        return [(self.vocabulary.character(index), value) for index, value in pairs]

    def _documents(self, texts: list[str], eos: bool | None) -> Documents:
        with_eos = self.checkpoint.lines if eos is None else eos
        ending = [EOS] if with_eos else []
        pieces = [np.append(self.vocabulary.encode(text), ending) for text in texts]
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        ids = np.concatenate([*pieces, np.empty(0, np.int64)]).astype(np.int64)
        return Documents(ids, lengths.cumsum() - lengths, lengths)

    def evaluate(
        self, corpora: Sequence[str | Path], encoding: str = "utf-8", errors: str = "strict"
    ) -> Score:
        """The log-probability of whole corpora together, read as in training.

        Args:
            corpora: files, directories or "-" for standard input.
            encoding: of the files.
            errors: "strict" refuses bytes that are not text; "replace" reads U+FFFD for them.

        Raises:
            CorpusError: one cannot be read, or the encoding is unknown.
            TypeError: `corpora` is a single name, not a list of names.
        """
        names = [str(name) for name in list_of("files", (str, Path), corpora)]
        reading = Reading(self.checkpoint.lines, encoding, errors)
        corpus = load_corpus(names, reading, vocabulary=self.vocabulary)
        return Score.total([evaluate_documents(self.model, part) for part in corpus.parts()])

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
        reading = Reading(self.checkpoint.lines, encoding, errors)
        from charrnn.inference.evaluation import evaluate_corpora
        return evaluate_corpora(self.model, self.checkpoint, names, reading, on_progress)

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
        return "".join([self.vocabulary.decode(block) for block in id_blocks(ids)])

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

        ids = self.vocabulary.encode(text).astype(np.uint32)
        return measure_novelty(np.where(ids == UNK, len(self.vocabulary), ids), training)

    def training_lines(
        self, corpus: str | None = None, encoding: str | None = None, errors: str | None = None
    ) -> frozenset[str]:
        """The different lines of the corpus, to compare samples with.

        Arguments and errors: see `training_text`.
        """
        from charrnn.inference.evaluation import lines_of, training_ids

        return lines_of(training_ids(self.checkpoint, corpus, encoding, errors), self.vocabulary)

    def require_known(self, text: str) -> None:
        """Raise VocabularyError if `text` has characters outside the vocabulary."""
        unknown = self.vocabulary.unknown(text)
        if unknown:
            shown = " ".join(repr(character) for character in unknown[:10])
            raise VocabularyError(
                f"{len(unknown)} distinct characters are not in the model's vocabulary ({shown}); "
                "leave them out"
            )
