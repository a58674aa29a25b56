"""What a checkpoint says of itself, checked and in words, for those who get the model.

The records of training and corpus are free-form JSON, so nothing in them is taken on trust. Of a
corpus's files only the names are passed on, not the directories.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from charrnn.models.checkpoint import Checkpoint

Row: TypeAlias = tuple[str, str]
Losses: TypeAlias = tuple[int, float | None, float | None]
"""Step, training loss, validation loss; nats per character."""

UNNAMED = "A character-level language model"
LONGEST = 200
SEVERAL = 3
SPOKEN_WITH_A_VOWEL = (8, 11)
SETTINGS = ("steps", "batch", "chunk", "rate", "dropout", "precision", "seed")
"""Settings of training that are worth passing on."""


@dataclass(frozen=True)
class Facts:
    """A model in words.

    Attributes:
        name: from its corpus.
        description: its parts, in one sentence.
        rows: names and values.
        history: of the training run, in the order of the steps.
    """

    name: str
    description: str
    rows: tuple[Row, ...]
    history: tuple[Losses, ...]


def facts_of(checkpoint: Checkpoint) -> Facts:
    """The facts of a model."""
    files = _corpus_names(checkpoint)
    return Facts(
        re.sub(r"\.txt$", "", files[0]) if files else UNNAMED,
        f"A character-level language model: {_parts(checkpoint)}.",
        tuple(_rows(checkpoint, files)),
        tuple(_history(checkpoint)),
    )


def _parts(checkpoint: Checkpoint) -> str:
    parts = []
    if network := checkpoint.architecture:
        layers = "layer" if network.layers == 1 else "layers"
        above = f", {network.output_layers} output layers" if network.output_layers else ""
        size = f"{network.layers} {layers} of {network.hidden} units"
        several = f"{checkpoint.networks} times " if checkpoint.networks > 1 else ""
        parts.append(f"{several}{network.cell.upper()}, {size}{above}")
    if checkpoint.ngram:
        order = checkpoint.ngram.order
        parts.append(f"{'an' if order in SPOKEN_WITH_A_VOWEL else 'a'} {order}-gram model")
    return ", mixed with ".join(parts)


def _rows(checkpoint: Checkpoint, files: list[str]) -> Iterator[Row]:
    training, corpus = checkpoint.training, checkpoint.corpus
    if checkpoint.architecture:
        precision = "float16" if checkpoint.half else "float32"
        yield "Parameters", f"{checkpoint.parameters:,} in {precision}"
    if checkpoint.ngram:
        yield "n-grams", f"{sum(checkpoint.ngram.ngrams):,}"
    yield "Characters known", f"{len(checkpoint.vocabulary) - 2:,}"
    yield "Documents", "lines" if checkpoint.lines else "whole files"
    if files:
        more = len(files) - SEVERAL
        shown = ", ".join(files[:SEVERAL])
        yield "Training text", f"{shown} and {more:,} more" if more > 0 else shown
    if characters := _number(corpus, "characters"):
        yield "Its length", f"{characters:,.0f} characters"
    if digest := _digest(corpus):
        yield "Its digest", digest
    nats = _number(training, "nats_per_character")
    if nats is not None:
        bits = nats / math.log(2)
        yield "On held-out text", f"{nats:.3f} nats, {bits:.3f} bits per character"
    for part in ("network", "ngram"):
        alone = _number(training, f"{part}_nats_per_character")
        if alone is not None:
            name = "The network alone" if part == "network" else "The n-gram model alone"
            yield name, f"{alone:.3f} nats per character"
    if settings := _settings(training):
        yield "Settings of training", settings


def _corpus_names(checkpoint: Checkpoint) -> list[str]:
    names = checkpoint.corpus.get("names")
    if not isinstance(names, list):
        return []
    parts = (re.split(r"[/\\]", name.rstrip("/\\"))[-1] for name in names if isinstance(name, str))
    return [part[:LONGEST] for part in parts if part not in ("", "-")]


def _number(record: dict[str, Any], name: str) -> float | None:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e15 else None


def _digest(corpus: dict[str, Any]) -> str | None:
    digest = corpus.get("digest")
    return digest if isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) else None


def _settings(training: dict[str, Any]) -> str:
    settings = training.get("settings")
    if not isinstance(settings, dict):
        return ""
    found = ((name, settings.get(name)) for name in SETTINGS)
    return ", ".join(
        f"{name} {str(value)[:20]}" for name, value in found if isinstance(value, str | int | float)
    )


def _history(checkpoint: Checkpoint) -> Iterator[Losses]:
    history = checkpoint.training.get("history")
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and (step := _number(entry, "step")) is not None:
            yield int(step), _number(entry, "training"), _number(entry, "validation")
