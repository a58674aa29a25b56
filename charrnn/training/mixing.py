"""Fits the mixture of a network and an n-gram model, on text that neither has trained on.

Knows the mixture's form, not what the two models are. The fit is convex: its objective is the
cross-entropy of a log-linear model in its exponents.

Axes: N positions, V vocabulary entries, L lengths of context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.corpus import Documents
from charrnn.models.interpolation import Exponents
from charrnn.models.language_model import LanguageModel, State
from charrnn.models.ngram import NgramModel
from charrnn.scoring import windows

MAX_POSITIONS = 40_000
MAX_CELLS = 1 << 23
"""N * V is at most about this: two tables of so many float32 are held."""
PULL = 20.0
"""How many positions' worth a length's exponents are drawn to those of all lengths together."""
ITERATIONS = 50


@dataclass(frozen=True)
class Fit:
    """A fitted mixture.

    Attributes:
        exponents: (L, 2).
        network, ngram, together: nats per character of each on the text of the fit.
    """

    exponents: Exponents
    network: float
    ngram: float
    together: float

    def figures(self) -> dict[str, float]:
        """Nats per character: of each and of what is used, the mixture if it helps."""
        return {
            "network_nats_per_character": self.network,
            "ngram_nats_per_character": self.ngram,
            "nats_per_character": min(self.network, self.together),
        }

    @property
    def helps(self) -> bool:
        """Whether the two are better than the network alone."""
        return self.together < self.network


def fit_mixture(network: LanguageModel, ngram: NgramModel, documents: Documents) -> Fit:
    """The exponents with which the two together predict `documents` best."""
    ours, theirs, matched, targets = _tables(network, ngram, documents)
    common = _minimise(torch.full((1, 2), 0.5), ours, theirs, torch.zeros_like(matched), targets, 0)
    start = common.repeat(ngram.order, 1)
    exponents = _minimise(start, ours, theirs, matched, targets, PULL)
    index = targets[:, None]
    return Fit(
        exponents=exponents.numpy().astype(np.float32),
        network=-float(ours.gather(1, index).mean()),
        ngram=-float(theirs.gather(1, index).mean()),
        together=float(_cross_entropy(exponents, ours, theirs, matched, targets)),
    )


def _cross_entropy(
    exponents: Tensor, ours: Tensor, theirs: Tensor, matched: Tensor, targets: Tensor
) -> Tensor:
    chosen = exponents[matched]  # (N, 2)
    return cross_entropy(ours * chosen[:, :1] + theirs * chosen[:, 1:], targets)


def _minimise(
    start: Tensor, ours: Tensor, theirs: Tensor, matched: Tensor, targets: Tensor, pull: float
) -> Tensor:
    exponents = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([exponents], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimiser.zero_grad()
        loss = _cross_entropy(exponents, ours, theirs, matched, targets)
        loss = loss + pull / len(targets) * (exponents - start).square().sum()
        torch.autograd.backward(loss)
        return loss

    try:
        optimiser.step(objective)
    except RuntimeError:  # the line search overflows where a network is absurdly certain
        return start
    found = exponents.detach()
    return found if torch.isfinite(found).all() else start


def _tables(
    network: LanguageModel, ngram: NgramModel, documents: Documents
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities of both (N, V) each, matched length (N,), what came (N,)."""
    sample = _beginning(documents, max(1, min(MAX_POSITIONS, MAX_CELLS // ngram.vocabulary_size)))
    ours, theirs, matched, targets = [], [], [], []
    network_state: State = None
    ngram_state: State = None
    for window in windows(sample, ngram.vocabulary_size):
        network_state = window.enter(network, network_state)
        ngram_state = window.enter(ngram, ngram_state)
        predicted, network_state = network.forward(window.inputs, network_state)
        contexts, ngram_state = ngram.read(window.inputs, ngram_state)
        counted = contexts[window.counted]  # (N', L)
        ours.append(predicted[window.counted])
        theirs.append(ngram.predict(counted))
        matched.append(ngram.features(counted)[0])
        targets.append(sample.ids[window.positions[window.counted]].astype(np.int64))
    return (
        torch.from_numpy(np.concatenate(ours)),
        torch.from_numpy(np.concatenate(theirs)),
        torch.from_numpy(np.concatenate(matched)),
        torch.from_numpy(np.concatenate(targets)),
    )


def _beginning(documents: Documents, characters: int) -> Documents:
    """The first documents, and the beginning of one more, `characters` in all."""
    before = documents.lengths.cumsum() - documents.lengths
    lengths = np.clip(characters - before, 0, documents.lengths)
    kept = lengths > 0
    return Documents(documents.ids, documents.starts[kept], lengths[kept])
