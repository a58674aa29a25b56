from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.errors import TrainingError
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.text.documents import documents_of
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import Batches, LineBatches, StreamBatches
from charrnn.training.settings import Settings
from charrnn.training.trainer import (
    FINAL_RATE,
    Schedule,
    Trainer,
    rate_factor,
    trained_by_muon,
)

V = 6
SETTINGS = Settings(
    layers=1, hidden=8, embedding=4, dropout=0.0, chunk=6, batch=4, steps=40, precision="float32",
    rate=0.05, muon_rate=0.1,
)
# 2 3 4 5 2 3 4 5 ...: what follows is certain after one character
CYCLE = np.array([*([2, 3, 4, 5] * 50), EOS], np.uint8)
LINES = np.array([2, 3, 4, 5, EOS, 3, 4, EOS, 5, EOS] * 20, np.uint8)


def make(batches: Batches | None = None, **changes: Any) -> Trainer:
    settings = replace(SETTINGS, **changes)
    architecture = Architecture(
        settings.cell, V, settings.embedding, settings.hidden, settings.layers, settings.dropout
    )
    if batches is None:
        batches = StreamBatches(CYCLE, None, settings.batch, settings.chunk, settings.seed)
    return Trainer(settings, architecture, batches, "cpu")


def run(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.train_step().loss for _ in range(steps)]


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 0.0),
        (0.05, 0.5),
        (0.1, 1.0),
        (0.55, FINAL_RATE + (1 - FINAL_RATE) / 2),
        (1.0, FINAL_RATE),
    ],
)
def test_rates_rise_and_fall(progress: float, expected: float) -> None:
    assert rate_factor(progress, 0.1) == pytest.approx(expected)


@pytest.mark.parametrize(("warmup", "expected"), [(0.0, (1 + FINAL_RATE) / 2), (1.0, 0.5)])
def test_a_run_may_be_all_or_no_warm_up(warmup: float, expected: float) -> None:
    assert rate_factor(0.5, warmup) == pytest.approx(expected)


def test_progress_is_linear_until_the_end_is_moved() -> None:
    schedule = Schedule(100)
    assert [schedule.progress(step) for step in (0, 25, 100, 120)] == [0, 0.25, 1, 1]
    schedule.end_at(75, 50)  # half of the run is behind, 25 steps are left for the other half
    assert [schedule.progress(step) for step in (50, 60, 75)] == pytest.approx([0.5, 0.7, 1])
    schedule.end_at(10, 60)  # too late for that: one more step
    assert schedule.total == 61
    assert schedule.progress(60) == pytest.approx(0.7)
    assert schedule.progress(61) == 1


