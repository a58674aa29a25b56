"""Count the n-grams of two texts: one that a model has read before, and one that it goes on with.

The new text counts whole; of the earlier one so much as lets the n-gram model predict held-out text
of the new kind best. So each count is of text that is really there, and the discounts stay right.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from charrnn.arrays import Integers
from charrnn.errors import CharRNNError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.text.corpus import load_corpus
from charrnn.text.documents import Documents, Ids, copy_spans
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.data import prepare_data
from charrnn.training.ngram_plan import ALWAYS_COUNTED, NgramPlan
from charrnn.training.origin import Origin, shifted

SHARES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0)
"""Of the earlier text."""
FITTED = 50_000
"""The share is chosen by at most so many characters of the held-out text."""
STRETCHES = 64
"""A share is taken in so many stretches."""


@dataclass(frozen=True)
class EarlierText:
    """A text that an old model was trained on.

    Attributes:
        ids: (N,) as they were then.
        now: for each of those ids, the one in the run's vocabulary.
    """

    ids: Ids
    now: Integers

    def part(self, share: float) -> Ids:
        """The `share` of the text as ids of the run's vocabulary, evenly spread."""
        if share == 1:
            return self.now[self.ids]
        starts = np.linspace(0, len(self.ids), STRETCHES, endpoint=False).astype(np.int64)
        length = int(len(self.ids) / STRETCHES * share)
        return self.now[copy_spans(self.ids, starts, starts + length)]


def earlier_text(origin: Origin, vocabulary: Vocabulary) -> EarlierText | None:
    """The text that the old model was trained on; None if that is gone or has changed."""
    checkpoint = origin.checkpoint
    facts, training = checkpoint.corpus, checkpoint.training
    with suppress(CharRNNError, TypeError, AttributeError, KeyError):  # as the file has them
        settings, requested = training["settings"], training["requested"]
        reading = Reading(
            checkpoint.lines,
            requested.get("encoding", Reading.encoding),
            requested.get("errors", Reading.errors),
        )
        corpus = load_corpus(facts["names"], reading, settings["min_count"])
        if corpus.digest == facts["digest"]:
            ids = prepare_data(corpus, settings["validation"], settings["seed"]).training
            return EarlierText(ids, shifted(corpus.vocabulary, vocabulary))
    return None


@dataclass(frozen=True)
class CountedTexts:
    """The counts of two texts together.

    Attributes:
        counts: of the new text and the share of the earlier one.
        share: of the earlier text that is counted.
        nats_per_character: of these n-grams alone, on the held-out text.
    """

    counts: NgramCounts
    share: float
    nats_per_character: float


def count_both(
    earlier: EarlierText, ids: Ids, held_out: Documents, plan: NgramPlan, vocabulary_size: int
) -> CountedTexts:
    """Count the new text `ids` and the share of the `earlier` text that predicts best.

    A share that would make both together longer than ALWAYS_COUNTED is not tried.
    """
    sample = held_out.subsample(FITTED)
    tried = [
        _counted(earlier, share, ids, sample, plan, vocabulary_size)
        for share in SHARES
        if len(ids) + share * len(earlier.ids) <= ALWAYS_COUNTED
    ]
    return min(tried, key=lambda each: each.nats_per_character)


def _counted(
    earlier: EarlierText,
    share: float,
    ids: Ids,
    sample: Documents,
    plan: NgramPlan,
    vocabulary_size: int,
) -> CountedTexts:
    together = np.concatenate([earlier.part(share), ids]).astype(ids.dtype)
    counts = count_ngrams(together, plan.order, vocabulary_size, max_ngrams=plan.max_ngrams)
    loss = evaluate_documents(NgramModel(counts), sample).nats_per_character
    return CountedTexts(counts, share, loss)
