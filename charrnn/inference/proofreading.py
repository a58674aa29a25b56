"""Find what is probably wrong in texts, and what should stand there. Knows ids, not characters.

Suspects are explained together: of those near each other, the one change that explains most is
made, and the text is looked at again, as the neighbours of a slip look wrong, too.

Axes: S suspects. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from charrnn.inference.rescoring import gains
from charrnn.inference.suspects import (
    KINDS,
    Edit,
    Suspect,
    suspects_of_model,
    suspects_of_reader,
)
from charrnn.models.interface import LanguageModel
from charrnn.models.reader import NumpyReader
from charrnn.text.documents import Documents, Ids

RATE = 0.01
"""The share of characters that are slips, before a text is looked at."""
NEAR = 5
"""Suspects that are so many characters apart, or fewer, are explained together."""
ROUNDS = 3
AGAIN = 40
"""After a change, suspects that are at most so many characters away are looked at again."""
MODEL_WEIGHT, READER_WEIGHT = 0.8, 0.5
"""Of what a forward model and a reader say of a substitution, where there are both. Fitted on text
held out in training (tests/benchmarks/README.md)."""


@dataclass(frozen=True)
class Finding:
    """What is probably wrong.

    Attributes:
        kind: of change that mends it, a key of KINDS.
        at: position in the text as it was given.
        old: ids that stand there.
        new: ids that should.
        log_odds: that something is wrong there, against that nothing is.
    """

    kind: str
    at: int
    old: tuple[int, ...]
    new: tuple[int, ...]
    log_odds: float


@dataclass(frozen=True)
class Proofreader:
    """Finds slips with a reader, a forward model, or both.

    Attributes:
        model: a forward model; None for the reader alone, which finds substitutions only.
        reader: None for the forward model alone.
        characters: how many there are to choose from.
        threshold: log-odds from which a place counts as wrong.
    """

    model: LanguageModel | None
    reader: NumpyReader | None
    characters: int
    threshold: float = 0.0

    def check(self, texts: Sequence[Ids]) -> list[list[Finding]]:
        """What is wrong in each text, in order."""
        drafts = [_Draft(text) for text in texts]
        active = [draft for draft in drafts if len(draft.ids)]
        for _ in range(ROUNDS):
            if not active:
                break
            documents = _documents(active)
            chosen = self._best_edits(documents, active)
            active = [
                draft for draft, edits in zip(active, chosen, strict=True) if draft.apply(edits)
            ]
        return [sorted(draft.findings, key=lambda each: each.at) for draft in drafts]

    def _best_edits(
        self, documents: Documents, drafts: Sequence[_Draft]
    ) -> list[list[tuple[Edit, float]]]:
        """For each draft, the changes that explain its suspects, with their log-odds."""
        suspects, owners = self._suspects(documents, drafts)
        evidence = self._log_odds(documents, owners, suspects)
        chosen: list[list[tuple[Edit, float]]] = [[] for _ in drafts]
        for group in _groups(suspects, owners):
            odds = {}
            for member in group:
                for edit, value in zip(suspects[member].edits, evidence[member], strict=True):
                    odds[edit.at, edit.old, edit.new] = edit, float(value)
            if not odds:
                continue
            values = np.array([value for _, value in odds.values()])
            total = float(np.logaddexp.reduce(values))
            if total > self.threshold:
                edit, _ = max(odds.values(), key=lambda each: each[1])
                which = int(owners[group[0]])
                start = int(documents.starts[which])
                chosen[which].append((replace(edit, at=edit.at - start), total))
        return chosen

    def _suspects(
        self, documents: Documents, drafts: Sequence[_Draft]
    ) -> tuple[list[Suspect], npt.NDArray[np.intp]]:
        """The suspects, and the documents that they are in, in the order of the texts."""
        if self.reader is not None:
            found = suspects_of_reader(self.reader, documents)
        else:
            assert self.model is not None
            found = suspects_of_model(self.model, documents)
        suspects = sorted(found, key=lambda each: each.at)
        positions = np.array([each.at for each in suspects], np.int64)
        owners = np.searchsorted(documents.starts, positions, "right") - 1
        kept = [
            number
            for number, (suspect, which) in enumerate(zip(suspects, owners.tolist(), strict=True))
            if drafts[which].is_open(suspect.at - int(documents.starts[which]))
        ]
        return [suspects[number] for number in kept], owners[kept]

    def _log_odds(
        self, documents: Documents, owners: npt.NDArray[np.intp], suspects: Sequence[Suspect]
    ) -> list[npt.NDArray[np.float64]]:
        """The log-odds of every edit of every suspect (E,) against leaving the text as it is."""
        of_reader = [
            np.array([-np.inf if edit.evidence is None else edit.evidence for edit in each.edits])
            for each in suspects
        ]
        if self.model is None:
            values = of_reader
        else:
            values = gains(self.model, documents, owners, suspects)
            if self.reader is not None:
                values = [
                    np.where(
                        np.isfinite(other),
                        MODEL_WEIGHT * one + READER_WEIGHT * np.maximum(other, -1e30),
                        one,
                    )
                    for one, other in zip(values, of_reader, strict=True)
                ]
        priors = {kind: self._prior(kind) for kind in KINDS}
        return [
            value + np.array([priors[edit.kind] for edit in each.edits])
            for value, each in zip(values, suspects, strict=True)
        ]

    def _prior(self, kind: str) -> float:
        """The log-odds of a slip of this kind that leaves exactly what stands there."""
        share = KINDS[kind].share / (max(1, self.characters - 1) if KINDS[kind].random else 1)
        return float(np.log(RATE * share))


class _Draft:
    """A text while it is mended.

    Attributes:
        ids: (T,) as it is by now.
        origins: (T + 1,) where each of them, and the end, was in the text as it was given.
        settled: (T,) whether it has been mended.
        changed: places of the latest changes; None before the first ones.
        findings: what has been mended.
    """

    def __init__(self, ids: Ids) -> None:
        self.ids = ids.astype(np.int64)
        self.origins = np.arange(len(ids) + 1)
        self.settled = np.zeros(len(ids), bool)
        self.changed: list[int] | None = None
        self.findings: list[Finding] = []

    def is_open(self, at: int) -> bool:
        """Whether the place is to be looked at: again only near a change, and not the change."""
        if self.changed is None:
            return True
        return not self.settled[at] and any(abs(at - each) <= AGAIN for each in self.changed)

    def apply(self, edits: Sequence[tuple[Edit, float]]) -> bool:
        """Make the changes -> whether there were any."""
        last = len(self.ids) + 1
        self.changed = [edit.at for edit, _ in edits]
        for edit, log_odds in sorted(edits, key=lambda each: -each[0].at):
            end = edit.at + len(edit.old)
            if end > last or self.settled[edit.at : end].any():
                continue  # it overlaps with the one after it
            last = edit.at
            origin = int(self.origins[edit.at])
            old, new = edit.old, edit.new
            self.findings.append(Finding(edit.kind, origin, old, new, log_odds))
            self.ids = np.concatenate([self.ids[: edit.at], new, self.ids[end:]]).astype(np.int64)
            same = len(new) == len(old)
            places = self.origins[edit.at : end] if same else np.full(len(new), origin)
            self.origins = np.concatenate([self.origins[: edit.at], places, self.origins[end:]])
            self.settled = np.concatenate(
                [self.settled[: edit.at], np.ones(len(new), bool), self.settled[end:]]
            )
        return bool(edits)


def _documents(drafts: Sequence[_Draft]) -> Documents:
    lengths = np.array([len(draft.ids) for draft in drafts], np.int64)
    ids = np.concatenate([draft.ids for draft in drafts])
    return Documents(ids, lengths.cumsum() - lengths, lengths)


def _groups(
    suspects: Sequence[Suspect], owners: npt.NDArray[np.intp]
) -> Iterator[list[int]]:
    """Neighbouring suspects of one document, by their numbers."""
    group: list[int] = []
    for number, suspect in enumerate(suspects):
        last = group[-1] if group else None
        if last is not None and (
            owners[last] != owners[number] or suspect.at - suspects[last].at > NEAR
        ):
            yield group
            group = []
        group.append(number)
    if group:
        yield group
