"""Plan the n-gram model: its order, its size, and the share of the time that counting may take.

A pure function of the text's length and the budget.

Alone, on the next megabyte of C source, the n-gram model of 20 million characters has 1.553 nats
per character, that of 60 million 1.36, and a network trained for five minutes 1.70: on a long text,
counting gains more than training. Measurements are in tests/benchmarks/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from charrnn.models.ngram_counter import MAX_FINAL_CUTOFF, STEP
from charrnn.models.ngram_counts import MAX_NGRAMS
from charrnn.models.ngram_trie import MAX_CUTOFF
from charrnn.training.sizes import RECENT

ALWAYS_COUNTED = 20_000_000
"""A text of at most this many characters is counted whole, however short the budget."""
SPREAD_CUTOFF = 4
"""Of the others, evenly spread, long n-grams that occur at most so often in a block are dropped:
they are seldom those of the text that follows."""
GAP, GAP_SHARE = 2_000_000, 0.1
"""So many characters of one long text beside the held-out part, or this share of them if that is
less, are counted last, for a second model: the mixture is fitted with it, which knows what is
beside the held-out part too well, and with the first one."""
GAPPED = 4_000_000
"""A shorter text has one model. What is beside the held-out part is much of it, and a network has
read it as often; of tiny-shakespeare a mixture fitted so was 0.03 nats worse."""
SHORT_STEP = 1 << 19
"""Characters per step of a text that is counted whole."""
SHORT_ORDER, LONG_ORDER = 8, 10
LONG_MAX_NGRAMS = 8_000_000
"""Of a longer text; about 110 MB on disk, which `sample` opens in a quarter of a second."""
COUNTING_SHARE = 0.35
"""Share of the budget for counting a longer text,"""
FINISHING_SHARE = 0.4
"""of which this much is for what follows the counting: both models are joined, pruned and made into
tables, and what is beside the held-out part is counted."""


@dataclass(frozen=True)
class NgramPlan:
    """How to count.

    Attributes:
        order: of the model.
        max_ngrams: the rarest beyond this many are dropped.
        max_cutoff: an n-gram that occurs more often is never dropped; the order is lowered instead.
        seconds: after which no more characters are counted; None for no limit.
        recent: so many characters at the end are counted first: they are most like what follows.
        gap: so many characters at the end are counted last, after the held-out text is predicted.
        step: characters that are counted at a time.
        most: so many are counted at most, the others evenly spread; None: all. As many others as
            recent ones made the model better, more of them worse.
        cutoff: long n-grams that occur at most so often in a block of these others are dropped.
    """

    order: int
    max_ngrams: int
    max_cutoff: int
    seconds: float | None
    recent: int = 0
    gap: int = 0
    step: int = STEP
    most: int | None = None
    cutoff: int = 0


def plan_ngram(
    characters: int, order: int | None, minutes: float | None, one_document: bool
) -> NgramPlan:
    """The plan for a training text of so many `characters`.

    Args:
        order: the requested one; None: chosen.
        minutes: of the whole run; None if it is limited by steps or epochs: all is counted then.
        one_document: whether its end is what the held-out text follows. Of several documents, each
            has a held-out part, or some have.
    """
    if characters <= ALWAYS_COUNTED:
        order = SHORT_ORDER if order is None else order
        plan = NgramPlan(order, MAX_NGRAMS, MAX_FINAL_CUTOFF, None)
        if not one_document or characters < GAPPED:
            return plan
        return replace(plan, gap=int(GAP_SHARE * characters), step=SHORT_STEP)
    share = COUNTING_SHARE * (1 - FINISHING_SHARE)
    seconds = None if minutes is None else share * minutes * 60
    order = LONG_ORDER if order is None else order
    plan = NgramPlan(order, LONG_MAX_NGRAMS, MAX_CUTOFF, seconds)
    if not one_document:
        return plan
    return replace(plan, recent=RECENT, gap=GAP, most=2 * RECENT, cutoff=SPREAD_CUTOFF)
