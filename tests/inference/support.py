"""A model of two characters whose probabilities are worked by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from charrnn.inference.decoder import Decoder
from charrnn.inference.strategies import Value

A, B = 2, 3
TABLE = [  # ids: UNK, EOS, A, B; a row is what follows an id
    [0.0, 0.5, 0.25, 0.25],
    [0.2, 0.0, 0.6, 0.2],
    [0.1, 0.3, 0.0, 0.6],
    [0.5, 0.5, 0.0, 0.0],
]


def encode(text: str) -> npt.NDArray[np.int64]:
    """Ids of capital letters; UNK for everything else."""
    return np.array([ord(each) - ord("A") + A if "A" <= each <= "Z" else 0 for each in text], int)


def decoder(size: int = len(TABLE), /, **decoding: Value) -> Decoder:
    """Ready to be applied; the temperature is 1 unless it is given."""
    return Decoder.of({"temperature": 1.0, **decoding}, encode, size)
