"""Fill the gaps of a text: characters in, characters out.

A forward model proposes texts, from the left to the right, weighted by what follows the gaps. A
reader, which sees both sides of each character, polishes them.

Axes: B texts, M characters from the first missing one to the last. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Integers
from charrnn.errors import SettingsError
from charrnn.inference.fill_options import FillOptions
from charrnn.inference.particles import HORIZON, Filler, complete_fills
from charrnn.inference.pattern import Known, Missing, Part
from charrnn.inference.polishing import Polisher
from charrnn.inference.sampling import read_prime
from charrnn.models.interface import LanguageModel
from charrnn.models.reader import NumpyReader
from charrnn.text.vocabulary import EOS, Vocabulary

KEPT = 256
"""Texts that are followed at a time."""
POLISHED = 16
"""Of so many of the best texts a search polishes each."""
CONTEXT = 128
"""Characters that a reader reads on either side of the gaps."""
CLIMBS = 10
READER_WEIGHT = 0.3
"""Of the pseudo-log-likelihood, beside the log-probability, of a text that is looked for."""


@dataclass(frozen=True)
class Filled:
    """A text whose gaps are filled.

    Attributes:
        text: the whole text.
        fills: what was filled into each gap.
        probability: of what was filled in, given the rest, among all that was considered; None
            where a reader had the last word.
    """

    text: str
    fills: tuple[str, ...]
    probability: float | None


@dataclass(frozen=True)
class Proposal:
    """What may be filled into the gaps.

    Attributes:
        ids: (N,) of all gaps together.
        lengths: of the gaps.
        weight: logarithm; the higher, the better.
        probability: as in Filled.
    """

    ids: Integers
    lengths: tuple[int, ...]
    weight: float
    probability: float | None


@dataclass(frozen=True)
class Gaps:
    """Fills gaps with a forward model, a reader, or both.

    Attributes:
        vocabulary: of both.
        model: predicts the next character; None for the reader alone.
        reader: predicts each character from all others; None for the model alone.
        ends: whether the model predicts the ends of texts.
    """

    vocabulary: Vocabulary
    model: LanguageModel | None
    reader: NumpyReader | None
    ends: bool

    def fill(self, parts: Sequence[Part], options: FillOptions) -> list[Filled]:
        """`options.num` texts, drawn, or the most probable ones; the most probable is the first.

        Raises:
            SettingsError: without a forward model, nothing says how long a gap is.
        """
        chance = np.random.default_rng((options.seed, 0))
        proposals = self._propose(parts, options, chance)
        if self.reader is not None:
            proposals = self._polished(parts, proposals, options, chance)
        return [self._filled(parts, each) for each in proposals[: options.num]]

    def _propose(
        self, parts: Sequence[Part], options: FillOptions, chance: np.random.Generator
    ) -> list[Proposal]:
        if self.model is None:
            return self._guesses(parts, options)
        if not options.searches:
            filler = Filler(self.model, KEPT, options.temperature, chance, self.ends)
            found = _weighed(filler, parts)
            shares = np.array([each.probability for each in found])
            drawn = chance.choice(len(found), options.num, p=shares / shares.sum())
            return [found[each] for each in drawn]
        if any(isinstance(part, Missing) and part.least < part.most for part in parts):
            drawing = Filler(self.model, KEPT, 1.0, chance, self.ends)
            parts = _with_lengths(parts, _likeliest_lengths(_weighed(drawing, parts)))
        wanted = max(options.num, POLISHED if self.reader else 1)
        return _weighed(Filler(self.model, KEPT, ends=self.ends), parts)[:wanted]

    def _guesses(self, parts: Sequence[Part], options: FillOptions) -> list[Proposal]:
        """The reader's first guess, as often as it is needed."""
        lengths = tuple(part.most for part in parts if isinstance(part, Missing))
        if any(isinstance(part, Missing) and part.least < part.most for part in parts):
            raise SettingsError(
                "a reader alone cannot tell how long a gap is; let the forward model help, or "
                "write a blank for each missing character"
            )
        polisher, template, missing = self._place(parts, lengths)
        ids = polisher.guess(template[None])[0, missing]
        return [Proposal(ids, lengths, 0.0, 1.0)] * max(POLISHED, options.num)

    def _polished(
        self,
        parts: Sequence[Part],
        proposals: list[Proposal],
        options: FillOptions,
        chance: np.random.Generator,
    ) -> list[Proposal]:
        """What the reader makes of the proposals."""
        polished: list[Proposal | None] = [None] * len(proposals)
        for lengths in dict.fromkeys(each.lengths for each in proposals):
            rows = [row for row, each in enumerate(proposals) if each.lengths == lengths]
            polisher, template, missing = self._place(parts, lengths)
            middles = np.repeat(template[None], len(rows), 0)
            middles[:, missing] = [proposals[row].ids for row in rows]
            if options.searches:
                if self.model is None:  # else all of them would climb the same hill
                    middles[1:] = polisher.sample(middles[1:], options.sweeps, 1.0, chance)
                return self._best(parts, lengths, polisher, middles, missing)
            middles = polisher.sample(middles, options.sweeps, options.temperature, chance)
            for row, middle in zip(rows, middles, strict=True):
                polished[row] = Proposal(middle[missing], lengths, 0.0, None)
        return [each for each in polished if each is not None]

    def _best(
        self,
        parts: Sequence[Part],
        lengths: tuple[int, ...],
        polisher: Polisher,
        middles: Integers,
        missing: npt.NDArray[np.bool_],
    ) -> list[Proposal]:
        """The best of all `middles` (B, M) and of what the reader makes of them, the best first."""
        climbed = polisher.climb(middles, CLIMBS)
        candidates = np.unique(np.concatenate([middles, climbed]), axis=0)
        scores = polisher.scores(candidates).astype(np.float64)
        if self.model is not None:
            scores *= READER_WEIGHT
            scores += self._forward_scores(self.model, parts, candidates)
        order = np.argsort(-scores, kind="stable")
        return [
            Proposal(candidates[row][missing], lengths, float(scores[row]), None) for row in order
        ]

    def _forward_scores(
        self, model: LanguageModel, parts: Sequence[Part], middles: Integers
    ) -> npt.NDArray[np.float64]:
        """The log-probability (B,) of `middles` (B, M) and what follows, given what is before."""
        left, right = _sides(parts)
        predicted, state = read_prime(model, left)
        ending = [EOS] if self.ends and len(right) <= HORIZON else []
        following = np.concatenate([right[:HORIZON], ending]).astype(np.int64)
        tokens = np.concatenate([middles, np.tile(following, (len(middles), 1))], 1)
        state = model.select(state, np.zeros(len(tokens), np.intp))
        scores: npt.NDArray[np.float64] = predicted[0, tokens[:, 0]].astype(np.float64)
        if tokens.shape[1] > 1:
            values, _ = model.score(tokens[:, :-1], tokens[:, 1:], state)
            scores += values.sum(1, dtype=np.float64)
        return scores

    def _place(
        self, parts: Sequence[Part], lengths: tuple[int, ...]
    ) -> tuple[Polisher, Integers, npt.NDArray[np.bool_]]:
        """Where the reader works; the ids from the first gap to the last; which are missing."""
        assert self.reader is not None
        template, missing = _layout(parts, lengths)
        left, right = _sides(parts)
        before = np.concatenate([[EOS], left])[-CONTEXT:].astype(np.int64)
        after = np.concatenate([right, [EOS]])[:CONTEXT].astype(np.int64)
        return Polisher(self.reader, before, after, missing), template, missing

    def _filled(self, parts: Sequence[Part], proposal: Proposal) -> Filled:
        fills = [
            self.vocabulary.decode(ids.tolist())
            for ids in np.split(proposal.ids, np.cumsum(proposal.lengths)[:-1])
        ]
        rest = iter(fills)
        text = "".join(part.text if isinstance(part, Known) else next(rest) for part in parts)
        return Filled(text, tuple(fills), proposal.probability)


