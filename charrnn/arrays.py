"""Array types that several modules share."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float32]
"""Weights, hidden states, log-probabilities."""
Integers: TypeAlias = npt.NDArray[np.int64]
"""Counts, positions, indices."""
