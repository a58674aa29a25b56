"""Several networks trained side by side: each is the network that it would be alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.errors import SettingsError, TrainingError
from charrnn.models.ensemble import NumpyEnsemble
from charrnn.models.members import joined
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training import ensemble_trainer
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.ensemble_trainer import EnsembleTrainer, seed_of
from charrnn.training.processes import Alone
from charrnn.training.settings import Settings
from charrnn.training.trainer import StepResult, Trainer
from tests.conftest import Command
from tests.faults.support import TINY, one_line_error
from tests.support import Result, prose

SETTINGS = Settings(
    layers=1, hidden=8, embedding=4, dropout=0.3, batch=4, chunk=8, steps=40, networks=3
)


@pytest.fixture
def data() -> TrainingData:
    Path("corpus.txt").write_text(prose(40))
    return prepare_data(load_corpus(["corpus.txt"], Reading()), 0.1)


def several(data: TrainingData, settings: Settings = SETTINGS) -> EnsembleTrainer:
    trainer = data.trainer(settings, "cpu")
    assert isinstance(trainer, EnsembleTrainer)
    return trainer


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def test_each_network_is_the_one_that_it_would_be_alone(data: TrainingData, threads: None) -> None:
    trainer = several(data)
    done: list[StepResult] = []
    while trainer.step < 9:
        done += trainer.advance(9 - trainer.step)
    assert len(done) == 9
    expected = []
    for number, member in enumerate(trainer.members):
        alone = data.single_trainer(replace(SETTINGS, seed=seed_of(1, number)), "cpu")
        losses = [alone.train_step() for _ in range(9)]
        expected.append(losses)
        assert member.step == 9
        for name, weight in alone.weights().items():
            np.testing.assert_array_equal(member.weights()[name], weight)
    for results, each in zip(zip(*expected, strict=True), done, strict=True):
        assert each.loss == pytest.approx(np.mean([result.loss for result in results]))
        assert each.characters == sum(result.characters for result in results)
    first, second, _ = (member.weights()["output.weight"] for member in trainer.members)
    assert not np.array_equal(first, second)


def test_the_loss_is_that_of_all_networks_together(data: TrainingData) -> None:
    trainer = several(data)
    trainer.advance(1)
    architecture = trainer.network.architecture
    weights = [member.weights() for member in trainer.members]
    assert trainer.weights().keys() == joined(weights).keys()
    model = NumpyEnsemble(architecture, weights)
    held_out = data.validation
    ids = held_out.ids[held_out.starts[0] :][: held_out.lengths[0]].astype(np.int64)
    inputs = np.concatenate([[1], ids[:-1]])
    values, _ = model.score(inputs[None], ids[None], model.initial_state(1))
    assert len(held_out.lengths) == 1
    assert trainer.validate(held_out, lambda: None) == pytest.approx(-values.mean(), abs=1e-5)


def test_the_first_network_has_the_seed_of_the_run_and_the_others_seeds_of_their_own() -> None:
    assert seed_of(7, 0) == 7
    assert len({seed_of(seed, number) for seed in range(50) for number in range(4)}) == 200


def test_networks_that_are_ahead_do_not_wait(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two threads and three networks, one of them slow, the others go on meanwhile."""
    monkeypatch.setattr(ensemble_trainer, "BURST_SECONDS", 10)
    trainer = several(data)
    trainer._threads, trainer._seconds = 2, 1.0
    slow, order = trainer.members[0], []

    def step(member: Trainer) -> StepResult:
        time.sleep(0.1 if member is slow else 0.0)
        order.append(trainer.members.index(member))
        member.step += 1
        return StepResult(1.0, 1.0, 1.0, 1)

    monkeypatch.setattr(Trainer, "train_step", step)
    assert len(trainer.advance(5)) == 5
    assert [order.count(number) for number in range(3)] == [5, 5, 5]
    assert order.index(0) > 3  # the others had gone on
    assert order[-3:] == [0, 0, 0]


def test_if_one_network_diverges_no_other_begins_a_step(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble_trainer, "BURST_SECONDS", 1000)
    trainer = several(data)
    trainer._seconds = 1.0
    reached = threading.Event()

    def step(member: Trainer) -> StepResult:
        if member is trainer.members[1]:
            reached.set()
            raise TrainingError("training diverged")
        reached.wait(5)
        return StepResult(1.0, 1.0, 1.0, 1)

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(TrainingError, match="diverged"):
        trainer.advance(900)


class Two(Alone):
    """Two processes, of which this is one."""

    @property
    def threads(self) -> tuple[int, ...]:
        return (1, 1)


def test_several_processes_train_one_network(data: TrainingData) -> None:
    with pytest.raises(SettingsError, match="several processes train one network together"):
        replace(data, group=Two()).trainer(SETTINGS, "cpu")


# --- on the command line


def train(charrnn: Command, run: str, *options: str) -> Result:
    if not Path("corpus.txt").exists():
        Path("corpus.txt").write_text(prose(40))
    size = ("--steps", "6", "--validate-every", "3")
    return charrnn("train", "corpus.txt", "-o", run, *TINY, *size, "--json", *options)


def test_a_model_of_several_networks_is_used_as_any_other(charrnn: Command) -> None:
    events = train(charrnn, "run", "--networks", "3").records
    start, done = events[0], events[-1]
    assert len(done["each_nats_per_character"]) == 3
    together = done.get("network_nats_per_character", done["nats_per_character"])
    assert together < np.mean(done["each_nats_per_character"])
    (info,) = charrnn("info", "run", "--json").records
    assert (info["networks"], info["parameters"]) == (3, start["parameters"])
    assert info["training"]["each_nats_per_character"] == done["each_nats_per_character"]
    held_out = Path("corpus.txt").read_text()[-start["validation_characters"] :]
    Path("end.txt").write_text(held_out)
    (figures,) = charrnn("evaluate", "end.txt", "-c", "run", "--no-ngram", "--json").records
    assert figures["nats_per_character"] == pytest.approx(together, abs=0.1)
    for command in (
        ("sample", "-c", "run", "--seed", "1", "--length", "20"),
        ("score", "-c", "run", "the cat"),
        ("export", "half.safetensors", "-c", "run", "--half"),
        ("export", "page.html", "-c", "run"),
        ("export", "network.onnx", "-c", "run"),
        ("evaluate", "end.txt", "-c", "run", "--adaptive"),
        ("inspect", "end.txt", "-c", "run", "--positions", "20"),
    ):
        assert charrnn(*command).status == 0, command


def test_a_run_from_a_model_of_several_networks_has_as_many(charrnn: Command) -> None:
    assert train(charrnn, "old", "--networks", "2").status == 0
    new = charrnn(
        "train", "corpus.txt", "-o", "new", "--from", "old", "--steps", "2", "--json", "--seed", "3"
    )
    assert new.records[0]["settings"]["networks"] == 2
    assert charrnn("info", "new", "--json").records[0]["networks"] == 2
    other = ("--from", "old", "--networks", "3", "--steps", "2")
    message = one_line_error(charrnn("train", "corpus.txt", "-o", "x", *other), 2)
    assert "--networks 3 contradicts --from: old has 2; leave it out" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--networks", "0"), "--networks must be 1 to 16, not 0"),
        (("--networks", "17"), "--networks must be 1 to 16, not 17"),
        (("--networks", "2", "--bidirectional"), "give --bidirectional or --networks, not both"),
    ],
)
def test_what_cannot_be_is_refused(
    options: tuple[str, ...], message: str, charrnn: Command
) -> None:
    assert message in one_line_error(train(charrnn, "run", *options), 2)
    assert not Path("run").exists()
