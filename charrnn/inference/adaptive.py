"""A model that learns from each text that it reads: each character is scored, then learnt from.

The network takes a step down its gradient after each segment (`dynamic`), n-grams are counted on
(`online_ngram`), the weights of the mixture follow each character (`online_mixture`). The model
that all starts from stays as it is.

Axes: B texts, T positions, V vocabulary entries, M members of the mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Floats, Integers
from charrnn.errors import Parameter, SettingsError
from charrnn.inference.adapted import AdaptedModel, Parts
from charrnn.inference.online_bias import OnlineBias
from charrnn.inference.online_mixture import BEGINNING, OnlineMixture
from charrnn.inference.online_ngram import ORDER, ROOT, OnlineNgram
from charrnn.inference.read_ahead import Segment, read_ahead, segments
from charrnn.inference.scoring import Scored, Stream, score_spans
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LanguageModel
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
MIXTURE_RATES = np.array([0.5, 0.5, 1.5, 1.0], np.float32)
"""Of each set of weights, as multiples of the mixture's rate: of those for the lengths of context
that the trained n-grams know, and the text's own; the character before; the one expected."""


@dataclass(frozen=True)
class Rates:
    """How fast a model adapts; with all of them 0 it is the static model.

    Attributes:
        network: how far a usual gradient moves each weight of the network, for each segment.
        pull: the share of the way back to the trained weights, for each segment.
        mixture: of the weights of the mixture, for each character.
        online: the weight that the n-grams of the text itself begin with.
        bias: of what the mixture misjudges after each context.
    """

    network: float = 4e-4
    pull: float = 7e-4
    mixture: float = 0.0014
    online: float = 0.1
    bias: float = 0.1

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
        return any(getattr(self, field.name) for field in fields(self))


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
            (rates.mixture * MIXTURE_RATES).tolist(),
            OnlineBias(size, rates.bias) if self._online else None,
        )
        if self._online:
            online = np.full((len(exponents), 1), rates.online, np.float32)
            self._parts = replace(self._parts, exponents=np.append(exponents, online, axis=1))
        self._newline = int(checkpoint.vocabulary.encode("\n")[0])
        self._now = self._adapted(self._parts)

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
        labelled = documents.labels is not None
        for segment, network in self._segments(documents):
            if segment.begins:
                self._begin(labelled)
            values = self._learn(segment, network)
            read.append((segment.document, segment.positions, values))
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
        return self._adapted(parts)

    def _adapted(self, parts: Parts) -> AdaptedModel:
        size = self._static.vocabulary_size
        return AdaptedModel(parts, self._online, self._mixture, size, self._newline)

    def updated(self, checkpoint: Checkpoint) -> Checkpoint:
        """`checkpoint` with the weights that the network has now, in float32; all else as it is."""
        if self._network is None:
            return checkpoint
        weights = {**checkpoint.weights, **self._network.weights()}
        return replace(checkpoint, weights=weights, half=False)

    def _segments(self, documents: Documents) -> Iterator[tuple[Segment, Floats | None]]:
        """Each segment of `documents` and, if the network learns, what it predicts there (T, V)."""
        found = segments(documents, SEGMENT)
        if self._network is None:
            return ((segment, None) for segment in found)
        return read_ahead(found, partial(_read, self._network, documents.labels is not None))

    def _begin(self, labelled: bool) -> None:
        """A new text begins, with EOS, which the caller reads unless a label comes first."""
        if self._online is not None:
            self._online.begin()
        self._place = BEGINNING
        self._state = self._parts.initial_state(1)
        if labelled:
            self._state = self._parts.read(np.array([[EOS]]), self._state)[-1]

    def _learn(self, segment: Segment, network: Floats | None) -> Floats:
        """Log-probabilities (T,) of what followed in `segment`; then learn from it.

        `network`: what the network predicts (T, V), if it learns too.
        """
        together = None if network is None else network[None]
        trained, matched, self._state = self._parts.read(
            segment.tokens[None], self._state, together
        )
        values = np.empty(len(segment.tokens), np.float32)
        known = zip(trained[0], matched[0].tolist(), strict=True)
        pairs = zip(segment.tokens.tolist(), segment.targets.tolist(), strict=True)
        for at, ((token, target), (predictions, length)) in enumerate(
            zip(pairs, known, strict=True)
        ):
            self._place = self._place.after(token, self._newline)
            contexts = [ROOT] if self._online is None else self._online.contexts
            blend = self._now.blend(predictions, length, contexts, self._place)
            values[at] = blend.mixed[target]
            self._mixture.learn(blend, target)
            if self._online is not None:
                self._online.learn(target)
        return values


def _read(network: DynamicNetwork | DynamicEnsemble, labelled: bool, segment: Segment) -> Floats:
    """Let `network` predict `segment` (T, V), then learn from it."""
    if segment.begins:
        network.begin()
        if labelled:
            network.predict(np.array([EOS]))
    predicted = network.predict(segment.tokens)
    network.learn(segment.targets)
    return predicted


def _joined(read: Sequence[tuple[int, Integers, Floats]]) -> Scored:
    """The scores of some segments, each with the number of its document and its positions."""
    documents = np.repeat([number for number, _, _ in read], [len(each) for _, each, _ in read])
    positions = np.concatenate([positions for _, positions, _ in read])
    return Scored(documents, positions, np.concatenate([values for _, _, values in read]))
