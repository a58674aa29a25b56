"""What is measured at the end of a run."""

from __future__ import annotations

from charrnn.training.closing import Closing
from charrnn.training.labelling import Labelling


def test_figures_of_labels() -> None:
    assert Closing(None, None).figures() == {}
    assert Closing(None, Labelling(0.5)).figures() == {"accuracy": 0.5}
