"""What is measured at the end of a run."""

from __future__ import annotations

import numpy as np
import pytest

from charrnn.models.architecture import Architecture
from charrnn.models.interface import log_sum_exp
from charrnn.models.members import joined, separated
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.training.closing import Closing
from charrnn.training.labelling import Labelling
from charrnn.training.mixing import Calibration
from tests.support import random_weights


def test_figures_of_what_was_measured() -> None:
    assert Closing().figures() == {}
    assert Closing(labelling=Labelling(0.5)).figures() == {"accuracy": 0.5}
    assert Closing(Calibration(1.25, 2.0)).figures() == {
        "temperature": 1.25, "nats_per_character": 2.0
    }


@pytest.mark.parametrize("output_layers", [0, 1])
def test_calibrated_weights_have_the_temperature_in_the_output_layer(output_layers: int) -> None:
    architecture = Architecture("lstm", 9, 4, 6, 1, 0.0, output_layers, 6 * output_layers)
    weights = random_weights(architecture)
    calibrated = Closing(Calibration(1.25, 2.0)).weights(weights)
    tokens = np.array([[2, 3, 4, 5]])
    networks = [NumpyRNN(architecture, each) for each in (weights, calibrated)]
    before, after = (each.forward(tokens, each.initial_state(1))[0] for each in networks)
    expected = before / 1.25
    expected -= log_sum_exp(expected)
    np.testing.assert_allclose(after, expected, atol=1e-6)
    several = Closing(Calibration(1.25, 2.0)).weights(joined([weights, weights]))
    for member in separated(several, list(weights), 2):
        assert all(np.array_equal(member[name], calibrated[name]) for name in weights)
    unchanged = Closing().weights(weights)
    assert all(np.array_equal(unchanged[name], weights[name]) for name in weights)
