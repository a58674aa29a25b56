"""Map characters to ids and back, with UNK for unknown characters and EOS for the end of a text.

Knows nothing of files, models or probabilities. A character is a Unicode code point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from charrnn.arrays import np
from charrnn.errors import Parameter, VocabularyError

if TYPE_CHECKING:
    import numpy.typing as npt

UNK = 0
EOS = 1
SPECIALS = ("<UNK>", "<EOS>")
LAST_CODE_POINT = 0x10FFFF
MAX_CHARACTERS = 65_534
"""With UNK and EOS an id fits 16 bits, and the output layer stays small enough."""
LARGE_VOCABULARY, ENOUGH_RARE = 500, 30
"""A text of so many distinct characters, of which so many occur once, can teach what UNK is."""
MOST_RARE = 0.1
"""The largest share of a text that is made UNK unasked."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

CodePoints: TypeAlias = "npt.NDArray[np.uint32]"


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows. Ids: UNK = 0, EOS = 1, then `code_points` in ascending order.

    Raises:
        VocabularyError: a code point is repeated, out of order, a surrogate, not an integer or
            beyond U+10FFFF, or there are none or too many of them.
    """

    code_points: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.code_points) <= MAX_CHARACTERS:
            raise VocabularyError(
                f"a vocabulary has 1 to {MAX_CHARACTERS:,} characters, not "
                f"{len(self.code_points):,}; rare ones can be dropped with ",
                Parameter("min_count"),
            )
        previous = -1
        for point in self.code_points:
            _check_code_point(point)
            if point <= previous:
                raise VocabularyError(
                    f"U+{point:04X} is repeated or out of order in the vocabulary; "
                    "code points must ascend"
                )
            previous = point

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """The vocabulary of every character in `text`."""
        return cls(tuple(sorted({ord(character) for character in text})))

    def __len__(self) -> int:
        return len(SPECIALS) + len(self.code_points)

    @cached_property
    def _points(self) -> CodePoints:
        return np.array(self.code_points, np.uint32)

    @cached_property
    def _ids(self) -> npt.NDArray[Any]:
        """Table from code point to id; its last entry stands for all larger code points."""
        table = np.zeros(self.code_points[-1] + 2, self.dtype)
        table[self._points] = np.arange(len(SPECIALS), len(self), dtype=self.dtype)
        return table

    @cached_property
    def _characters(self) -> tuple[str, ...]:
        """The text of each id (V,)."""
        return (REPLACEMENT, "", *map(chr, self.code_points))

    @property
    def dtype(self) -> npt.DTypeLike:
        """The smallest unsigned integer type that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    def encode(self, text: str) -> npt.NDArray[Any]:
        """Ids of `text` (T,); characters outside the vocabulary become UNK. No EOS is added."""
        return self.encode_code_points(code_points(text))

    def encode_code_points(self, points: CodePoints) -> npt.NDArray[Any]:
        """Ids of the code points `points` (T,)."""
        return self._ids[np.minimum(points, len(self._ids) - 1)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`: U+FFFD for UNK, nothing for EOS."""
        table = self._characters
        return "".join([table[index] for index in ids])

    def character(self, index: int) -> str:
        """The text of one id: U+FFFD for UNK, nothing for EOS."""
        return self._characters[index]

    def unknown(self, text: str) -> list[str]:
        """The distinct characters of `text` that are not in the vocabulary, in order."""
        known = set(self.code_points)
        return [character for character in dict.fromkeys(text) if ord(character) not in known]


def code_points(text: str) -> CodePoints:
    """The code points of `text` (T,), lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def count_code_points(blocks: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """How often each code point occurs in `blocks`, indexed by code point: one streaming pass.

    The last entry, beyond Unicode's code points, counts the ends of documents.
    """
    counts = np.zeros(LAST_CODE_POINT + 2, np.int64)
    for block in blocks:
        found = np.bincount(block)
        counts[: len(found)] += found
    return counts


def find_code_points(blocks: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """1 for each code point that occurs in `blocks`, else 0: much faster than counting."""
    found = np.zeros(LAST_CODE_POINT + 2, np.int64)
    seen = b""
    for block in blocks:
        if block.dtype == np.uint8:
            new = bytes(set(block.tobytes().translate(None, seen)))
            seen += new
            found[list(new)] = 1
        else:
            found[block] = 1
    return found


def choose_min_count(counts: npt.NDArray[np.int64]) -> int:
    """How often a character has to occur not to be UNK, given counts by code point.

    2 for a large vocabulary, if UNK then occurs often enough to be learned and is no large part of
    the text; else 1. A model of a text without UNK gives the first unknown character that it meets
    hardly any probability.
    """
    rare = np.count_nonzero(counts == 1)
    large = np.count_nonzero(counts) >= LARGE_VOCABULARY
    return 2 if large and ENOUGH_RARE <= rare <= MOST_RARE * counts.sum() else 1


def vocabulary_of_counts(counts: npt.NDArray[np.int64], min_count: int) -> Vocabulary:
    """The characters that occur at least `min_count` times, given counts by code point.

    Raises:
        VocabularyError: none are left, or more than MAX_CHARACTERS.
    """
    points: Sequence[int] = np.flatnonzero(counts >= min_count).tolist()
    if not points:
        raise VocabularyError(
            f"no character occurs {min_count} times in this corpus; lower ", Parameter("min_count")
        )
    if len(points) > MAX_CHARACTERS:
        enough = int(np.sort(counts)[-MAX_CHARACTERS - 1]) + 1
        option = Parameter("min_count")
        remedy = ("drop rare ones with ", option, f" {enough}")
        if counts.max() < enough:
            remedy = ("all are equally rare, so that no ", option, " chooses among them")
        raise VocabularyError(
            f"{len(points):,} distinct characters are more than the {MAX_CHARACTERS:,} "
            "supported; ",
            *remedy,
        )
    return Vocabulary(tuple(points))


def _check_code_point(point: object) -> None:
    if not isinstance(point, int) or isinstance(point, bool):
        raise VocabularyError(f"{point!r} in the vocabulary is not a code point; integers are")
    if not 0 <= point <= LAST_CODE_POINT:
        raise VocabularyError(f"code point {point} is outside Unicode (0 to {LAST_CODE_POINT})")
    if 0xD800 <= point <= 0xDFFF:
        raise VocabularyError(f"U+{point:04X} is a surrogate, not a character")
