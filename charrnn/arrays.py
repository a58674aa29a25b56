"""The types of arrays that several modules share. Knows no model, file or text."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float32]
"""Weights, hidden states, log-probabilities."""
