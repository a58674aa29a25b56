"""The Python interface to a trained model, also used by the command line: sample, score, evaluate.

Joins vocabulary, model, sampler and scorer; knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from charrnn.errors import Flag, Parameter, SettingsError, VocabularyError
from charrnn.inference.arguments import DEFAULT_LENGTH, require_count, seed_or_new, texts_of
from charrnn.inference.classification import (
    Classification,
    Classifier,
    by_scores,
    classifications,
    unknown_cost,
)
from charrnn.inference.corpus_methods import CorpusMethods
from charrnn.inference.html import CharacterScores, model_card
from charrnn.inference.restoring import Restorer
from charrnn.inference.scoring import (
    Score,
    Stream,
    most_probable,
    score_characters,
    score_documents,
)
from charrnn.inference.strategies import Value
from charrnn.inference.texts import Request, Sample, Writer
from charrnn.models.checkpoint import Checkpoint, load_checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.label_ngrams import LabelNgrams
from charrnn.models.loading import load_model
from charrnn.storage.bundled import model_name
from charrnn.storage.runs import find_checkpoint
from charrnn.storage.sealed_file import SealedFile
from charrnn.text.documents import Documents
from charrnn.text.labels import Labels
from charrnn.text.vocabulary import EOS, Vocabulary


@dataclass(frozen=True, repr=False)
class TrainedModel(CorpusMethods, Restorer):
    """A model and its vocabulary.

    Attributes:
        checkpoint: the contents of the file.
        path: of the file or run directory.
        model: computes the probabilities.
        learner: the same, but learning from what it scores; None: it does not adapt.
        use_ngram: False: n-grams are left out.
    """

    checkpoint: Checkpoint
    path: Path
    model: LanguageModel
    learner: Stream | None = None
    use_ngram: bool = True

    @classmethod
    def open(
        cls,
        checkpoint: str | Path | None = None,
        device: str = "cpu",
        use_ngram: bool = True,
    ) -> TrainedModel:
        """Read a checkpoint; see `charrnn.load` for arguments and errors."""
        path = find_checkpoint(None if checkpoint is None else str(checkpoint))
        return cls.read(path, path, device, use_ngram)

    @classmethod
    def read(
        cls, path: Path, source: Path | SealedFile, device: str, use_ngram: bool
    ) -> TrainedModel:
        """Read the checkpoint at `path` from `source`; see `charrnn.load` for errors."""
        found = load_checkpoint(source)
        return cls(found, path, load_model(found, device, use_ngram), use_ngram=use_ngram)

    def __repr__(self) -> str:
        parts = []
        if network := self.checkpoint.architecture:
            several = f"{self.checkpoint.networks} times " if self.checkpoint.networks > 1 else ""
            parts.append(f"{several}{network.cell.upper()} {network.layers} x {network.hidden}")
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
        label: str | None = None,
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
            label: of every text; None: texts of any label.
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
        samples = self.samples(range(num), length, prime, seed, until_eos, label, **decoding)
        return [sample.text for sample in samples]

    def samples(
        self,
        numbers: range,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        label: str | None = None,
        **decoding: Value,
    ) -> Iterator[Sample]:
        """The texts that `sample` gives, but only those with these `numbers`, as they are ready.

        Other arguments and errors: see `sample`.
        """
        request = self._request(length, prime, seed, until_eos, label, decoding)
        return self._writer().samples(request, numbers)

    def stream(
        self,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        label: str | None = None,
        **decoding: Value,
    ) -> Iterator[str]:
        """The text that `sample` gives, character by character, without `prime`.

        If `length` is None and EOS does not end the text, it is infinite. Arguments: see `sample`.
        """
        scored = self.stream_scored(length, prime, seed, until_eos, label, **decoding)
        return (character for character, _ in scored)

    def stream_scored(
        self,
        length: int | None = DEFAULT_LENGTH,
        prime: str = "",
        seed: int | None = None,
        until_eos: bool | None = None,
        label: str | None = None,
        **decoding: Value,
    ) -> Iterator[tuple[str, float]]:
        """The characters that `stream` gives, each with its log-probability in nats.

        That is what `score` gives for it, whatever the decoding.
        """
        request = self._request(length, prime, seed, until_eos, label, decoding)
        return self._writer().stream(request)

    def _writer(self) -> Writer:
        return Writer(self.adapted_model, self.vocabulary)

    def _request(
        self,
        length: int | None,
        prime: str,
        seed: int | None,
        until_eos: bool | None,
        label: str | None,
        decoding: dict[str, Value],
    ) -> Request:
        if length is not None:
            require_count("length", length)
        which = None if label is None else self._label_id(label)
        return Request(prime, length, self._ends(until_eos), seed_or_new(seed), decoding, which)

    def require_label(self, label: str) -> None:
        """Raise SettingsError if the model does not know `label`."""
        self._label_id(label)

    def _label_id(self, label: str) -> int:
        return len(self.vocabulary) + self._labels("label").index(label)

    def _labels(self, *needed: str) -> Labels:
        if self.checkpoint.labels is None:
            option = (Parameter(*needed), ": ") if needed else ()
            raise SettingsError(
                *option, f"the model {model_name(self.path)} knows no labels; train one with ",
                Flag("labelled"),
            )
        return self.checkpoint.labels

    def _ends(self, until_eos: bool | None) -> bool:
        return self.checkpoint.lines if until_eos is None else until_eos

    def score(
        self,
        texts: Sequence[str],
        eos: bool | None = None,
        label: str | None = None,
        adaptive: bool = False,
    ) -> list[Score]:
        """The log-probability of each text, read from its beginning.

        An empty text whose end is not predicted scores 0 nats over 0 characters.

        Args:
            texts: any texts; characters outside the vocabulary count as UNK.
            eos: whether the text's end is predicted too; None: if the model was trained on lines.
            label: of all texts; None: of any label.
            adaptive: learn from each character after it is scored; see `adapting`.

        Raises:
            TypeError: `texts` is a single text, not a list of texts.
            SettingsError: the model does not know the label.
        """
        scorer = (self.adapting() if adaptive else self).scorer
        return score_documents(scorer, self._documents(texts_of(texts), eos, label))

    def classify(self, texts: Sequence[str], uniform: bool = False) -> list[Classification]:
        """The probability of each label for each text, by Bayes' rule.

        Args:
            texts: any texts, their end included.
            uniform: whether all labels count as equally frequent, not as in training.

        Raises:
            TypeError: `texts` is a single text, not a list of texts.
            SettingsError: the model knows no labels.
        """
        labels, documents = self._labels(), self._documents(texts_of(texts), None)
        ids = len(self.vocabulary) + np.arange(len(labels))
        likelihoods = self._classifier.log_likelihoods(documents, ids)
        return classifications(labels.names, likelihoods, labels.log_prior(uniform))

    @cached_property
    def _classifier(self) -> Classifier:
        counts, labels = self.checkpoint.label_ngrams, self.checkpoint.labels
        if counts is None or labels is None or not self.use_ngram:
            return Classifier(self.model)
        ngrams = LabelNgrams(counts, np.array(labels.counts))
        return Classifier(self.model, ngrams, self.checkpoint.label_exponents)

    def score_characters(
        self, texts: Sequence[str], eos: bool | None = None, label: str | None = None
    ) -> list[CharacterScores]:
        """The log-probability (nats) of every character of each text; arguments as in `score`."""
        given = texts_of(texts)
        scores = score_characters(self.scorer, self._documents(given, eos, label))
        return [
            CharacterScores((*text, *[""] * (len(values) - len(text))), tuple(values.tolist()))
            for text, values in zip(given, scores, strict=True)
        ]

    def expected_characters(
        self, text: str, eos: bool | None = None, label: str | None = None
    ) -> list[tuple[str, float]]:
        """The most probable character at each place of `text`, EOS as "", and its probability.

        `eos`, `label`: as in `score`.
        """
        (pairs,) = most_probable(self.adapted_model, self._documents([text], eos, label))
        return [(self.vocabulary.character(index), value) for index, value in pairs]

    def _documents(
        self, texts: list[str], eos: bool | None, label: str | None = None
    ) -> Documents:
        with_eos = self.checkpoint.lines if eos is None else eos
        ending = [EOS] if with_eos else []
        pieces = [np.append(self.vocabulary.encode(text), ending) for text in texts]
        lengths = np.array([len(piece) for piece in pieces], np.int64)
        ids = np.concatenate([*pieces, np.empty(0, np.int64)]).astype(np.int64)
        labels = None if label is None else np.full(len(texts), self._label_id(label))
        return Documents(ids, lengths.cumsum() - lengths, lengths, labels)

    def require_known(self, text: str) -> None:
        """Raise VocabularyError if `text` has characters outside the vocabulary."""
        unknown = self.vocabulary.unknown(text)
        if unknown:
            shown = " ".join(repr(character) for character in unknown[:10])
            raise VocabularyError(
                f"{len(unknown)} distinct characters are not in the model's vocabulary ({shown}); "
                "leave them out"
            )


def classify_by_models(
    models: Mapping[str, TrainedModel], texts: Sequence[str]
) -> list[Classification]:
    """Which of several models each text is probably by, with the models' names as labels.

    The end of a text counts if all models were trained on lines. The models are taken to be equally
    frequent. For characters that a model does not know see `unknown_cost`.

    Raises:
        TypeError: `texts` is a single text, not a list of texts.
    """
    eos = all(model.checkpoint.lines for model in models.values())
    scores = [model.score(texts, eos) for model in models.values()]
    return by_scores([*models], scores, [unknown_cost(each.vocabulary) for each in models.values()])
