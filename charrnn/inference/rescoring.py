"""How much more probable a text is after a change, under a LanguageModel. Knows ids only.

Of each place only a window is read: some characters before it, once, and those after it, once for
each change.

Axes: B places or changes in a batch, T positions. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from charrnn.inference.suspects import Suspect
from charrnn.models.interface import LanguageModel
from charrnn.text.documents import Documents, Ids
from charrnn.text.vocabulary import EOS

CONTEXT = 64
"""Characters that are read before a place."""
HORIZON = 20
"""Characters that are weighed after it."""
BEFORE = 1
"""A change may begin so many characters before the place that is suspected."""
MAX_ROWS = 512
"""Changes that are read in one batch."""


def gains(
    model: LanguageModel, documents: Documents, owners: Ids, suspects: Sequence[Suspect]
) -> list[npt.NDArray[np.float64]]:
    """For each suspect, the gain in log-probability of its document by each of its edits (E,).

    `owners` (S,) are the documents of the suspects.
    """
    found: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(suspects)
    contexts = [
        _context(documents, int(which), suspect)
        for which, suspect in zip(owners, suspects, strict=True)
    ]
    lengths = np.array([len(context) for context in contexts])
    for length in np.unique(lengths):
        for members in _batches(np.flatnonzero(lengths == length), suspects):
            _read(model, documents, owners, suspects, contexts, members, found)
    return found


def _batches(
    members: npt.NDArray[np.intp], suspects: Sequence[Suspect]
) -> Iterator[list[int]]:
    """Suspects with at most MAX_ROWS edits together."""
    batch: list[int] = []
    rows = 0
    for member in members.tolist():
        rows += len(suspects[member].edits) + 1
        if batch and rows > MAX_ROWS:
            yield batch
            batch, rows = [], len(suspects[member].edits) + 1
        batch.append(member)
    if batch:
        yield batch


def _read(
    model: LanguageModel,
    documents: Documents,
    owners: Ids,
    suspects: Sequence[Suspect],
    contexts: Sequence[Ids],
    members: Sequence[int],
    found: list[npt.NDArray[np.float64]],
) -> None:
    before = np.stack([contexts[member] for member in members]).astype(np.int64)
    state = model.initial_state(len(members))
    if before.shape[1] > 1:
        _, state = model.score(before[:, :-1], before[:, 1:], state)
    rows, texts = [], []
    for row, member in enumerate(members):
        variants = list(_variants(documents, int(owners[member]), suspects[member]))
        rows += [row] * len(variants)
        texts += variants
    width = max(len(text) for text in texts)
    targets = np.full((len(texts), width), EOS, np.int64)
    for row, text in enumerate(texts):
        targets[row, : len(text)] = text
    inputs = np.concatenate([before[rows, -1:], targets[:, :-1]], 1)
    scores, _ = model.score(inputs, targets, model.select(state, np.array(rows, np.intp)))
    lengths = np.array([len(text) for text in texts])
    totals = np.where(np.arange(width) < lengths[:, None], scores, 0).sum(1, dtype=np.float64)
    at = 0
    for member in members:
        count = len(suspects[member].edits)
        found[member] = totals[at + 1 : at + 1 + count] - totals[at]
        at += count + 1


def _context(documents: Documents, which: int, suspect: Suspect) -> Ids:
    """What is read before the window of a suspect, from EOS if its document begins there."""
    start = int(documents.starts[which])
    end = max(start, suspect.at - BEFORE)
    begin = max(start, end - CONTEXT)
    read = documents.ids[begin:end]
    return np.append([EOS], read) if begin == start else read


def _variants(documents: Documents, which: int, suspect: Suspect) -> Iterator[list[int]]:
    """The window of a suspect as it is, then after each of its edits."""
    start = int(documents.starts[which])
    stop = start + int(documents.lengths[which])
    begin = max(start, suspect.at - BEFORE)
    end = min(stop, suspect.at + BEFORE + 1 + HORIZON)
    window = documents.ids[begin:end].tolist()
    yield window
    for edit in suspect.edits:
        at = edit.at - begin
        yield [*window[:at], *edit.new, *window[at + len(edit.old) :]]
