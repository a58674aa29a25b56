"""How gaps are filled: what a user can choose. Knows neither NumPy nor models."""

from __future__ import annotations

import math
from dataclasses import dataclass

from charrnn.errors import Parameter, SettingsError

BLANK = "_"
"""Stands for one missing character."""
GAP = "[...]"
"""Stands for missing characters of unknown number."""
LONGEST = 40
SWEEPS = 5
USING = ("both", "forward", "reader")
"""Which models fill gaps and find slips."""


@dataclass(frozen=True)
class FillOptions:
    """How gaps are filled.

    Attributes:
        num: how many texts.
        temperature: P ** (1 / temperature) is drawn from; low ones make all texts alike.
        argmax: look for the most probable text instead.
        sweeps: how often a reader draws each character again.
        seed: of the random numbers.

    Raises:
        SettingsError: a value is out of range.
    """

    num: int = 1
    temperature: float = 1.0
    argmax: bool = False
    sweeps: int = SWEEPS
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("num", 0, 1_000_000), ("sweeps", 0, 10_000)):
            if not low <= getattr(self, name) <= high:
                raise SettingsError(
                    Parameter(name), f" must be {low} to {high:,}, not {getattr(self, name):,}"
                )
        if not 0 <= self.temperature < math.inf:
            raise SettingsError(
                Parameter("temperature"), f" must be 0 or more, not {self.temperature}"
            )

    @property
    def searches(self) -> bool:
        """Whether nothing is drawn."""
        return self.argmax or self.temperature < 1e-3
