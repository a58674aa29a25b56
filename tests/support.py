"""What several tests need: the command line as a process, texts, small models."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.api import TrainedModel
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.interface import LogProbabilities, Rows, Tokens
from charrnn.models.label_ngrams import count_label_ngrams
from charrnn.models.loading import load_model
from charrnn.models.members import joined
from charrnn.text.labels import Labels
from charrnn.text.vocabulary import EOS, Vocabulary
from charrnn.training.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
QUICK = (
    *("--cell", "lstm", "--layers", "1", "--hidden", "32", "--embedding", "8", "--dropout", "0"),
    *("--batch", "16", "--chunk", "16", "--validation", "0.1", "--precision", "float32"),
    *("--seed", "1", "--device", "cpu"),
)
"""Options of `train` for a model that is trained in a moment, the same on every machine."""
FLAGS = {each.name for each in fields(Settings) if each.default is False}
REPLACEABLE = {
    "--device",
    *(f"--{each.name.replace('_', '-')}" for each in fields(Settings) if each.name not in FLAGS),
}


def later_wins(arguments: Sequence[str | Path]) -> list[str]:
    """`arguments` of a command; of a setting of `train` that is given again, the last alone.

    So that a test can add to QUICK what it wants otherwise: charrnn refuses options given twice.
    """
    words = [str(argument) for argument in arguments]
    if words[:1] != ["train"]:
        return words
    kept: list[tuple[str, list[str]]] = []
    while words:
        name, _, value = words[0].partition("=")
        size = 2 if name in REPLACEABLE and not value else 1
        if name in REPLACEABLE:
            kept = [each for each in kept if each[0] != name]
        kept.append((name, words[:size]))
        words = words[size:]
    return [word for _, each in kept for word in each]


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def run_interpreter(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    python: Sequence[str] = (),
) -> Result:
    """Run the command line in a new Python, with these of its own options."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "charrnn", *later_wins(arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
        timeout=100,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(frozen=True)
class Trained:
    """A model trained on the command line, and its text."""

    run: Path
    corpus: Path
    events: list[dict[str, Any]]
    text: str

    def of_kind(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [each for each in self.events if each["event"] == event]


def prose(sentences: int, seed: int = 1) -> str:
    """Lines of words: enough order for a small model to learn in a moment."""
    choose = random.Random(seed).choice
    subjects = ("the cat", "a dog", "the old man", "my sister")
    verbs = ("saw", "likes", "will not find", "remembers")
    objects = ("the moon", "some bread", "a red house", "nothing at all")
    lines = (f"{choose(subjects)} {choose(verbs)} {choose(objects)}." for _ in range(sentences))
    return "".join(line + "\n" for line in lines)


def names(count: int, seed: int = 1) -> list[str]:
    """Distinct made-up names of two or three syllables."""
    choice = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = [
            choice.choice("bdklmnrst") + choice.choice("aeiou")
            for _ in range(choice.choice((2, 3)))
        ]
        found["".join(syllables).capitalize()] = None
    return list(found)


def labelled_lines(count: int, seed: int = 1) -> str:
    """Lines of label, tab and text: of consonants, vowels or both, in shares of 5, 3 and 2."""
    choice = random.Random(seed)
    letters = {"German": "bdkl", "Irish": "aeio", "Basque": "abei"}
    labels = choice.choices([*letters], [5, 3, 2], k=count)
    return "".join(
        f"{label}\t{''.join(choice.choices(letters[label], k=choice.randint(3, 6)))}\n"
        for label in labels
    )


def random_weights(
    architecture: Architecture, seed: int = 0, scale: float = 0.5
) -> dict[str, npt.NDArray[np.float32]]:
    """Normally distributed weights of every name and shape."""
    generator = np.random.default_rng(seed)
    return {
        name: (scale * generator.standard_normal(shape)).astype(np.float32)
        for name, shape in architecture.shapes().items()
    }


def random_checkpoint(
    text: str = "abc",
    cell: str = "lstm",
    layers: int = 1,
    hidden: int = 8,
    lines: bool = False,
    seed: int = 0,
    output_layers: int = 0,
    bidirectional: bool = False,
    labels: Labels | None = None,
    networks: int = 1,
) -> Checkpoint:
    """An untrained model of the characters of `text`."""
    vocabulary = Vocabulary.from_text(text)
    above = output_layers, hidden if output_layers else 0
    architecture = Architecture(
        cell, len(vocabulary), 4, hidden, layers, 0.0, *above,
        bidirectional=bidirectional, labels=len(labels or ()),
    )
    scale = 0.2 if CELLS[cell].nonlinearity == "relu" else 0.5  # its states must not explode
    weights = joined([random_weights(architecture, seed + each, scale) for each in range(networks)])
    return Checkpoint(vocabulary, lines, architecture, weights, labels=labels, networks=networks)


def with_label_ngrams(checkpoint: Checkpoint, order: int = 3) -> Checkpoint:
    """The same with n-grams of each label: of a line of four characters for each."""
    assert checkpoint.labels is not None
    size, labels = len(checkpoint.vocabulary), len(checkpoint.labels)
    lines = [
        [size + label, *(2 + (at * (label + 1)) % (size - 2) for at in range(4)), EOS]
        for label in range(labels)
    ]
    counts = count_label_ngrams(np.array(lines).ravel(), order, size, labels, 1000)
    exponents = np.linspace(0.5, 0.1, order + 1, dtype=np.float32)
    return replace(checkpoint, label_ngrams=counts, label_exponents=exponents)


def random_model(checkpoint: Checkpoint) -> TrainedModel:
    """An untrained model as `load` would return it."""
    return TrainedModel(checkpoint, Path("nowhere"), load_model(checkpoint))


class TableModel:
    """A LanguageModel that remembers one character: probabilities worked by hand.

    Args:
        table: (V, V) the probability of each next id, a row per id before it.
    """

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        with np.errstate(divide="ignore"):
            self._logarithms = np.log(np.array(table, np.float64)).astype(np.float32)

    def with_temperature(self, temperature: float) -> TableModel:
        """The model whose log-probabilities are divided by `temperature`, then normalised."""
        shares = np.exp(self._logarithms / temperature)
        return TableModel((shares / shares.sum(1, keepdims=True)).tolist())

    @property
    def vocabulary_size(self) -> int:
        return len(self._logarithms)

    def initial_state(self, batch: int) -> int:
        return batch

    def forward(self, tokens: Tokens, state: int) -> tuple[LogProbabilities, int]:
        assert len(tokens) == state
        return self._logarithms[tokens], state

    def step(self, tokens: Tokens, state: int) -> tuple[LogProbabilities, int]:
        assert tokens.shape == (state,)
        return self._logarithms[tokens], state

    def score(self, tokens: Tokens, targets: Tokens, state: int) -> tuple[LogProbabilities, int]:
        assert len(tokens) == state
        return self._logarithms[tokens, targets], state

    def select(self, state: int, rows: Rows) -> int:
        return len(rows)
