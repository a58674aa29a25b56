"""A trained model for Python users and for the command line: text in, text and scores out.

Joins vocabulary, model, sampler and scorer; knows nothing of terminals.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.errors import CorpusError, VocabularyError
from charrnn.inference.sampling import ENDED, check_decoding, generate
from charrnn.inference.scoring import Score, evaluate_documents, score_characters, score_documents
from charrnn.models.checkpoint import Checkpoint, load_checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_model
from charrnn.storage.runs import find_checkpoint
from charrnn.text.corpus import find_encoded, load_corpus
from charrnn.text.documents import Documents
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS, Vocabulary

DEFAULT_LENGTH = 500
SIDE_BY_SIDE = 64


@dataclass(frozen=True)
class CharacterScores:
    """A text's characters, EOS as "" where it counts, and the logarithm of each's probability."""

    characters: tuple[str, ...]
    log_probabilities: tuple[float, ...]


@dataclass(frozen=True)
class TrainedModel:
    """A model and its vocabulary.

    Attributes:
        checkpoint: everything the file says.
        path: where it was read.
        model: computes probabilities.
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
        """Read a checkpoint; see `charrnn.load`."""
        path = find_checkpoint(None if checkpoint is None else str(checkpoint))
        found = load_checkpoint(path)
        return cls(found, path, load_model(found, device, use_ngram))

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
        **decoding: float | int | bool,
    ) -> list[str]:
        """`num` new texts, each beginning with `prime`.

        Args:
            num: how many.
            length: characters of each beyond `prime`, at most; None: until EOS.
            prime: what they go on from.
            seed: the same one gives the same texts; None: another one every time.
            decoding: temperature, top_k, top_p, argmax.

        Raises:
            SettingsError: an option is out of range.
        """
        seed = new_seed() if seed is None else seed
        texts = []
        for begin in range(0, num, SIDE_BY_SIDE):
            numbers = range(begin, min(num, begin + SIDE_BY_SIDE))
            texts.extend(self.sample_numbers(numbers, length, prime, seed, **decoding))
        return texts

    def sample_numbers(
        self,
        numbers: range,
        length: int | None,
        prime: str,
        seed: int,
        **decoding: float | int | bool,
    ) -> list[str]:
        """The texts with these `numbers` of those that `sample` gives, made side by side."""
        seeds = [(seed, number) for number in numbers]
        ids: list[list[int]] = [[] for _ in seeds]
        values = check_decoding(decoding)
        for chosen in generate(self.model, self.vocabulary.encode(prime), values, seeds, length):
            for text, index in zip(ids, chosen.tolist(), strict=True):
                if index != ENDED:
                    text.append(index)
        return [prime + self.vocabulary.decode(text) for text in ids]

    def stream(
        self,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        **decoding: float | int | bool,
    ) -> Iterator[str]:
        """The first text that `sample` gives, character by character, without `prime`."""
        seed = new_seed() if seed is None else seed
        values = check_decoding(decoding)
        ids = self.vocabulary.encode(prime)
        for chosen in generate(self.model, ids, values, [(seed, 0)], length):
            yield self.vocabulary.character(int(chosen[0]))

    def score(self, texts: Sequence[str], eos: bool | None = None) -> list[Score]:
        """How probable each text is, read from its beginning.

        Args:
            texts: any texts; characters outside the vocabulary count as UNK.
            eos: whether the text's end is predicted too; None: if the model was trained on lines.
        """
        return score_documents(self.model, self._documents(texts, eos))

    def score_characters(
        self, texts: Sequence[str], eos: bool | None = None
    ) -> list[CharacterScores]:
        """The log-probability (nats) of every character of each text."""
        scores = score_characters(self.model, self._documents(texts, eos))
        return [
            CharacterScores((*text, *[""] * (len(values) - len(text))), tuple(values.tolist()))
            for text, values in zip(texts, scores, strict=True)
        ]

    def _documents(self, texts: Sequence[str], eos: bool | None) -> Documents:
        with_eos = self.checkpoint.lines if eos is None else eos
        ending = [EOS] if with_eos else []
        pieces = [np.append(self.vocabulary.encode(text), ending) for text in texts]
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        ids = np.concatenate([*pieces, np.empty(0, np.int64)]).astype(np.int64)
        return Documents(ids, lengths.cumsum() - lengths, lengths)

    def evaluate(
        self, corpora: Sequence[str | Path], encoding: str = "utf-8", errors: str = "strict"
    ) -> Score:
        """How probable whole corpora are: files, directories or "-", read as in training.

        Raises:
            CorpusError: one cannot be read.
        """
        reading = Reading(self.checkpoint.lines, encoding, errors)
        names = [str(name) for name in corpora]
        corpus = load_corpus(names, reading, vocabulary=self.vocabulary)
        return evaluate_documents(self.model, corpus.documents())

    def training_text(self, corpus: str | None = None) -> str:
        """The corpus that the model was trained on, to compare samples with.

        Args:
            corpus: where it is; None: in the cache of encoded corpora.

        Raises:
            CorpusError: it is no longer in the cache, or cannot be read.
        """
        if corpus is not None:
            reading = Reading(lines=self.checkpoint.lines)
            return self.vocabulary.decode(
                load_corpus([corpus], reading, vocabulary=self.vocabulary).ids
            )
        digest = str(self.checkpoint.corpus.get("digest"))
        settings = self.checkpoint.training.get("settings", {})
        ids = find_encoded(digest, settings.get("min_count", 1))
        if ids is None:
            raise CorpusError("the training text is no longer cached; name it with --corpus")
        return self.vocabulary.decode(ids)

    def require_known(self, text: str) -> None:
        """Raise VocabularyError if `text` has characters outside the vocabulary."""
        unknown = self.vocabulary.unknown(text)
        if unknown:
            shown = " ".join(repr(character) for character in unknown[:10])
            raise VocabularyError(
                f"{len(unknown)} distinct characters are not in the model's vocabulary ({shown}); "
                "leave them out, or drop --strict to count them as unknown"
            )


def new_seed() -> int:
    """A seed nobody has chosen."""
    return secrets.randbelow(2**32)

