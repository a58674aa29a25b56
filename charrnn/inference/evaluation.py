"""Measure a model on whole corpora, and compare texts with the one that it was trained on.

Joins scoring with the reading of corpora; knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import CorpusError, Parameter, VocabularyError
from charrnn.inference.pseudo import pseudo_scores
from charrnn.inference.scoring import Score, Scorer, evaluate_collections
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.loading import load_reader
from charrnn.text.corpus import Corpus, find_encoded, load_corpus
from charrnn.text.documents import Documents, Ids
from charrnn.text.reading import ERRORS, Reading
from charrnn.text.vocabulary import EOS, Vocabulary

STDIN = "-"


@dataclass(frozen=True)
class Evaluation:
    """What a model says about a corpus.

    Attributes:
        corpus: its name.
        score: of all of it.
        unknown: the characters of it that the model does not know; () for standard input, which
            cannot be read again to find them.
        trained_on: whether it is the text that the model was trained on.
        pseudo: the pseudo-log-likelihood of all of it, as a Score; None without a reader.
    """

    corpus: str
    score: Score
    unknown: tuple[str, ...]
    trained_on: bool
    pseudo: Score | None = None


def evaluate_corpora(
    model: Scorer,
    checkpoint: Checkpoint,
    names: Sequence[str],
    reading: Reading,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Evaluation]:
    """What `model` says about each of the corpora `names`.

    `on_progress` is called with the bytes that are read and all that are to be read, then with the
    characters that are done and all that are to be done.

    Raises:
        CorpusError: one cannot be read.
    """
    vocabulary = checkpoint.vocabulary
    corpora = [
        load_corpus([name], reading, 1, vocabulary, on_progress, checkpoint.labels)
        for name in names
    ]
    scores = _scores(model, corpora, on_progress)
    known = _are_training_text(corpora, checkpoint, reading)
    pseudo = _pseudo_scores(checkpoint, corpora, on_progress)
    return [
        Evaluation(name, score, _unknown_in(name, score, reading, vocabulary), trained_on, each)
        for name, score, trained_on, each in zip(names, scores, known, pseudo, strict=True)
    ]


def _pseudo_scores(
    checkpoint: Checkpoint,
    corpora: Sequence[Corpus],
    on_progress: Callable[[int, int], None] | None,
) -> Sequence[Score | None]:
    """The pseudo-log-likelihood of each corpus, if there is a reader."""
    reader = load_reader(checkpoint)
    if reader is None:
        return [None] * len(corpora)
    total = sum(each.predicted_characters for each in corpora)
    report = None if on_progress is None else lambda done: on_progress(done, total)
    return [Score.total(list(pseudo_scores(reader, each.parts(), report))) for each in corpora]


def _scores(
    model: Scorer,
    corpora: Sequence[Corpus],
    on_progress: Callable[[int, int], None] | None,
) -> list[Score]:
    """The score of each corpus; its documents are listed part by part, as they are read."""
    total = sum(each.predicted_characters for each in corpora)
    owners: list[int] = []

    def parts() -> Iterator[Documents]:
        for number, corpus in enumerate(corpora):
            for part in corpus.parts():
                owners.append(number)
                yield part

    report = None if on_progress is None else lambda done: on_progress(done, total)
    of_corpus: list[list[Score]] = [[] for _ in corpora]
    for number, score in enumerate(evaluate_collections(model, parts(), report)):
        of_corpus[owners[number]].append(score)
    return [Score.total(each) for each in of_corpus]


def _are_training_text(
    corpora: Sequence[Corpus], checkpoint: Checkpoint, reading: Reading
) -> list[bool]:
    """Whether each corpus, or all of them together, is what the model was trained on."""
    digest, names = (checkpoint.corpus.get(key) for key in ("digest", "names"))
    found = [corpus.digest == digest for corpus in corpora]
    given = [name for corpus in corpora for name in corpus.names]
    several = len(given) > 1 and isinstance(names, list) and len(names) > 1
    if several and not any(found) and STDIN not in given:
        together = load_corpus(
            given, reading, vocabulary=checkpoint.vocabulary, labels=checkpoint.labels
        )
        return [together.digest == digest] * len(corpora)
    return found


def _unknown_in(
    name: str, score: Score, reading: Reading, vocabulary: Vocabulary
) -> tuple[str, ...]:
    """The characters of a corpus that are not in the vocabulary."""
    if not score.unknown_characters or name == STDIN:
        return ()
    try:
        found = load_corpus([name], reading).vocabulary.code_points
    except VocabularyError:  # too many for a vocabulary
        return ()
    return tuple(map(chr, sorted({*found} - {*vocabulary.code_points})))


def training_ids(
    checkpoint: Checkpoint, corpus: str | None, encoding: str | None, errors: str | None
) -> Ids:
    """The corpus that the model was trained on, encoded, with EOS after each document.

    Args:
        checkpoint: of the model.
        corpus: its file or directory; None: take it from the cache of encoded corpora.
        encoding: of `corpus`; None: as in training.
        errors: "strict" or "replace"; None: as in training.

    Raises:
        CorpusError: it is no longer in the cache, or cannot be read.
    """
    if corpus is not None:
        reading = _training_reading(checkpoint, encoding, errors)
        found = load_corpus(
            [corpus], reading, vocabulary=checkpoint.vocabulary, labels=checkpoint.labels
        )
        return _without_labels(found.ids, checkpoint)
    settings = checkpoint.training.get("settings", {})
    ids = find_encoded(str(checkpoint.corpus.get("digest")), settings.get("min_count", 1))
    if ids is None:
        raise CorpusError(
            "the training text is no longer cached; name it with ", Parameter("corpus")
        )
    return _without_labels(ids, checkpoint)


def _without_labels(ids: Ids, checkpoint: Checkpoint) -> Ids:
    return ids if checkpoint.labels is None else ids[ids < len(checkpoint.vocabulary)]


def lines_of(ids: Ids, vocabulary: Vocabulary) -> frozenset[str]:
    """The different lines of all documents in `ids`, where EOS ends each document."""
    ends = np.flatnonzero(ids == EOS).tolist()
    begins = [0, *(end + 1 for end in ends)]
    return frozenset(
        line
        for begin, end in zip(begins, [*ends, len(ids)], strict=True)
        for line in vocabulary.decode(ids[begin:end]).split("\n")
    )


def _training_reading(
    checkpoint: Checkpoint, encoding: str | None, errors: str | None
) -> Reading:
    requested = checkpoint.training.get("requested")
    known = requested if isinstance(requested, dict) else {}
    encoding = encoding or str(known.get("encoding", Reading.encoding))
    errors = errors or known.get("errors")
    return checkpoint.reading(encoding, errors if errors in ERRORS else Reading.errors)
