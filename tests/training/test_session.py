"""A run in its directory. That a resumed run is the same bit for bit is in test_resume.py."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.api import TrainedModel
from charrnn.errors import TrainingError
from charrnn.models.checkpoint import load_checkpoint, save_checkpoint
from charrnn.storage.runs import find_checkpoint
from charrnn.text.reading import Reading
from charrnn.training import closing
from charrnn.training.events import Event, ValidationEvent, as_json
from charrnn.training.request import Budget, TrainingRequest
from charrnn.training.session import train
from charrnn.training.signals import Interrupted
from charrnn.training.state import load_run
from charrnn.training.trainer import Trainer
from tests.support import names, prose

SMALL: dict[str, Any] = {
    "hidden": 8, "embedding": 4, "layers": 1, "batch": 4, "chunk": 8, "precision": "float32",
    "dropout": 0.0, "validation": 0.1, "validate_every": 10, "ngram_order": 3,
}
RUN = Path("run")


@pytest.fixture(autouse=True)
def corpus() -> Path:
    path = Path("corpus.txt")
    path.write_text(prose(60))
    return path


def order(
    steps: int = 30, lines: bool = False, fresh: bool = False, **changes: Any
) -> TrainingRequest:
    return TrainingRequest(
        corpora=("corpus.txt",),
        reading=Reading(lines=lines),
        budget=Budget(steps=steps),
        output=RUN,
        requested={**SMALL, **changes},
        fresh=fresh,
        device="cpu",
        started=time.monotonic(),
    )


def run(
    wanted: TrainingRequest, watch: Callable[[Event], None] = lambda event: None
) -> list[dict[str, Any]]:
    """Train; what happened, as JSON objects."""
    events: list[dict[str, Any]] = []

    def on_event(event: Event) -> None:
        events.append(as_json(event))
        watch(event)

    train(wanted, on_event)
    return events


def interrupt_at(step: int, number: int = signal.SIGINT) -> Callable[[Event], None]:
    """A listener that sends a signal after a validation."""

    def watch(event: Event) -> None:
        if isinstance(event, ValidationEvent) and event.step == step:
            signal.raise_signal(number)

    return watch


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def steps_of(events: list[dict[str, Any]], kind: str) -> list[int]:
    return [event["step"] for event in events if event["event"] == kind]


def test_events_are_emitted_in_order_and_logged() -> None:
    events = run(order())
    assert kinds(events)[0] == "start"
    assert kinds(events)[-1] == "done"
    assert steps_of(events, "validation") == steps_of(events, "sample") == [10, 20, 30]
    assert not events[0]["resumed"]
    log = [json.loads(line) for line in (RUN / "log.jsonl").read_text().splitlines()]
    assert log == json.loads(json.dumps(events))


def test_the_checkpoint_has_the_best_weights_and_the_history() -> None:
    events = run(order())
    found = load_checkpoint(RUN)
    losses = {
        event["step"]: event["nats_per_character"]
        for event in events
        if event["event"] == "validation"
    }
    best = min(losses, key=lambda step: losses[step])
    done = events[-1]
    assert found.training["step"] == done["best_step"] == best
    assert [entry["validation"] for entry in found.training["history"]] == list(losses.values())
    assert found.training["settings"]["hidden"] == 8
    assert found.corpus["names"] == ["corpus.txt"]
    assert found.architecture is not None
    assert found.architecture.hidden == 8
    saved = load_run(RUN / "training.safetensors").best
    assert saved is not None
    for name, weight in found.weights.items():
        scale = done["temperature"] if name.startswith("output.") else 1
        np.testing.assert_allclose(weight * scale, saved[name], rtol=1e-6, atol=0)
    text = prose(60)
    ids = len(text) + 1
    Path("held_out.txt").write_text(text[ids - int(0.1 * ids) :])
    save_checkpoint(Path("best.safetensors"), replace(found, weights=saved))
    score = TrainedModel.open("best.safetensors", use_ngram=False).evaluate(["held_out.txt"])
    assert score.nats_per_character == pytest.approx(losses[best], abs=1e-5)


def test_without_an_ngram_model_the_calibrated_network_is_the_result() -> None:
    events = run(order(ngram_order=0))
    best = min(e["nats_per_character"] for e in events if e["event"] == "validation")
    assert events[-1]["nats_per_character"] == pytest.approx(best, rel=0.02)
    assert events[-1]["temperature"] == load_checkpoint(RUN).training["temperature"] != 1
    assert load_checkpoint(RUN).ngram is None


def test_lines_are_drawn_from_everywhere_so_their_exponents_are_not_shrunk(
    monkeypatch: pytest.MonkeyPatch, corpus: Path
) -> None:
    corpus.write_text("\n".join(names(200)))
    temperatures = []
    for shrinkage in (1.0, 0.5):
        monkeypatch.setattr(closing, "SHRINKAGE", shrinkage)
        temperatures.append(run(order(lines=True, fresh=True))[-1]["temperature"])
    assert temperatures[0] == temperatures[1]


def test_lines_are_trained_on_as_lines(corpus: Path) -> None:
    corpus.write_text("\n".join(names(200)))
    run(order(lines=True))
    found = load_checkpoint(RUN)
    assert found.lines
    assert found.vocabulary.encode("\n").tolist() == [0]


def test_without_held_out_text_the_last_weights_are_kept() -> None:
    events = run(order(validation=0.0))
    assert events[-1]["best_step"] == 30
    assert events[-1]["nats_per_character"] is None
    assert events[0]["validation_characters"] == 0
    assert TrainedModel.open(RUN).score(["the cat"])[0].characters == 7


def test_patience_ends_a_run_that_gets_no_better(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.4, 2.3, 1.0])
    monkeypatch.setattr(Trainer, "validate", lambda *_: next(losses))
    events = run(order(steps=100, patience=3, ngram_order=0))
    assert steps_of(events, "validation") == [10, 20, 30, 40, 50]
    assert events[-1]["step"] == 50
    assert events[-1]["best_step"] == 20
    assert load_run(RUN / "training.safetensors").record.finished


def test_no_patience_is_endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter(range(1, 100))
    monkeypatch.setattr(Trainer, "validate", lambda *_: float(next(losses)))
    events = run(order(steps=120, patience=0, ngram_order=0))
    assert events[-1]["step"] == 120


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_run_and_the_same_order_goes_on(number: int, status: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stopped:
        run(order(), interrupt_at(10, number))
    assert stopped.value.status == status
    assert stopped.value.summary == "saved in run; the same command goes on from there"
    assert signal.getsignal(number) == before
    assert not load_run(RUN / "training.safetensors").record.finished
    assert load_checkpoint(RUN).training["step"] == 10
    events = run(order())
    assert events[0]["resumed"]
    assert 10 <= events[0]["step"] < 20
    assert steps_of(events, "validation") == [20, 30]
    history = load_checkpoint(RUN).training["history"]
    assert [entry["step"] for entry in history] == [10, 20, 30]
    emitted = [json.loads(line)["event"] for line in (RUN / "log.jsonl").read_text().splitlines()]
    assert emitted.count("start") == 2
    assert emitted.count("interrupted") == emitted.count("done") == 1


def test_before_the_first_validation_a_run_is_saved_too(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer.train_step

    def interrupt(trainer: Trainer) -> Any:
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)
        return whole(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupt)
        with pytest.raises(Interrupted):
            run(order())
    assert TrainedModel.open(RUN).score(["the cat"])[0].characters == 7
    events = run(order())
    assert events[0]["step"] == 4
    assert steps_of(events, "validation") == [10, 20, 30]


def test_a_finished_run_is_not_started_again() -> None:
    run(order())
    model = (RUN / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"a finished run \(.* on corpus.txt\); .*fresh=True"):
        run(order())
    assert (RUN / "model.safetensors").read_bytes() == model
    events = run(order(seed=2, fresh=True))
    assert not events[0]["resumed"]
    assert (RUN / "model.safetensors").read_bytes() != model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 9}, r"in run was started with hidden 8, not 9; repeat that to .*fresh=True"),
        ({"seed": 4}, "was started without seed; leave it out to go on"),
        ({"steps": 40}, "was started with steps 30, not 40; repeat that"),
        ({"lines": True}, "was started without lines; leave it out"),
    ],
)
def test_another_order_is_not_mistaken_for_the_same(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Interrupted):
        run(order(), interrupt_at(10))
    with pytest.raises(TrainingError, match=message):
        run(order(**change))
    assert run(order(fresh=True, **change))[-1]["event"] == "done"


def test_a_changed_corpus_is_refused(corpus: Path) -> None:
    with pytest.raises(Interrupted):
        run(order(), interrupt_at(10))
    corpus.write_text(prose(61))
    with pytest.raises(TrainingError, match=r"another corpus, or the corpus has changed .*fresh"):
        run(order())


def test_a_second_trainer_in_the_same_place_is_refused() -> None:
    def watch(event: Event) -> None:
        if isinstance(event, ValidationEvent) and event.step == 10:
            with pytest.raises(Exception, match=r"in use by another training run \(process"):
                run(order())

    assert run(order(), watch)[-1]["event"] == "done"


def test_divergence_keeps_the_last_good_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer.train_step

    def diverge(trainer: Trainer) -> Any:
        if trainer.step == 15:
            trainer.network.output.bias.data[0] = math.inf
        return whole(trainer)

    monkeypatch.setattr(Trainer, "train_step", diverge)
    with pytest.raises(TrainingError, match="diverged at step 15"):
        run(order())
    assert load_checkpoint(RUN).training["step"] == 10
    assert load_run(RUN / "training.safetensors").step == 10


def test_the_run_trained_last_is_the_default_checkpoint() -> None:
    for name in ("one", "two"):
        output = Path("checkpoints") / name
        wanted = order(steps=2)
        train(
            TrainingRequest(
                wanted.corpora, wanted.reading, wanted.budget, output, wanted.requested,
                device="cpu", started=wanted.started,
            ),
            lambda event: None,
        )
        assert find_checkpoint(None) == output


def test_live_samples_can_be_left_out() -> None:
    wanted = order(steps=10)
    quiet = TrainingRequest(
        wanted.corpora, wanted.reading, wanted.budget, wanted.output, wanted.requested,
        device="cpu", samples=False, started=wanted.started,
    )
    assert "sample" not in kinds(run(quiet))
