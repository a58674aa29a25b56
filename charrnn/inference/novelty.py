"""Measure how much of a text is copied from another. Knows plain text only, not models.

A model that copies its corpus scores well and writes nothing new; this shows the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 20


@dataclass(frozen=True)
class Novelty:
    """What a text shares with the training text.

    Attributes:
        longest_run: length of the longest run of characters found in both.
        copied_windows: share of the text's windows of WINDOW characters found in both, 0 to 1.
    """

    longest_run: int
    copied_windows: float


def measure_novelty(text: str, training: str) -> Novelty:
    """Compare `text` with the text that a model was trained on."""
    windows = range(len(text) - WINDOW + 1)
    copied = sum(text[begin : begin + WINDOW] in training for begin in windows)
    return Novelty(_longest_run(text, training), copied / len(windows) if windows else 0.0)


def _longest_run(text: str, training: str) -> int:
    """At each start, try to extend the longest run so far: at most 2 * len(text) searches."""
    longest = 0
    for begin in range(len(text)):
        while (
            begin + longest < len(text) and text[begin : begin + longest + 1] in training
        ):
            longest += 1
    return longest
