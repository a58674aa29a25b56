"""Fill gaps with a LanguageModel: weighted texts from the left to the right. Knows ids only.

The texts that are followed are all different. Each is continued by every character; of what that
gives, at most so many are kept, and the weights of those make up for the ones that are dropped: the
heavy ones stay as they are, the light ones are drawn (Fearnhead & Clifford 2003, "On-line inference
for hidden Markov models via particle filters", section 3). So sums of weights are estimated
without bias, and if there are no more texts than are kept, the result is exact.

Where the length of a gap is unknown, the texts of every length are weighted by the probability of
what follows it, so a length is as probable as its texts are together, and short gaps have no
advantage from being few.

Axes: B texts, V vocabulary entries, M characters filled in. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats
from charrnn.inference.pattern import Known, Missing, Part
from charrnn.inference.sampling import read_prime
from charrnn.models.interface import LanguageModel, State
from charrnn.text.documents import systematic_sample
from charrnn.text.vocabulary import EOS, UNK

HORIZON = 48
"""So many of the characters after the last gap are weighed; the effect on later ones is small."""
AHEAD = 16
"""So many characters after a gap of unknown length decide which of its texts are followed on."""
FEWER = 4
"""Of each length of such a gap, so many times fewer texts are followed."""
Logs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Beam:
    """Texts of one length.

    Attributes:
        fills: (B, M) what was filled in so far, in all gaps.
        lengths: of the gaps so far; they add up to M.
        weights: (B,) logarithms.
        predicted: (B, V) log-probabilities of what comes next.
        state: of the model.
    """

    fills: npt.NDArray[np.int64]
    lengths: tuple[int, ...]
    weights: Logs
    predicted: Floats
    state: State

    def take(self, model: LanguageModel, rows: npt.NDArray[np.intp], weights: Logs) -> Beam:
        """These texts alone, with new weights."""
        state = model.select(self.state, rows)
        return Beam(self.fills[rows], self.lengths, weights, self.predicted[rows], state)


@dataclass(frozen=True)
class Filler:
    """How gaps are filled.

    Attributes:
        model: computes the probabilities.
        keep: how many texts are followed at a time.
        temperature: P ** (1 / temperature) is what is drawn from.
        chance: random numbers; None for a beam search, which keeps the heaviest texts.
        ends: whether the text ends where it does, with EOS.
    """

    model: LanguageModel
    keep: int
    temperature: float = 1.0
    chance: np.random.Generator | None = None
    ends: bool = False

    def fill(self, parts: Sequence[Part]) -> list[Beam]:
        """Texts with the gaps of `parts` filled, and their weights."""
        first = parts[0].ids if isinstance(parts[0], Known) else np.empty(0, np.int64)
        predicted, state = read_prime(self.model, first)
        beams = [Beam(np.empty((1, 0), np.int64), (), np.zeros(1), predicted, state)]
        rest = parts[1:] if len(first) else parts
        for number, part in enumerate(rest):
            after = rest[number + 1] if number + 1 < len(rest) else None
            following = after.ids if isinstance(after, Known) else np.empty(0, np.int64)
            if isinstance(part, Missing):
                beams = self._fill_gap(beams, part, following, after is None)
            else:
                is_last = after is None
                ids = part.ids[:HORIZON] if is_last else part.ids
                beams = [self._read(beam, ids) for beam in beams]
                if is_last and self.ends and len(ids) == len(part.ids):
                    beams = [self._end(beam) for beam in beams]
        return beams

    def _fill_gap(
        self, beams: list[Beam], gap: Missing, following: npt.NDArray[Any], is_last: bool
    ) -> list[Beam]:
        """Fill one gap; of several lengths, keep the texts to which `following` fits best."""
        complete: list[Beam] = []
        current = [replace(beam, lengths=(*beam.lengths, 0)) for beam in beams]
        keep = self.keep if gap.least == gap.most else max(1, self.keep // FEWER)
        for length in range(1, gap.most + 1):
            current = self._extend(current, keep)
            if length >= gap.least:
                complete += current
        if is_last and self.ends:
            complete = [self._end(beam) for beam in complete]
        if gap.least == gap.most:
            return complete
        ahead = [self._look_ahead(beam, following) for beam in complete]
        return self._keep(complete, ahead)

    def _extend(self, beams: list[Beam], keep: int) -> list[Beam]:
        """One more character for every text; `keep` of them are followed on."""
        pieces = []
        for beam in beams:
            weights = beam.weights[:, None] + beam.predicted.astype(np.float64) / self.temperature
            weights[:, [UNK, EOS]] = -np.inf
            pieces.append(weights)
        extended = []
        for beam, new in zip(beams, self._chosen(pieces, keep), strict=True):
            rows, characters = np.nonzero(np.isfinite(new))
            if not len(rows):
                continue
            predicted, state = self.model.step(characters, self.model.select(beam.state, rows))
            fills = np.append(beam.fills[rows], characters[:, None], 1)
            lengths = (*beam.lengths[:-1], beam.lengths[-1] + 1)
            extended.append(Beam(fills, lengths, new[rows, characters], predicted, state))
        return extended

    def _keep(self, beams: list[Beam], ahead: list[Logs]) -> list[Beam]:
        """The texts that are followed on, chosen with regard to what is `ahead` (B,) of each."""
        given = [beam.weights + each for beam, each in zip(beams, ahead, strict=True)]
        kept = []
        for beam, new, each in zip(beams, self._chosen(given, self.keep), ahead, strict=True):
            rows = np.flatnonzero(np.isfinite(new))
            if len(rows):
                kept.append(beam.take(self.model, rows, (new - each)[rows]))
        return kept

    def _chosen(self, weights: list[Logs], keep: int) -> list[Logs]:
        """New logarithmic weights of the same shapes; minus infinity where a text is dropped."""
        flat = np.concatenate([each.ravel() for each in weights])
        chosen = choose(flat, keep, self.chance)
        parts = np.split(chosen, np.cumsum([each.size for each in weights])[:-1])
        return [part.reshape(each.shape) for part, each in zip(parts, weights, strict=True)]

    def _look_ahead(self, beam: Beam, following: npt.NDArray[Any]) -> Logs:
        """What reading `following` adds to the weights (B,)."""
        return self._read(beam, following[:AHEAD]).weights - beam.weights

    def _read(self, beam: Beam, ids: npt.NDArray[Any]) -> Beam:
        """Read known characters: their probabilities are weights."""
        if not len(ids):
            return beam
        tokens = np.broadcast_to(ids.astype(np.int64), (len(beam.weights), len(ids)))
        values = beam.predicted[:, ids[0]].astype(np.float64)
        state = beam.state
        if len(ids) > 1:
            scores, state = self.model.score(tokens[:, :-1], tokens[:, 1:], state)
            values += scores.sum(1, dtype=np.float64)
        predicted, state = self.model.step(tokens[:, -1], state)
        weights = beam.weights + values / self.temperature
        return replace(beam, weights=weights, predicted=predicted, state=state)

    def _end(self, beam: Beam) -> Beam:
        weights = beam.weights + beam.predicted[:, EOS].astype(np.float64) / self.temperature
        return replace(beam, weights=weights)


def choose(weights: Logs, keep: int, chance: np.random.Generator | None) -> Logs:
    """New logarithmic `weights` (N,), all but at most `keep` of them minus infinity.

    Their expected value is the old weight, or, without `chance`, the heaviest stay as they are.
    """
    finite = np.flatnonzero(np.isfinite(weights))
    if len(finite) <= keep:
        return weights
    order = finite[np.argsort(-weights[finite], kind="stable")]
    new = np.full(len(weights), -np.inf)
    if chance is None:
        new[order[:keep]] = weights[order[:keep]]
        return new
    sizes = np.exp(weights[order] - weights[order[0]])
    tails = sizes[::-1].cumsum()[::-1][:keep]  # of all from a place on
    limits = tails / (keep - np.arange(keep))
    certain = int(np.argmax(sizes[:keep] <= limits))  # the heaviest, which are kept for certain
    light = order[certain:]
    chances = np.minimum(1.0, sizes[certain:] / limits[certain])
    drawn = light[systematic_sample(chances, chance.random())]
    new[order[:certain]] = weights[order[:certain]]
    new[drawn] = np.log(limits[certain]) + weights[order[0]]
    return new


def complete_fills(
    beams: Sequence[Beam],
) -> Iterator[tuple[float, npt.NDArray[np.int64], tuple[int, ...]]]:
    """The logarithmic weight of each text, what was filled in (M,), and the lengths of its gaps."""
    for beam in beams:
        for row, weight in enumerate(beam.weights.tolist()):
            yield weight, beam.fills[row], beam.lengths
