"""Array types that several modules share, and NumPy for those that help and completion import.

NumPy takes a tenth of a second to import, and help needs only the tables that some modules contain.
So these say `from charrnn.arrays import np`: NumPy is imported when it is used first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Array", "Floats", "Integers", "np"]

Array: TypeAlias = "npt.NDArray[Any]"
Floats: TypeAlias = "npt.NDArray[np.float32]"
"""Weights, hidden states, log-probabilities."""
Integers: TypeAlias = "npt.NDArray[np.int64]"
"""Counts, positions, indices."""


class _WhenUsed:
    """Stands for the module `name`, which is imported when its first attribute is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        vars(self)[attribute] = value  # from now on found without coming here
        return value


if not TYPE_CHECKING:
    np = _WhenUsed("numpy")
