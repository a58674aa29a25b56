"""What the tests of exported files need: small models of every kind, pages taken apart."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.models.checkpoint import Checkpoint
from charrnn.models.ngram_counter import count_ngrams
from charrnn.text.vocabulary import EOS, UNK
from tests.support import random_checkpoint, random_weights

WORLD = "Ünïcode: 漢字 العربية 👩\u200d🚀 e\u0301\0\r\n\t“quoted” \U0010ffff" * 6
LATIN = "It was the best of times; it was the worst of times.\n(So it was.)\n" * 4


def model_of(
    text: str,
    cell: str | None = "lstm",
    *,
    ngram: bool = False,
    layers: int = 2,
    seed: int = 0,
    output_layers: int = 0,
    networks: int = 1,
) -> Checkpoint:
    """A model of the characters of `text`, with random weights if it has a network."""
    network = random_checkpoint(
        text, cell or "rnn", layers, hidden=10, seed=seed, output_layers=output_layers,
        networks=networks,
    )
    if not ngram:
        return network
    ids = np.append(network.vocabulary.encode(text), EOS)
    counts = count_ngrams(ids, 5, len(network.vocabulary), max_ngrams=400)
    if cell is None:
        return replace(network, architecture=None, weights={}, ngram=counts)
    rows = np.linspace(0.2, 0.9, 2 * counts.order, dtype=np.float32).reshape(-1, 2)
    return replace(network, ngram=counts, exponents=rows)


def wider(checkpoint: Checkpoint, width: int) -> Checkpoint:
    """The same network with random output layers of another width."""
    assert checkpoint.architecture is not None
    architecture = replace(checkpoint.architecture, output_hidden=width)
    weights = random_weights(architecture, scale=0.2)
    return replace(checkpoint, architecture=architecture, weights=weights)


def greedy(checkpoint: Checkpoint, model: Any, length: int) -> list[int]:
    """The most probable characters, one after another, as `charrnn sample --argmax` takes them."""
    state = model.initial_state(1)
    ids = [EOS]
    while len(ids) <= length:
        predicted, state = model.step(np.array(ids[-1:]), state)
        predicted[0, [UNK, *([] if checkpoint.lines else [EOS])]] = -np.inf
        ids.append(int(predicted[0].argmax()))
        if ids[-1] == EOS:
            return ids[1:-1]
    return ids[1:]


def part(page: str, name: str) -> str:
    """The contents of the element with this id."""
    found = re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found[1]
