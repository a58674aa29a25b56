"""The labels of a corpus: what stands before the tab in each of its lines.

Knows names, counts and their order; nothing of files or models. Labels are ids after those of the
characters, in alphabetical order: a model reads them and never predicts them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn.arrays import np
from charrnn.errors import CheckpointError, Parameter, SettingsError, VocabularyError, suggestions
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_LABELS = 4096
"""A text is classified by reading it once with each label."""
MAX_LENGTH = 100
"""Characters of a label; a line with more before its tab is hardly labelled."""
MAX_CHARACTERS = 1 << 16
"""Of all labels together: they must fit into a checkpoint's header."""
MAX_IDS = 1 << 16
"""Characters and labels together: an id fits 16 bits."""
MAX_COUNT = 1 << 40
SHOWN = 40


@dataclass(frozen=True)
class Labels:
    """The labels that a model knows.

    Attributes:
        names: (L,) in alphabetical order.
        counts: (L,) how many lines of the corpus have each.

    Raises:
        VocabularyError: a name is repeated, out of order or no possible label, a count is not
            positive, or there are none or too many.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_LABELS or len(self.names) != len(self.counts):
            raise VocabularyError(
                f"a model has 1 to {MAX_LABELS:,} labels with their counts, not {len(self.names):,}"
            )
        for name, count in zip(self.names, self.counts, strict=True):
            if problem := label_problem(name):
                raise VocabularyError(f"the label {name!r:.{SHOWN}} {problem}")
            if type(count) is not int or not 0 < count < MAX_COUNT:
                raise VocabularyError(f"the label {name!r} has {count!r:.{SHOWN}} lines")
        if sum(map(len, self.names)) > MAX_CHARACTERS:
            raise VocabularyError(f"labels have at most {MAX_CHARACTERS:,} characters in all")
        if list(self.names) != sorted({*self.names}):
            raise VocabularyError("a label is repeated, or labels are not in alphabetical order")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The place of the label `name`.

        Raises:
            SettingsError: it is unknown; names the most similar ones.
        """
        if name not in self.names:
            near = suggestions(name, self.names) or f"; the model knows {self.shown()}"
            raise SettingsError(Parameter("label"), f" {name!r} is unknown to the model{near}")
        return self.names.index(name)

    def shown(self, most: int = 8) -> str:
        """The first names, and how many more there are."""
        more = len(self.names) - most
        rest = f" and {more:,} more" if more > 0 else ""
        return ", ".join(self.names[:most]) + rest

    def log_prior(self, uniform: bool = False) -> npt.NDArray[np.float64]:
        """The logarithm of each label's probability (L,): its share of the lines, or equal ones."""
        weights = np.ones(len(self)) if uniform else np.array(self.counts, np.float64)
        found: npt.NDArray[np.float64] = np.log(weights / weights.sum())
        return found

    def description(self) -> list[list[Any]]:
        """The JSON value that `parse` reads."""
        return [[name, count] for name, count in zip(self.names, self.counts, strict=True)]

    @classmethod
    def parse(cls, value: Any) -> Labels | None:
        """The labels that a JSON value describes; None for None.

        Raises:
            CheckpointError: it is not a list of names and counts.
            VocabularyError: see Labels.
        """
        if value is None:
            return None
        pairs: list[Any] = value if isinstance(value, list) else [None]
        if not all(
            isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) for each in pairs
        ):
            raise CheckpointError("its labels are not a list of names and counts")
        return cls(tuple(each[0] for each in pairs), tuple(each[1] for each in pairs))


def label_problem(name: str) -> str | None:
    """Why `name` cannot be a label; None if it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_LENGTH:
        return f"has more than {MAX_LENGTH} characters"
    if name != name.strip():
        return "begins or ends with a space"
    if not name.isprintable():
        return "has a control character or another that is not printable"
    if not unicodedata.is_normalized("NFC", name):
        return "is not in Unicode's normal form NFC: another one could look the same"
    return None


def ids_dtype(vocabulary: Vocabulary, labels: int) -> npt.DTypeLike:
    """The smallest unsigned integer type that holds the ids of characters and so many labels.

    Raises:
        VocabularyError: there are more than MAX_IDS.
    """
    if len(vocabulary) + labels > MAX_IDS:
        raise VocabularyError(
            f"{len(vocabulary):,} characters and {labels:,} labels are more than the {MAX_IDS:,} "
            "supported; drop rare characters with ", Parameter("min_count"),
        )
    return np.min_scalar_type(len(vocabulary) + labels - 1)
