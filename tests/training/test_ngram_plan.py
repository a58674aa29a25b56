from __future__ import annotations

from dataclasses import replace

import pytest

from charrnn.models.ngram_counter import MAX_FINAL_CUTOFF
from charrnn.models.ngram_counts import MAX_NGRAMS
from charrnn.training.ngram_plan import (
    COUNTING_SHARE,
    GAP,
    LONG_MAX_NGRAMS,
    LONG_ORDER,
    SPREAD_CUTOFF,
    NgramPlan,
    plan_ngram,
)
from charrnn.training.sizes import RECENT

MILLION = 1_000_000


@pytest.mark.parametrize("characters", [100, MILLION, 20 * MILLION])
@pytest.mark.parametrize("minutes", [None, 0.01, 60])
def test_a_text_of_up_to_20_million_characters_is_counted_whole(
    characters: int, minutes: float | None
) -> None:
    plan = plan_ngram(characters, None, minutes, False)
    assert plan == NgramPlan(8, MAX_NGRAMS, MAX_FINAL_CUTOFF, None)
    alone = plan_ngram(characters, None, minutes, True)
    assert replace(alone, gap=0, step=plan.step) == plan


@pytest.mark.parametrize(
    ("millions", "gap"), [(1, 0), (3.9, 0), (4, 400_000), (12, 1_200_000), (20, GAP), (21, GAP)]
)
def test_what_is_beside_the_end_of_one_document_is_counted_last(millions: float, gap: int) -> None:
    assert plan_ngram(int(millions * MILLION), None, 5, True).gap == gap
    assert plan_ngram(int(millions * MILLION), None, 5, False).gap == 0


@pytest.mark.parametrize("characters", [21 * MILLION, 5_000 * MILLION])
def test_a_longer_one_gets_a_share_of_the_time(characters: int) -> None:
    plan = plan_ngram(characters, None, 5, False)
    assert (plan.order, plan.max_ngrams) == (LONG_ORDER, LONG_MAX_NGRAMS)
    assert plan.seconds is not None
    assert 60 < plan.seconds < COUNTING_SHARE * 300
    assert plan_ngram(characters, None, 10, False).seconds == 2 * plan.seconds


def test_without_a_clock_all_is_counted() -> None:
    assert plan_ngram(5_000 * MILLION, None, None, False).seconds is None


@pytest.mark.parametrize("characters", [100, 100 * MILLION])
def test_a_requested_order_rules(characters: int) -> None:
    assert [plan_ngram(characters, order, 5, True).order for order in (0, 5, 16)] == [0, 5, 16]


def test_the_end_of_one_document_is_counted_first() -> None:
    plan = plan_ngram(100 * MILLION, None, 5, True)
    assert (plan.recent, plan.gap, plan.most) == (RECENT, GAP, 2 * RECENT)
    assert plan.cutoff == SPREAD_CUTOFF
    plan = plan_ngram(100 * MILLION, None, 5, False)
    assert (plan.recent, plan.gap, plan.most, plan.cutoff) == (0, 0, None, 0)
