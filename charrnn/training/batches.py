"""Cut the training text into batches, in the order of training. Knows ids only, not models.

Every batch is a pure function of the seed and its number, so a run can resume at any batch
without a saved random state.

Axes: B rows (texts read in parallel), T positions.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn.platform import release_pages
from charrnn.text.documents import Ids, find_id, training_documents
from charrnn.text.vocabulary import EOS

IGNORED = -1
"""The target at padding positions."""
START_SEARCH = 4096
"""The beginning of a line is searched within so many characters of a random position."""
BEGINNING_EVERY = 64
"""If no line begins nearby, each document's beginning is shown once in so many batches, about."""
POOL_BATCHES = 64
"""Lines are sorted by length within pools of about this many batches."""
MAX_ROWS = 1024
MAX_TOGETHER = 1 << 25
"""Ids; the lines of a longer list are not all in memory at once."""
PLACE, PLACES = 1 << 12, 1 << 8
"""Such a list has a place every PLACE ids; a section has the lines that begin at PLACES of them."""
RELEASE_EVERY = 64
"""Batches after which the pages of a memory map are given back."""
UNLABELLED = 0.1
"""This share of the lines is read without a label: the model is to know texts without one too."""
LONGEST_CHUNKS = 4
"""A line is read in pieces of at most this many chunks, with carried state."""


@dataclass(frozen=True)
class Batch:
    """One step's text.

    Attributes:
        inputs: (B, T) ids.
        targets: (B, T) the id after each input, or IGNORED.
        fresh: (B,) whether a row starts with a zero state. Otherwise it continues the same row of
            the previous batch.
    """

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    fresh: npt.NDArray[np.bool_]

    @property
    def characters(self) -> int:
        """How many ids are to be predicted."""
        return int((self.targets != IGNORED).sum())


class Batches(Protocol):
    """A training text, cut into batches."""

    @property
    def per_epoch(self) -> float:
        """How many batches read the text once."""

    def __getitem__(self, number: int) -> Batch:
        """Batch `number`, 0 or more; there is no last one."""


