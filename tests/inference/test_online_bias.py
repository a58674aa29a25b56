from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference.online_bias import CELLS, LENGTHS, OnlineBias
from charrnn.inference.online_mixture import OnlineMixture

LATEST = (2, 3, 2, 1, 1, 1)


def test_nothing_is_added_before_anything_is_learnt() -> None:
    bias = OnlineBias(4, 0.1)
    assert not bias.bias(bias.rows(LATEST)).any()


def test_one_occasion_by_hand() -> None:
    bias = OnlineBias(4, 0.1)
    rows = bias.rows(LATEST)
    bias.learn(rows, np.array([0.1, 0.2, 0.3, 0.4], np.float32), 2)
    # Each of the six contexts gets 0.1 (1[c = 2] - p(c)).
    np.testing.assert_allclose(bias.bias(rows), [-0.06, -0.12, 0.42, -0.24], rtol=1e-5)


def test_later_occasions_count_less() -> None:
    bias = OnlineBias(4, 0.1)
    rows = bias.rows(LATEST)
    quarter = np.full(4, 0.25, np.float32)
    added = [0.0]
    for _ in range(4):
        bias.learn(rows, quarter, 0)
        added.append(float(bias.bias(rows)[0]))
    assert added[4] - added[3] == pytest.approx(6 * 0.1 / 2 * 0.75)  # 1 / sqrt(4)


def test_a_context_shares_only_its_shorter_ends() -> None:
    bias = OnlineBias(4, 0.1)
    same_end = bias.rows((2, 3, 1, 1, 1, 1))
    shared = bias.rows(LATEST) == same_end
    assert shared.tolist() == [True, True, False, False, False, False]
    assert len(set(same_end.tolist())) == LENGTHS


def test_a_step_goes_up_the_gradient_of_the_mixture() -> None:
    predictions = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
    weights = np.array([1.0, 0.5], np.float32)
    bias = OnlineBias(3, 0.1)
    mixture = OnlineMixture(2, (1,), (0.0,), bias)
    before = mixture.mix(predictions, weights, (0,), LATEST)
    mixture.learn(before, 1)
    after = mixture.mix(predictions, weights, (0,), LATEST)
    assert after.mixed[1] > before.mixed[1]
    assert np.exp(after.mixed).sum() == pytest.approx(1)
    other = mixture.mix(predictions, weights, (0,), (1,) * LENGTHS)
    np.testing.assert_allclose(other.mixed, before.mixed, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 67, 3_000, 70_000])
def test_memory_is_bounded(size: int) -> None:
    bias = OnlineBias(size, 0.1)
    assert bias._bias.size <= max(CELLS, LENGTHS * size)
    rows = bias.rows((size - 1,) * LENGTHS)
    assert rows.max() < len(bias._bias)
