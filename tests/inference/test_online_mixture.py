from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference.online_mixture import OnlineMixture

PREDICTIONS = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
WEIGHTS = np.array([1.0, 0.5], np.float32)


def test_a_mixture_by_hand() -> None:
    blend = OnlineMixture(2, (1,), (0.1,)).mix(PREDICTIONS, np.array([1, 1], np.float32), (0,))
    product = np.array([0.05, 0.025, 0.2])
    np.testing.assert_allclose(np.exp(blend.mixed), product / product.sum(), rtol=1e-6)


def test_one_step_goes_up_the_gradient() -> None:
    rate, wanted = 1e-3, 1
    mixture = OnlineMixture(2, (2, 1), (rate, rate))

    def log_probability(weights: list[float]) -> float:
        mixed = mixture.mix(PREDICTIONS.astype(np.float64), np.array(weights), (0, 0)).mixed
        return float(mixed[wanted])

    step = 1e-5
    slopes = [
        (log_probability([1 + step, 0.5]) - log_probability([1 - step, 0.5])) / (2 * step),
        (log_probability([1, 0.5 + step]) - log_probability([1, 0.5 - step])) / (2 * step),
    ]
    mixture.learn(mixture.mix(PREDICTIONS, WEIGHTS, (1, 0)), wanted)
    assert mixture._learnt[1] == pytest.approx(rate * np.array(slopes), rel=1e-3)
    assert mixture._learnt[2] == pytest.approx(rate * np.array(slopes), rel=1e-3)
    assert not mixture._learnt[0].any()


def test_without_a_rate_nothing_is_learnt() -> None:
    mixture = OnlineMixture(2, (1,), (0,))
    before = mixture.mix(PREDICTIONS, WEIGHTS, (0,))
    mixture.learn(before, 1)
    assert (mixture.mix(PREDICTIONS, WEIGHTS, (0,)).mixed == before.mixed).all()
