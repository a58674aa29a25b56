"""Several networks that learn from what they read, as one.

Each predicts by itself and learns from its own prediction, as it did in training; what they predict
together is the average of `models/ensemble`. Needs torch, and is imported only to adapt.

Axes: T positions, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Sequence

from charrnn.arrays import Floats
from charrnn.inference.dynamic import DynamicNetwork
from charrnn.models.ensemble import average
from charrnn.models.interface import Tokens
from charrnn.models.members import joined


class DynamicEnsemble:
    """DynamicNetworks as one; methods as there."""

    def __init__(self, members: Sequence[DynamicNetwork]) -> None:
        self._members = members

    def begin(self) -> None:
        """A new text begins."""
        for member in self._members:
            member.begin()

    def predict(self, tokens: Tokens) -> Floats:
        """Read `tokens` (T,) -> log-probabilities (T, V) in nats of what follows each."""
        return average([member.predict(tokens) for member in self._members])

    def learn(self, targets: Tokens) -> None:
        """Learn from what followed: `targets` (T,) of the tokens predicted last."""
        for member in self._members:
            member.learn(targets)

    def weights(self) -> dict[str, Floats]:
        """The weights of all networks as they are now: copies."""
        return joined([member.weights() for member in self._members])
