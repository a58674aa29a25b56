from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference.online_bias import CELLS, COLUMNS, CONTEXTS, LENGTHS, OnlineBias, Place
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.text.vocabulary import EOS

PLACE = Place((2, 3, 2, 1, 1, 1), 3)
NEWLINE = 9


def test_nothing_is_added_before_anything_is_learnt() -> None:
    bias = OnlineBias(4, 0.1)
    assert not bias.bias(bias.rows(PLACE)).any()


def test_one_occasion_by_hand() -> None:
    bias = OnlineBias(4, 0.1)
    rows = bias.rows(PLACE)
    bias.learn(rows, np.array([0.1, 0.2, 0.3, 0.4], np.float32), 2)
    # Each of six contexts gets 0.1 (1[c = 2] - p(c)), the column twice as much.
    np.testing.assert_allclose(bias.bias(rows), [-0.08, -0.16, 0.56, -0.32], rtol=1e-5)


def test_later_occasions_count_less() -> None:
    bias = OnlineBias(4, 0.1)
    rows = bias.rows(PLACE)
    quarter = np.full(4, 0.25, np.float32)
    added = [0.0]
    for _ in range(4):
        bias.learn(rows, quarter, 0)
        added.append(float(bias.bias(rows)[0]))
    assert added[4] - added[3] == pytest.approx(8 * 0.1 / 2 * 0.75)  # 1 / sqrt(4)


def test_a_context_shares_only_its_shorter_ends() -> None:
    bias = OnlineBias(4, 0.1)
    same_end = bias.rows(Place((2, 3, 1, 1, 1, 1), 4))
    shared = bias.rows(PLACE) == same_end
    assert shared.tolist() == [True, True, False, False, False, False, False]
    assert len(set(same_end.tolist())) == CONTEXTS


def test_columns_begin_anew_with_a_line_and_end_somewhere() -> None:
    place, columns = Place(), []
    for character in [EOS, 2, 3, NEWLINE, 2, EOS, 2]:
        place = place.after(character, NEWLINE)
        columns.append(place.column)
    assert columns == [0, 1, 2, 0, 1, 0, 1]
    assert place.latest == (2, EOS, 2, NEWLINE, 3, 2)
    bias = OnlineBias(4, 0.1)
    far = [bias.rows(PLACE._replace(column=column))[-1] for column in (COLUMNS - 1, 10**6)]
    assert far[0] == far[1] < len(bias._bias)


def test_a_step_goes_up_the_gradient_of_the_mixture() -> None:
    predictions = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
    weights = np.array([1.0, 0.5], np.float32)
    bias = OnlineBias(3, 0.1)
    mixture = OnlineMixture(2, (1,), (0.0,), bias)
    before = mixture.mix(predictions, weights, (0,), PLACE)
    mixture.learn(before, 1)
    after = mixture.mix(predictions, weights, (0,), PLACE)
    assert after.mixed[1] > before.mixed[1]
    assert np.exp(after.mixed).sum() == pytest.approx(1)
    other = mixture.mix(predictions, weights, (0,), Place((1,) * LENGTHS, 5))
    np.testing.assert_allclose(other.mixed, before.mixed, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 67, 3_000, 70_000])
def test_memory_is_bounded(size: int) -> None:
    bias = OnlineBias(size, 0.1)
    assert bias._bias.size <= max(CELLS, CONTEXTS * size)
    rows = bias.rows(Place((size - 1,) * LENGTHS, 10**6))
    assert rows.max() < len(bias._bias)
