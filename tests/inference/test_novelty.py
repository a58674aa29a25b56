"""What a sample shares with the training text, counted by hand."""

from __future__ import annotations

import pytest

from charrnn.inference.novelty import Novelty, measure_novelty

TRAINING = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Novelty(0, 0.0)),
        ("!!!", Novelty(0, 0.0)),
        ("xyzabc", Novelty(3, 0.0)),
        (TRAINING[:20], Novelty(20, 1.0)),
        (TRAINING[:21], Novelty(21, 1.0)),
        (TRAINING[:20] + "!", Novelty(20, 0.5)),
        ("!" + TRAINING[3:] + "!", Novelty(23, 4 / 6)),
    ],
)
def test_runs_and_windows_counted_by_hand(text: str, expected: Novelty) -> None:
    assert measure_novelty(text, TRAINING) == expected
