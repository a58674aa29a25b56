"""Decoding strategies that are ready to be applied to a model's probabilities. Knows ids only.

Axes: B texts, V vocabulary entries, W remembered characters, P characters of a prime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.errors import Parameter, SettingsError
from charrnn.inference.strategies import (
    REPETITION_WINDOW,
    STRATEGIES,
    Apply,
    Decoding,
    Ids,
    Weights,
    check_decoding,
    normalise,
)
from charrnn.text.vocabulary import EOS, UNK


@dataclass(frozen=True)
class Decoder:
    """Strategies that are ready to be applied; those that change nothing are left out.

    Attributes:
        shapers: what shapes the distribution to draw from, with its value, in order.
        constraints: the same for a beam search.
        beam: number of beginnings to follow; 0 to draw.
        stops: (L,) ids of each text that ends a text.
        memory: W, how many of the last characters have to be remembered.
    """

    shapers: tuple[tuple[Apply, Any], ...]
    constraints: tuple[tuple[Apply, Any], ...]
    beam: int
    stops: tuple[Ids, ...]
    memory: int

    @classmethod
    def of(
        cls, decoding: Decoding, encode: Callable[[str], Ids], vocabulary_size: int
    ) -> Decoder:
        """The decoder for `decoding`.

        Args:
            decoding: strategies by name.
            encode: the ids of a text, UNK for unknown characters.
            vocabulary_size: V.

        Raises:
            SettingsError: see `check_decoding`; or no character is left to write.
        """
        values = check_decoding(decoding)
        applied = {
            name: (entry, encode(value) if isinstance(value, str) else value)
            for name, value in values.items()
            if value != (entry := STRATEGIES[name]).neutral
        }
        stops = tuple(ids for text in values["stop"] if UNK not in (ids := encode(text)))
        window = REPETITION_WINDOW if "repetition_penalty" in applied else 0
        decoder = cls(
            tuple((entry.apply, value) for entry, value in applied.values() if entry.apply),
            tuple(
                (entry.apply, value)
                for entry, value in applied.values()
                if entry.apply and entry.in_search
            ),
            int(values["beam"]),
            stops,
            max([window, *(len(stop) for stop in stops)]),
        )
        decoder._require_some_character(vocabulary_size)
        return decoder

    def _require_some_character(self, vocabulary_size: int) -> None:
        nothing_known = np.zeros((1, vocabulary_size), np.float32)
        left = self.constrain(nothing_known, self.remember(np.empty(0, int), 1), until_eos=False)
        if not np.isfinite(left).any():
            raise SettingsError(
                Parameter("only"), " and ", Parameter("forbid"),
                " leave no character that the model knows; allow some",
            )

    def shape(
        self, log_probabilities: npt.NDArray[np.float32], recent: Ids, until_eos: bool = True
    ) -> Weights:
        """The probabilities (B, V) to draw from: UNK masked, strategies applied.

        Without `until_eos` EOS is masked too, so that a text cannot end.
        """
        weights = _mask(log_probabilities, until_eos)
        for apply, value in self.shapers:
            weights = apply(weights, value, recent)
        return normalise(weights)

    def constrain(
        self, log_probabilities: npt.NDArray[np.float32], recent: Ids, until_eos: bool = True
    ) -> Weights:
        """The weights (B, V) to search with: UNK masked, constraints applied; not renormalised."""
        weights = _mask(log_probabilities, until_eos)
        for apply, value in self.constraints:
            weights = apply(weights, value, recent)
        return weights

    def remember(self, prime: Ids, texts: int) -> Ids:
        """The last characters (B, W) of `texts` texts that begin with `prime` (P,)."""
        recent = np.full((texts, self.memory), EOS)
        kept = prime[len(prime) - min(self.memory, len(prime)) :]
        recent[:, self.memory - len(kept) :] = kept
        return recent

    def append(self, recent: Ids, chosen: Ids) -> Ids:
        """`recent` (B, W) after one more character of each text, `chosen` (B,)."""
        if not self.memory:
            return recent
        return np.concatenate((recent[:, 1:], chosen[:, None]), axis=1)

    def stopped(self, recent: Ids, written: int) -> npt.NDArray[np.int64]:
        """How many characters (B,) of each text are the stop that it ends with; 0 without one.

        `written`: the characters written so far; a stop cannot begin before them.
        """
        found = np.zeros(len(recent), np.int64)
        for stop in self.stops:
            if len(stop) <= written:
                ends = (recent[:, self.memory - len(stop) :] == stop).all(-1)
                found = np.where(ends, np.maximum(found, len(stop)), found)
        return found


def _mask(log_probabilities: npt.NDArray[np.float32], until_eos: bool) -> Weights:
    weights = log_probabilities.astype(np.float64)
    weights[..., UNK] = -np.inf
    if not until_eos:
        weights[..., EOS] = -np.inf
    return weights