class StreamBatches:
    """Batches of long documents: each row continues where it ended in the previous batch.

    The first row is an exception: in each batch it starts at the beginning of another line or
    document, after EOS and with a zero state, as a sample without prime or a score does.

    Args:
        ids: (N,) ids of the training text, at least two.
        newline: the id of the newline character, or None if the vocabulary has none.
        batch: B.
        chunk: T.
        seed: chooses the beginnings.
        seams: (J,) positions where a document begins without an EOS before it; its first
            character is read after EOS nevertheless.
        starts: (D,) positions where documents begin; None: they are searched for.
    """

    def __init__(
        self,
        ids: Ids,
        newline: int | None,
        batch: int,
        chunk: int,
        seed: int,
        seams: npt.ArrayLike = (),
        starts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._ids = ids
        self._newline = newline
        self._chunk = min(chunk, len(ids))
        self._streams = max(1, min(batch - 1, len(ids) // self._chunk))
        self._shows_beginnings = batch > 1
        self._seed = seed
        stride = len(ids) // self._streams
        self._offsets = np.arange(self._streams) * stride  # (B - 1,)
        self._seams = np.append(0, seams).astype(np.int64)
        self._documents = (
            training_documents(ids, self._seams).starts if starts is None else starts
        )

    @property
    def per_epoch(self) -> float:
        """How many batches read the text once."""
        return len(self._ids) / (self._streams * self._chunk)

    def __getitem__(self, number: int) -> Batch:
        """Batch `number`; at the end of the text a row continues at its beginning."""
        if number % RELEASE_EVERY == 0:
            release_pages(self._ids)
        first = self._offsets + number * self._chunk
        fresh = np.full(self._streams, number == 0)
        after_eos = fresh
        if self._shows_beginnings:
            position, begins = self._first_row(number)
            first = np.append(position, first)
            fresh, after_eos = np.append(True, fresh), np.append(begins, after_eos)
        positions = (first[:, None] + np.arange(self._chunk)) % len(self._ids)  # (B, T)
        inputs = self._ids[positions - 1].astype(np.int64)
        inputs[np.isin(positions, self._seams)] = EOS
        inputs[after_eos, 0] = EOS
        return Batch(inputs, self._ids[positions].astype(np.int64), fresh)

    def _first_row(self, number: int) -> tuple[int, bool]:
        """A random position, and whether a line or a document begins there.

        If no line begins near it, each document's beginning is chosen in one of BEGINNING_EVERY
        batches, and in the others the random position itself.
        """
        random = np.random.default_rng((self._seed, number))
        near = int(random.integers(len(self._ids)))
        found = self._beginning_near(near)
        if found is not None:
            return found, True
        which = int(random.integers(max(len(self._documents), BEGINNING_EVERY)))
        if which < len(self._documents):
            return int(self._documents[which]), True
        return near, False

    def _beginning_near(self, near: int) -> int | None:
        """The first beginning of a line after `near`; 0 if `near` is in the last line."""
        found = self._first_beginning(near + 1, near + START_SEARCH)
        in_last_line = near + START_SEARCH >= len(self._ids)
        if found is None and in_last_line:
            before = self._first_beginning(max(1, near + 1 - START_SEARCH), near + 1)
            return None if before is None else 0
        return found

    def _first_beginning(self, low: int, high: int) -> int | None:
        """The first position in [low, high) where a line or document begins, if any does."""
        found = self._documents[slice(*np.searchsorted(self._documents, [low, high]))][:1].tolist()
        if self._newline is not None:
            part = self._ids[low - 1 : high]
            ended = (part[:-1] == self._newline) & (part[1:] != self._newline) & (part[1:] != EOS)
            found.extend((low + np.flatnonzero(ended)[:1]).tolist())
        return min(found, default=None)


@dataclass(frozen=True)
class Lines:
    """Documents of a training text that are in memory together.

    Attributes:
        ids: (N,) ids, every document ended by EOS.
        starts: (D,) where each document begins.
        lengths: (D,) of each, EOS included.
    """

    ids: Ids
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, ids: Ids) -> Lines:
        """All documents in `ids`."""
        ends = find_id(ids, EOS)
        starts = np.concatenate([[0], ends + 1])[: len(ends)]
        return cls(ids, starts, ends + 1 - starts)


class LineBatches:
    """Batches of short documents, one per row, in a new order in each epoch.

    Each begins with EOS and a zero state. Rows of a batch have similar lengths; a long line
    continues through several batches. Of a long list only a section is in memory at a time: the
    lines at places all over the list, other ones in each epoch.

    Args:
        ids: (N,) ids of the training text, every document ended by EOS.
        batch, chunk: B * T is about the number of characters in a batch.
        seed: of the random order.
        first_label: ids from this one on are labels: the first id of each document, which is not
            predicted. In each epoch UNLABELLED of the lines, drawn anew, begin after theirs.
    """

    def __init__(
        self, ids: Ids, batch: int, chunk: int, seed: int, first_label: int | None = None
    ) -> None:
        self._ids = ids
        self._first_label = first_label
        self._all = Lines.of(ids) if len(ids) <= MAX_TOGETHER else None
        self._places = -(-len(ids) // PLACE)
        self._sections = 1 if self._all else -(-self._places // PLACES)  # in each epoch
        self._budget = batch * chunk
        self._longest = LONGEST_CHUNKS * chunk
        self._seed = seed
        self._section = -1
        self._lines = self._all
        self._plan: list[tuple[npt.NDArray[np.int64], int]] = []
        self._firsts = [0]  # number of each section's first batch, for those prepared so far

    @property
    def per_epoch(self) -> float:
        """How many batches read the text once, about."""
        self._prepare(0)
        sections = 1.0 if self._all else self._places / PLACES
        return max(1, self._firsts[1]) * sections

    def __getitem__(self, number: int) -> Batch:
        """Batch `number`."""
        while True:
            section = bisect_right(self._firsts, number) - 1
            lines = self._prepare(section)
            if number < self._firsts[section + 1]:
                return self._batch(lines, *self._plan[number - self._firsts[section]])

    def _prepare(self, section: int) -> Lines:
        """Make the plan of `section`, and note the number of the next one's first batch."""
        if self._lines is None or section != self._section:
            self._lines = self._all or self._gather(section)
            if self._first_label is not None:
                self._lines = _drop_labels(self._lines, (self._seed, section, 1))
            self._plan = self._make_plan(self._lines, section)
            self._section = section
        if len(self._firsts) == section + 1:
            self._firsts.append(self._firsts[section] + len(self._plan))
        return self._lines

    def _gather(self, section: int) -> Lines:
        """The lines that begin at the places of a section, copied."""
        epoch, number = divmod(section, self._sections)
        order = np.random.default_rng((self._seed, epoch, 0)).permutation(self._places)
        chosen = np.sort(order[number * PLACES : (number + 1) * PLACES])
        lines = Lines.of(np.concatenate([lines_at(self._ids, place * PLACE) for place in chosen]))
        release_pages(self._ids)
        return lines

    def _make_plan(
        self, lines: Lines, section: int
    ) -> list[tuple[npt.NDArray[np.int64], int]]:
        """Batches as (documents, position within them), in the order of training."""
        random = np.random.default_rng((self._seed, section))
        order = random.permutation(len(lines.starts))
        mean = max(1.0, float(lines.lengths.mean())) if len(order) else 1.0
        pool = max(1, int(POOL_BATCHES * self._budget / mean))
        groups = []
        for begin in range(0, len(order), pool):
            members = order[begin : begin + pool]
            members = members[np.argsort(lines.lengths[members], kind="stable")]
            groups.extend(self._groups(lines, members))
        plan: list[tuple[npt.NDArray[np.int64], int]] = []
        for which in random.permutation(len(groups)):
            longest = int(lines.lengths[groups[which]].max())
            plan.extend((groups[which], at) for at in range(0, longest, self._longest))
        return plan

    def _groups(
        self, lines: Lines, members: npt.NDArray[np.int64]
    ) -> list[npt.NDArray[np.int64]]:
        """Cut documents sorted by length into rows of one batch each."""
        widths = np.minimum(lines.lengths[members], self._longest)
        groups = []
        begin = 0
        while begin < len(members):
            ahead = widths[begin : begin + MAX_ROWS]
            sizes = ahead * np.arange(1, len(ahead) + 1)  # if the i-th row is the last
            rows = max(1, int(np.searchsorted(sizes, self._budget, "right")))
            groups.append(members[begin : begin + rows])
            begin += rows
        return groups

    def _batch(self, lines: Lines, documents: npt.NDArray[np.int64], at: int) -> Batch:
        lengths = lines.lengths[documents]
        width = min(int(lengths.max()) - at, self._longest)
        offsets = at + np.arange(width)  # (T,)
        inside = offsets < lengths[:, None]  # (B, T)
        positions = np.where(inside, lines.starts[documents][:, None] + offsets, 0)
        inputs = lines.ids[positions - 1].astype(np.int64)
        inputs[~inside] = EOS
        if at == 0:
            inputs[:, 0] = EOS
        if self._first_label is not None:
            inside &= lines.ids[positions] < self._first_label
        targets = np.where(inside, lines.ids[positions].astype(np.int64), IGNORED)
        return Batch(inputs, targets, np.full(len(documents), at == 0))


def _drop_labels(lines: Lines, seed: tuple[int, ...]) -> Lines:
    """`lines`, of which UNLABELLED begin after their label."""
    dropped = np.random.default_rng(seed).random(len(lines.starts)) < UNLABELLED
    return Lines(lines.ids, lines.starts + dropped, lines.lengths - dropped)


def lines_at(ids: Ids, place: int) -> Ids:
    """The lines of `ids` (N,) that begin in the PLACE ids from `place` on; every line has an EOS.

    So the lines of all places are all lines, and where they are need not be stored.
    """
    before = np.array([EOS]) if place == 0 else ids[place - 1 : place]
    part = ids[place : place + PLACE]
    begins = np.flatnonzero(np.append(before, part[:-1]) == EOS)
    if not len(begins):
        return ids[:0]
    search = place + int(begins[-1])
    while not (ended := ids[search : search + PLACE] == EOS).any():
        search += PLACE
    return ids[place + int(begins[0]) : search + int(ended.argmax()) + 1]
