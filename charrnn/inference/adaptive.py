"""A model that learns from each text that it reads: each character is scored, then learnt from.

The network takes a step down its gradient after each segment (`dynamic`), n-grams are counted on
(`online_ngram`), the weights of the mixture follow each character (`online_mixture`). The model
that all starts from stays as it is.

Axes: B texts, T positions, V vocabulary entries, M members of the mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.errors import Parameter, SettingsError
from charrnn.inference.adapted import AdaptedModel, Parts
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.inference.online_ngram import ORDER, ROOT, OnlineNgram
from charrnn.inference.scoring import Scored, Stream, score_spans
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel, Tokens
from charrnn.models.loading import load_model
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS

if TYPE_CHECKING:
    from charrnn.inference.dynamic import DynamicNetwork
    from charrnn.inference.dynamic_ensemble import DynamicEnsemble

SEGMENT = 20
"""Characters after which the network learns."""
SEGMENTS_AT_ONCE = 100
"""Scores of so many segments are reported together."""


@dataclass(frozen=True)
class Rates:
    """How fast a model adapts; with all of them 0 it is the static model.

    Attributes:
        network: how far a usual gradient moves each weight of the network, for each segment.
        pull: the share of the way back to the trained weights, for each segment.
        mixture: of the weights of the mixture, for each character.
        online: the weight that the n-grams of the text itself begin with.
    """

    network: float = 4e-4
    pull: float = 7e-4
    mixture: float = 0.002
    online: float = 0.1

    def times(self, factor: float) -> Rates:
        """All rates, `factor` times as high.

        Raises:
            SettingsError: `factor` is not between 0 and 10.
        """
        if not 0 <= factor <= 10:
            raise SettingsError(Parameter("adaptive_rate"), f" must be 0 to 10, not {factor:g}")
        each = {field.name: factor * getattr(self, field.name) for field in fields(self)}
        return replace(self, **each)

    @property
    def learn(self) -> bool:
        """Whether anything is learnt."""
        return self != Rates(0, 0, 0, 0)


class AdaptiveModel(Stream):
    """Learns from every text that it scores.

    Args:
        model: what `load_model` made of the checkpoint, on a CPU.
        checkpoint: with the weights of the network.
        rates: how fast to learn.
    """

    def __init__(self, model: LanguageModel, checkpoint: Checkpoint, rates: Rates) -> None:
        self._static = model
        self._checkpoint = checkpoint
        self._rates = rates
        self._parts = Parts.of(model)
        self._network = self._learning_network()
        self._online = OnlineNgram(model.vocabulary_size) if self._parts.ngram else None
        exponents = self._parts.exponents
        size = model.vocabulary_size
        self._mixture = OnlineMixture(
            exponents.shape[1] + (self._online is not None),
            (len(exponents), ORDER + 1, size + len(checkpoint.labels or ()), size),
            rates.mixture,
        )
        if self._online:
            online = np.full((len(exponents), 1), rates.online, np.float32)
            self._parts = replace(self._parts, exponents=np.append(exponents, online, axis=1))
        self._now = AdaptedModel(
            self._parts, self._online, self._mixture, model.vocabulary_size
        )

    def _learning_network(self) -> DynamicNetwork | DynamicEnsemble | None:
        architecture, rates = self._checkpoint.architecture, self._rates
        if self._parts.network is None or architecture is None or not rates.network:
            return None
        from charrnn.inference.dynamic import DynamicNetwork  # imports torch
        from charrnn.inference.dynamic_ensemble import DynamicEnsemble

        networks = [
            DynamicNetwork(architecture, weights, rates.network, rates.pull, SEGMENT)
            for weights in self._checkpoint.members()
        ]
        return DynamicEnsemble(networks) if len(networks) > 1 else networks[0]

    def read(self, documents: Documents) -> Iterator[Scored]:
        """Score the documents in order, each character before it is learnt."""
        if not self._rates.learn:
            yield from score_spans(self._static, documents)
            return
        read: list[tuple[int, Integers, Floats]] = []
        spans = zip(documents.starts.tolist(), documents.lengths.tolist(), strict=True)
        for number, (start, length) in enumerate(spans):
            self._begin(after_label=documents.labels is not None)
            for at in range(start, start + length, SEGMENT):
                positions = np.arange(at, min(at + SEGMENT, start + length))
                tokens = documents.ids[positions - 1].astype(np.int64)
                if at == start:
                    tokens[0] = EOS if documents.labels is None else documents.labels[number]
                values = self._learn(tokens, documents.ids[positions].astype(np.int64))
                read.append((number, positions, values))
                if len(read) == SEGMENTS_AT_ONCE:
                    yield _joined(read)
                    read = []
        if read:
            yield _joined(read)

    def frozen(self) -> AdaptedModel:
        """What it has become so far, for use until it reads on; it learns nothing."""
        parts = self._parts
        if self._network is not None:
            learnt = load_model(self.updated(self._checkpoint), use_ngram=False)
            parts = replace(parts, network=learnt)
        return AdaptedModel(
            parts, self._online, self._mixture, self._static.vocabulary_size
        )

    def updated(self, checkpoint: Checkpoint) -> Checkpoint:
        """`checkpoint` with the weights that the network has now, in float32; all else as it is."""
        if self._network is None:
            return checkpoint
        weights = {**checkpoint.weights, **self._network.weights()}
        return replace(checkpoint, weights=weights, half=False)

    def _begin(self, after_label: bool) -> None:
        """A new text begins, with EOS, which the caller reads unless a label comes first."""
        if self._network is not None:
            self._network.begin()
        if self._online is not None:
            self._online.begin()
        self._state = self._parts.initial_state(1)
        if after_label:
            self._predict(np.array([EOS]))

    def _predict(self, tokens: Tokens) -> tuple[Floats, Integers]:
        """Read `tokens` (T,) -> what the trained models predict (T, M', V), known lengths (T,)."""
        network = None if self._network is None else self._network.predict(tokens)[None]
        trained, matched, self._state = self._parts.read(tokens[None], self._state, network)
        return trained[0], matched[0]

    def _learn(self, tokens: Tokens, targets: Tokens) -> Floats:
        """Read `tokens` (T,) -> log-probability (T,) of `targets` (T,); then learn from those."""
        trained, matched = self._predict(tokens)
        values = np.empty(len(tokens), np.float32)
        rows = zip(tokens.tolist(), targets.tolist(), trained, matched.tolist(), strict=True)
        for at, (token, target, predictions, length) in enumerate(rows):
            contexts = [ROOT] if self._online is None else self._online.contexts
            blend = self._now.blend(predictions, length, contexts, token)
            values[at] = blend.mixed[target]
            self._mixture.learn(blend, target)
            if self._online is not None:
                self._online.learn(target)
        if self._network is not None:
            self._network.learn(targets)
        return values


def _joined(read: Sequence[tuple[int, Integers, Floats]]) -> Scored:
    """The scores of some segments, each with the number of its document and its positions."""
    documents = np.repeat([number for number, _, _ in read], [len(each) for _, each, _ in read])
    positions = np.concatenate([positions for _, positions, _ in read])
    return Scored(documents, positions, np.concatenate([values for _, _, values in read]))
