"""The product of two directions, where it is known to be exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charrnn.api import TrainedModel
from tests.benchmarks.product import measure
from tests.support import TableModel, random_checkpoint

TINY = 1e-9


def markov_text(length: int, seed: int) -> str:
    """Of a and b: a is followed by b with 0.1, b by a with 0.3; so 3 of 4 are a."""
    draws = np.random.default_rng(seed).random(length)
    text = "a"
    for draw in draws[1:].tolist():
        switched = draw < (0.1 if text[-1] == "a" else 0.3)
        text += "ba"[text[-1] == "b"] if switched else text[-1]
    return text


def test_the_product_is_exact_where_both_sides_are_independent() -> None:
    """A chain of two states is the same read backward, and a = c = 1: by hand, between two a's the
    odds of a and b are 0.9 0.9 / 0.75 to 0.1 0.1 / 0.25, as p(b | a) = 0.1 on either side.
    """
    rows = [[TINY, TINY, 0.75, 0.25]] * 2 + [[TINY, TINY, 0.9, 0.1], [TINY, TINY, 0.3, 0.7]]
    model = TrainedModel(random_checkpoint("ab"), Path("nowhere"), TableModel(rows))
    test = markov_text(5_000, seed=2)
    found = measure(model, model, markov_text(5_000, seed=1), markov_text(20_000, seed=3), test)
    assert (found["a"], found["c"]) == pytest.approx((1, 1), abs=0.15)
    step = {"aa": 0.9, "ab": 0.1, "ba": 0.3, "bb": 0.7}
    share = {"a": 0.75, "b": 0.25}
    exact = 0.0
    for left, here, right in zip(test, test[1:], test[2:], strict=False):
        odds = {each: step[left + each] * step[right + each] / share[each] for each in "ab"}
        exact -= np.log(odds[here] / sum(odds.values()))
    assert found["product"] == pytest.approx(exact / (len(test) - 2), abs=0.01)
    assert found["product"] < found["forward"]
    assert found["forward"] == pytest.approx(found["backward"], abs=0.01)
