"""What is measured on: made-up text, and models with random weights of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from charrnn.arrays import Array
from charrnn.models.architecture import Architecture
from charrnn.models.checkpoint import Checkpoint, save_checkpoint
from charrnn.models.ngram import NgramModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import Network
from charrnn.text.vocabulary import EOS, Vocabulary
from charrnn.training.settings import DEFAULTS

WORDS = 20_000
WORDS_PER_LINE = 9
ZIPF = 1.07
"""Exponent of the words' frequencies."""
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
MEGABYTE = 1_000_000


def text(characters: int, seed: int = 1) -> str:
    """Lines of made-up words whose frequencies follow Zipf's law, capitals and full stops."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, len(LETTERS) + 1)
    lengths = 1 + random.poisson(4, WORDS)
    letters = random.choice(list(LETTERS), lengths.sum(), p=shares / shares.sum())
    ends = lengths.cumsum()
    words = ["".join(letters[e - n : e]) for n, e in zip(lengths, ends, strict=True)]
    frequencies = 1 / np.arange(1, WORDS + 1) ** ZIPF
    count = characters // 4
    chosen = random.choice(WORDS, count, p=frequencies / frequencies.sum())
    widths = 1 + random.poisson(WORDS_PER_LINE, count // 4)
    lines, at = [], 0
    for width in widths:
        line = " ".join(words[number] for number in chosen[at : at + width])
        lines.append(line.capitalize() + ".\n")
        at += int(width)
    return "".join(lines)[:characters]


@dataclass(frozen=True)
class Pairing:
    """One network with random weights, in torch and in NumPy; it never ends a text."""

    architecture: Architecture
    weights: dict[str, Array]
    network: Network
    model: NumpyRNN


def networks(hidden: int, vocabulary_size: int = 67) -> Pairing:
    """Two layers of LSTM cells."""
    torch.manual_seed(1)
    architecture = Architecture("lstm", vocabulary_size, DEFAULTS.embedding, hidden, 2)
    network = Network(architecture).eval()
    with torch.no_grad():
        network.output.bias[EOS] = -1e4
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return Pairing(architecture, weights, network, NumpyRNN(architecture, weights))


def checkpoint(characters: int, with_ngram: bool) -> Checkpoint:
    """A network of the default size, and an n-gram model of so much text."""
    corpus = text(characters)
    vocabulary = Vocabulary.from_text(corpus)
    pairing = networks(DEFAULTS.hidden, len(vocabulary))
    order = DEFAULTS.ngram_order
    ids = vocabulary.encode(corpus)
    return Checkpoint(
        vocabulary,
        False,
        pairing.architecture,
        pairing.weights,
        NgramModel.build(ids, order, len(vocabulary)).source if with_ngram else None,
        np.full((order, 2), 0.5, np.float32) if with_ngram else None,
    )


@contextmanager
def saved(characters: int, with_ngram: bool) -> Iterator[Path]:
    """The file of such a checkpoint."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "model.safetensors"
        save_checkpoint(path, checkpoint(characters, with_ngram))
        yield path
