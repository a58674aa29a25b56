"""Training: a whole run against a bare loop, and a step against plain nn.LSTM and AdamW."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from charrnn.models.architecture import Architecture
from charrnn.models.torch_rnn import Network
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.plan import choose_settings
from charrnn.training.request import Budget, TrainingRequest
from charrnn.training.session import train
from charrnn.training.settings import DEFAULTS, Settings
from tests.benchmarks.material import MEGABYTE, text
from tests.benchmarks.measure import Row, paired, rate
from tests.benchmarks.workers import on_this_machine

STEPS = 600
VALIDATIONS = 2
"""As often as in a run of two minutes."""
PLAIN_STEPS = 40
PROCESS_STEPS = 5
RUN_ROUNDS, STEP_ROUNDS = 3, 7
REQUESTED: dict[str, Any] = {"validate_every": STEPS // VALIDATIONS, "ngram_order": 0}


@contextmanager
def _corpus() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        os.environ["CHARRNN_CACHE"] = str(Path(directory) / "cache")
        path = Path(directory) / "corpus.txt"
        path.write_text(text(MEGABYTE))
        yield path


def _prepare(path: Path) -> tuple[TrainingData, Settings]:
    prepared = prepare_data(load_corpus([str(path)], Reading()), None)
    return prepared, choose_settings(REQUESTED, Budget(steps=STEPS), prepared, "cpu", 0)


def _whole_run(corpus: Path, settings: Settings) -> None:
    request = TrainingRequest(
        corpora=(str(corpus),),
        reading=Reading(),
        budget=Budget(steps=STEPS),
        output=corpus.parent / "run",
        requested={**REQUESTED, "precision": settings.precision},
        fresh=True,
        device="cpu",
        started=time.monotonic(),
    )
    train(request, lambda event: None)


def _bare_loop(prepared: TrainingData, settings: Settings) -> None:
    trainer = prepared.single_trainer(settings, "cpu")
    for _ in range(settings.steps):
        trainer.train_step()


def run() -> list[Row]:
    """Corpus, progress, logging, validation, checkpoints, samples; against the steps alone."""
    with _corpus() as path:
        prepared, settings = _prepare(path)
        pair = paired(
            lambda: _whole_run(path, settings),
            lambda: _bare_loop(prepared, settings),
            RUN_ROUNDS,
            warm=False,
        )
    characters = STEPS * settings.batch * settings.chunk
    return [
        Row(
            f"training run of {STEPS} steps against a bare loop",
            rate(characters, pair.measured),
            rate(characters, pair.reference),
            pair.speed_up,
            target=0.97,
            note=f"{settings.precision}, {VALIDATIONS} validations and checkpoints",
        )
    ]


class _Plain:
    """What anyone would write: float32, nn.LSTM, AdamW."""

    def __init__(self, settings: Settings, vocabulary_size: int) -> None:
        self._network = Network(
            Architecture(
                "lstm",
                vocabulary_size,
                settings.embedding,
                settings.hidden,
                settings.layers,
                settings.dropout,
            )
        )
        self._adamw = torch.optim.AdamW(self._network.parameters(), fused=True)
        self._state = self._network.initial_state(settings.batch)
        self._tokens = torch.randint(vocabulary_size, (settings.batch, settings.chunk + 1))

    def step(self) -> None:
        logits, state = self._network(self._tokens[:, :-1], self._state)
        loss = cross_entropy(logits.flatten(0, 1), self._tokens[:, 1:].flatten())
        self._adamw.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._adamw.step()
        self._state = tuple(part.detach() for part in state)


def processes() -> list[Row]:
    """Two processes of one thread against one process of two threads."""
    with on_this_machine(2, 1) as several, on_this_machine(1, 2) as one:
        pair = paired(
            lambda: several.steps(PROCESS_STEPS), lambda: one.steps(PROCESS_STEPS), STEP_ROUNDS
        )
    characters = PROCESS_STEPS * DEFAULTS.batch * DEFAULTS.chunk
    return [
        Row(
            "two processes of one thread against two threads",
            rate(characters, pair.measured),
            rate(characters, pair.reference),
            pair.speed_up,
            target=0.9,
            note=f"{DEFAULTS.precision}, hidden {DEFAULTS.hidden}",
        )
    ]


def together() -> list[Row]:
    """Two networks, each in a thread, against one whose batches are shared out to both."""
    with _corpus() as path:
        prepared, settings = _prepare(path)
        several = prepared.trainer(replace(settings, networks=2), "cpu")
        one = prepared.single_trainer(settings, "cpu")

        def train_several() -> None:
            end = several.step + PLAIN_STEPS // 2
            while several.step < end:
                several.advance(end - several.step)

        pair = paired(train_several, partial(_repeat, one.train_step), STEP_ROUNDS)
    characters = PLAIN_STEPS * settings.batch * settings.chunk
    return [
        Row(
            "two networks side by side against one in two threads",
            rate(characters, pair.measured),
            rate(characters, pair.reference),
            pair.speed_up,
            target=1.05,
            note=f"{settings.precision}, hidden {settings.hidden}",
        )
    ]


def _repeat(step: Callable[[], object]) -> None:
    for _ in range(PLAIN_STEPS):
        step()


def step() -> list[Row]:
    """A step of the trainer, Muon included, against a plain one of the same sizes."""
    with _corpus() as path:
        prepared, settings = _prepare(path)
        trainer = prepared.single_trainer(settings, "cpu")
        plain = _Plain(settings, len(prepared.corpus.vocabulary))
        pair = paired(
            partial(_repeat, trainer.train_step),
            partial(_repeat, plain.step),
            STEP_ROUNDS,
        )
    characters = PLAIN_STEPS * settings.batch * settings.chunk
    return [
        Row(
            "training step against plain float32 nn.LSTM and AdamW",
            rate(characters, pair.measured),
            rate(characters, pair.reference),
            pair.speed_up,
            target=1.0,
            note=f"{settings.precision}, hidden {settings.hidden}",
        )
    ]
