"""A text with gaps, as `fill` takes it: what is known, and how long what is missing may be.

Knows characters and ids, not models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from charrnn.errors import Parameter, SettingsError
from charrnn.inference.fill_options import BLANK, GAP, LONGEST
from charrnn.text.vocabulary import Vocabulary

MAX_LONGEST = 1000


@dataclass(frozen=True)
class Known:
    """Characters that stand there.

    Attributes:
        text: the characters.
        ids: (T,) of them.
    """

    text: str
    ids: npt.NDArray[Any]


@dataclass(frozen=True)
class Missing:
    """Characters that are missing: at least `least` of them, at most `most`."""

    least: int
    most: int


Part: TypeAlias = Known | Missing


def parse_pattern(
    text: str, vocabulary: Vocabulary, blank: str = BLANK, longest: int = LONGEST
) -> list[Part]:
    """The parts of `text`; no two that follow each other are of one kind.

    Args:
        text: each `blank` in it is one missing character, each GAP is 1 to `longest` of them.
        vocabulary: of the model.
        blank: a single character.
        longest: of a GAP.

    Raises:
        SettingsError: nothing is missing, or an argument is out of range.
    """
    if len(blank) != 1:
        raise SettingsError(Parameter("blank"), f" must be one character, not {blank!r}")
    if not 1 <= longest <= MAX_LONGEST:
        raise SettingsError(
            Parameter("longest"), f" must be 1 to {MAX_LONGEST:,}, not {longest:,}"
        )
    parts: list[Part] = []
    pattern = f"({re.escape(GAP)}|{re.escape(blank)})"
    for number, piece in enumerate(re.split(pattern, text)):
        if number % 2 == 0:
            if piece:
                parts.append(Known(piece, vocabulary.encode(piece)))
            continue
        most = longest if piece == GAP else 1
        before = parts[-1] if parts else None
        if isinstance(before, Missing):
            parts[-1] = Missing(before.least + 1, before.most + most)
        else:
            parts.append(Missing(1, most))
    if not any(isinstance(part, Missing) for part in parts):
        raise SettingsError(
            f"nothing is missing in {text[:40]!r}; write {blank} for each missing character, or "
            f"{GAP} for a gap of unknown length"
        )
    return parts