def test_the_first_loss_is_that_of_knowing_nothing() -> None:
    assert run(make(), 1)[0] == pytest.approx(math.log(V), abs=0.3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_it_learns(cell: str, layers: int) -> None:
    steps = 80 if CELLS[cell].identity else 40  # one that forgets nothing needs longer for a cycle
    losses = run(make(cell=cell, layers=layers, steps=steps), steps)
    assert losses[-1] < 0.5 * losses[0]


def test_it_learns_lines() -> None:
    losses = run(make(LineBatches(LINES, 4, 6, 1), steps=60), 60)
    assert np.mean(losses[-10:]) < 0.6 * losses[0]


def test_it_learns_in_bfloat16_from_exact_weights() -> None:
    trainer = make(precision="bfloat16")
    losses = run(trainer, 40)
    assert losses[-1] < 0.5 * losses[0]
    assert {weight.dtype for weight in trainer.weights().values()} == {np.dtype(np.float32)}
    assert losses == pytest.approx(run(make(), 40), abs=0.2)


def test_the_same_seed_gives_the_same_run() -> None:
    settings: list[dict[str, Any]] = [{}, {"dropout": 0.3, "layers": 2}]
    for changes in settings:
        first, second = make(**changes), make(**changes)
        assert run(first, 5) == run(second, 5)
        for name, weight in first.weights().items():
            assert np.array_equal(weight, second.weights()[name])
        other = make(seed=2, **changes)
        assert run(other, 5) != run(first, 5)


def test_a_step_tells_what_it_saw() -> None:
    trainer = make(warmup=0.5, steps=10)
    result = trainer.train_step()
    assert trainer.step == 1
    assert result.characters == 4 * 6
    assert result.rate_factor == pytest.approx(0.2)  # one tenth of the run, half of it warm-up
    assert result.gradient_norm > 0


def test_recurrent_matrices_are_trained_by_muon() -> None:
    trainer = make(layers=2)
    names = dict(trainer.network.named_parameters())
    of_muon = {name for name in names if trained_by_muon(name)}
    assert of_muon == {
        f"rnn.weight_{kind}_l{layer}" for kind in ("ih", "hh") for layer in (0, 1)
    }
    assert {id(p) for p in trainer.muon.parameters} == {id(names[name]) for name in of_muon}
    assert {id(p) for p in trainer.adamw.parameters} == {
        id(names[name]) for name in names.keys() - of_muon
    }


def test_the_gradient_is_clipped_by_its_global_norm() -> None:
    trainer = make(clip=1e-3)
    result = trainer.train_step()
    gradients = [parameter.grad for parameter in trainer.network.parameters()]
    assert None not in gradients
    norm = math.sqrt(sum(float(each.square().sum()) for each in gradients if each is not None))
    assert result.gradient_norm > 1e-3
    assert norm == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("cell", CELLS)
def test_state_is_carried_from_chunk_to_chunk(cell: str) -> None:
    """With next to no learning, the state after three chunks is that of reading them in one go."""
    trainer = make(cell=cell, layers=2, rate=1e-9, muon_rate=1e-9)
    weights = trainer.weights()
    run(trainer, 3)
    assert trainer.state is not None
    stream = CYCLE[: 3 * 6]  # the first row that is read on and on
    model = NumpyRNN(trainer.network.architecture, weights)
    inputs = np.append(EOS, stream[:-1])[None]
    _, expected = model.forward(inputs, model.initial_state(1))
    for number, part in enumerate(trainer.state):
        for layer in range(2):
            np.testing.assert_allclose(
                part[layer, 1].numpy(), expected[layer][number][0], rtol=0, atol=1e-5
            )


def test_a_fresh_row_begins_with_a_zero_state() -> None:
    trainer = make(rate=1e-9, muon_rate=1e-9)
    weights = trainer.weights()
    run(trainer, 3)
    assert trainer.state is not None
    last = StreamBatches(CYCLE, None, 4, 6, SETTINGS.seed)[2]
    model = NumpyRNN(trainer.network.architecture, weights)
    _, expected = model.forward(last.inputs[:1], model.initial_state(1))
    np.testing.assert_allclose(
        trainer.state[0][0, 0].numpy(), expected[0][0][0], rtol=0, atol=1e-5
    )


def test_padding_is_not_learned_from() -> None:
    batches = LineBatches(np.array([2, EOS, 3, 3, 3, 3, EOS], np.uint8), 4, 8, 1)
    trainer = make(batches)
    model = NumpyRNN(trainer.network.architecture, trainer.weights())
    documents = documents_of([np.array([2, EOS, 3, 3, 3, 3, EOS])], with_eos=True)
    expected = evaluate_documents(model, documents)
    result = trainer.train_step()
    assert batches.per_epoch == 1
    assert result.characters == 7
    assert result.loss == pytest.approx(expected.nats_per_character, abs=1e-5)


def test_divergence_leaves_the_weights_as_they_were() -> None:
    trainer = make()
    run(trainer, 2)
    before = trainer.weights()
    with torch.no_grad():
        trainer.network.output.bias[0] = math.inf
    with pytest.raises(TrainingError, match=r"diverged at step 2 .*lower muon_rate and rate"):
        trainer.train_step()
    assert trainer.step == 2
    after = trainer.weights()
    del before["output.bias"], after["output.bias"]
    for name, weight in before.items():
        assert np.array_equal(weight, after[name])


def test_validation_is_evaluation() -> None:
    trainer = make(dropout=0.5)
    run(trainer, 3)
    documents = documents_of([CYCLE], with_eos=False)
    calls: list[None] = []
    found = trainer.validate(documents, lambda: calls.append(None))
    model = NumpyRNN(trainer.network.architecture, trainer.weights())
    expected = evaluate_documents(model, documents).nats_per_character
    assert found == pytest.approx(expected, abs=1e-5)
    assert calls


def test_validation_does_not_change_the_run() -> None:
    watched, other = make(dropout=0.3), make(dropout=0.3)
    documents = documents_of([CYCLE], with_eos=False)
    losses = []
    for _ in range(5):
        losses += run(watched, 1)
        watched.validate(documents, lambda: None)
    assert losses == run(other, 5)


def test_weights_are_a_copy() -> None:
    trainer = make()
    before = trainer.weights()
    kept = {name: weight.copy() for name, weight in before.items()}
    run(trainer, 1)
    assert all(np.array_equal(before[name], kept[name]) for name in kept)
    assert any(not np.array_equal(before[name], trainer.weights()[name]) for name in kept)
