"""A model that has adapted to a text, as a LanguageModel that learns no more.

Joins what was trained with what was learnt while reading: `adaptive` does the learning.

Axes: B texts, T positions, V vocabulary entries, L lengths of context, M members of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.inference.online_bias import Place
from charrnn.inference.online_mixture import BEGINNING, Blend, OnlineMixture
from charrnn.inference.online_ngram import ROOT, Contexts, OnlineNgram
from charrnn.models.interface import LanguageModel, LogProbabilities, Rows, State, Tokens
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel

AdaptedState: TypeAlias = tuple[State, list[Contexts], list[Place]]
"""Of the trained models, and the known contexts and the place of each text (B)."""


@dataclass(frozen=True)
class Parts:
    """The trained models, one or two, and their weights in the mixture.

    Attributes:
        network: None if there is none.
        ngram: None if there is none.
        exponents: (L, M) for each length of context that the n-gram model knows.
    """

    network: LanguageModel | None
    ngram: NgramModel | None
    exponents: Floats

    @classmethod
    def of(cls, model: LanguageModel) -> Parts:
        """The parts of a mixture, or of a model alone."""
        if isinstance(model, Mixture):
            return cls(model.network, model.ngram, model.exponents)
        if isinstance(model, NgramModel):
            return cls(None, model, np.ones((model.order, 1), np.float32))
        return cls(model, None, np.ones((1, 1), np.float32))

    def initial_state(self, batch: int) -> State:
        """Of both, for `batch` new texts."""
        network = None if self.network is None else self.network.initial_state(batch)
        return network, None if self.ngram is None else self.ngram.initial_state(batch)

    def select(self, state: State, rows: Rows) -> State:
        """The state of the texts `rows` alone."""
        network = None if self.network is None else self.network.select(state[0], rows)
        return network, None if self.ngram is None else self.ngram.select(state[1], rows)

    def read(
        self, tokens: Tokens, state: State, network: LogProbabilities | None = None
    ) -> tuple[Floats, Integers, State]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, M, V), known lengths (B, T), state.

        `network`: its log-probabilities (B, T, V), if they are known.
        """
        found = []
        network_state, contexts = state
        if network is None and self.network is not None:
            network, network_state = self.network.forward(tokens, network_state)
        if network is not None:
            found.append(network)
        matched = np.zeros(tokens.shape, np.int64)
        if self.ngram is not None:
            read, contexts = self.ngram.read(tokens, contexts)
            found.append(self.ngram.predict(read))
            matched = self.ngram.matched(read)
        return np.stack(found, axis=2), matched, (network_state, contexts)


class AdaptedModel:
    """The parts, the n-grams of the text that was read, and the weights learnt there."""

    def __init__(
        self,
        parts: Parts,
        online: OnlineNgram | None,
        mixture: OnlineMixture,
        size: int,
        newline: int,
    ) -> None:
        self._parts, self._online, self._mixture = parts, online, mixture
        self._size, self._newline = size, newline

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._size

    def initial_state(self, batch: int) -> AdaptedState:
        """The state before the first character of `batch` new texts."""
        return self._parts.initial_state(batch), [[ROOT]] * batch, [BEGINNING] * batch

    def select(self, state: AdaptedState, rows: Rows) -> AdaptedState:
        """The state of the texts `rows` alone."""
        parts, contexts, places = state
        which = rows.tolist()
        chosen = self._parts.select(parts, rows)
        return chosen, [contexts[row] for row in which], [places[row] for row in which]

    def step(self, tokens: Tokens, state: AdaptedState) -> tuple[LogProbabilities, AdaptedState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        predicted, state = self.forward(tokens[:, None], state)
        return predicted[:, 0], state

    def forward(self, tokens: Tokens, state: AdaptedState) -> tuple[LogProbabilities, AdaptedState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        trained, matched, parts_state = self._parts.read(tokens, state[0])
        found = np.empty((*tokens.shape, self._size), np.float32)
        ends, places = list(state[1]), list(state[2])
        for row, at in np.ndindex(*tokens.shape):
            token = int(tokens[row, at])
            if self._online is not None and token < self._size:  # not a label
                ends[row] = self._online.follow(ends[row], token)
            places[row] = places[row].after(token, self._newline)
            known = int(matched[row, at])
            found[row, at] = self.blend(trained[row, at], known, ends[row], places[row]).mixed
        return found, (parts_state, ends, places)

    def blend(self, trained: Floats, matched: int, contexts: Contexts, place: Place) -> Blend:
        """Mix the predictions of the trained models (M', V) with that of the text itself.

        Args:
            trained: their log-probabilities.
            matched: the length of the context that the trained n-gram model knows.
            contexts: those that the text has had before.
            place: of the character to be predicted.
        """
        if self._online is not None:
            trained = np.concatenate([trained, self._online.predict(contexts)[None]])
        known = (matched, len(contexts) - 1, place.latest[0], int(trained[0].argmax()))
        return self._mixture.mix(trained, self._parts.exponents[matched], known, place)

    def score(
        self, tokens: Tokens, targets: Tokens, state: AdaptedState
    ) -> tuple[LogProbabilities, AdaptedState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state."""
        predicted, state = self.forward(tokens, state)
        return np.take_along_axis(predicted, targets[..., None].astype(np.intp), -1)[..., 0], state
