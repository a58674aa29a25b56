"""Array types that several modules share, and NumPy for those that help and completion import.

NumPy takes a tenth of a second to import, and help needs only the tables that some modules contain.
So these say `from charrnn.arrays import np`: NumPy is imported when it is used first.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
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


def imported_when_used(name: str) -> ModuleType:
    """The module `name`, which is imported when its first attribute is read."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return importlib.import_module(name)  # which says what is missing
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if not TYPE_CHECKING:
    np = imported_when_used("numpy")