def _weighed(filler: Filler, parts: Sequence[Part]) -> list[Proposal]:
    """All texts that `filler` ends with, the heaviest first."""
    found = sorted(complete_fills(filler.fill(parts)), key=lambda each: -each[0])
    if not found:
        return []
    weights = np.array([weight for weight, _, _ in found])
    shares = np.exp(weights - weights[0])
    shares /= shares.sum()
    return [
        Proposal(ids, lengths, weight, float(share))
        for (weight, ids, lengths), share in zip(found, shares, strict=True)
    ]


def _likeliest_lengths(proposals: Sequence[Proposal]) -> tuple[int, ...]:
    """The lengths of the gaps that are the most probable together, all texts added up."""
    totals: dict[tuple[int, ...], float] = {}
    for each in proposals:
        totals[each.lengths] = totals.get(each.lengths, 0.0) + (each.probability or 0.0)
    return max(totals, key=lambda lengths: totals[lengths])


def _with_lengths(parts: Sequence[Part], lengths: tuple[int, ...]) -> list[Part]:
    rest = iter(lengths)
    fixed: list[Part] = []
    for part in parts:
        length = 0 if isinstance(part, Known) else next(rest)
        fixed.append(part if isinstance(part, Known) else Missing(length, length))
    return fixed


def _sides(parts: Sequence[Part]) -> tuple[Integers, Integers]:
    """What is known before the first gap and after the last one."""
    empty = np.empty(0, np.int64)
    first, last = parts[0], parts[-1]
    left = first.ids.astype(np.int64) if isinstance(first, Known) else empty
    right = last.ids.astype(np.int64) if isinstance(last, Known) else empty
    return left, right


def _layout(
    parts: Sequence[Part], lengths: tuple[int, ...]
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """The ids from the first gap to the last (M,), and which of them are missing."""
    rest = iter(lengths)
    pieces = [part.ids if isinstance(part, Known) else None for part in parts]
    inner = pieces[pieces[0] is not None : len(pieces) - (pieces[-1] is not None)]
    filled = [np.zeros(next(rest), np.int64) if each is None else each for each in inner]
    missing = [np.full(len(new), old is None) for new, old in zip(filled, inner, strict=True)]
    return np.concatenate(filled).astype(np.int64), np.concatenate(missing)
