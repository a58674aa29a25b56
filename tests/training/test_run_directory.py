"""Whose files are in a run directory, and which run goes on there."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from charrnn.api import TrainedModel
from charrnn.errors import CharRNNError, TrainingError
from charrnn.training.data import MAX_VALIDATION
from charrnn.training.run_directory import REMEDY, holds_validated_model, refuse_foreign_files
from charrnn.training.settings import Settings
from charrnn.training.trainer import Trainer
from tests.conftest import Command
from tests.faults.support import TINY, forged, one_line_error, parts
from tests.support import REPOSITORY, Result, prose

V1 = REPOSITORY / "tests/data/v1"
RUN = Path("run")
MODEL, TRAINING, LOG = (
    RUN / name for name in ("model.safetensors", "training.safetensors", "log.jsonl")
)
STEPS = ("--steps", "40", "--validate-every", "20")


def train(charrnn: Command, *options: str, corpus: str = "corpus.txt") -> Result:
    return charrnn("train", corpus, "-o", "run", *TINY, *options)


@pytest.fixture(autouse=True)
def corpus() -> Path:
    path = Path("corpus.txt")
    path.write_text(prose(30))
    return path


# --- somebody else's files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.jsonl", b'{"level": "info"}\n'),
        ("log.jsonl", b"started at noon\n"),
        ("log.jsonl", b"\xff\xfe\x00"),
        ("log.jsonl", b"[" * 100_000),
        ("model.safetensors", b'\x10\x00\x00\x00\x00\x00\x00\x00{"weight": 1}   '),
        ("training.safetensors", b"notes"),
    ],
)
@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
def test_files_of_others_are_left_alone(
    name: str, content: bytes, fresh: tuple[str, ...], charrnn: Command
) -> None:
    RUN.mkdir()
    (RUN / name).write_bytes(content)
    message = one_line_error(train(charrnn, "--steps", "2", *fresh))
    assert message.startswith(f"run/{name} was not written by charrnn train; move it away")
    assert "--output" in message
    assert [path.name for path in RUN.iterdir()] == [name]
    assert (RUN / name).read_bytes() == content


def test_temporaries_of_others_are_left_alone(charrnn: Command) -> None:
    RUN.mkdir()
    others = [".film.partial", ".model.safetensors.partial", ".other.txt.12.partial"]
    stale = [".model.safetensors.12.partial", ".old.training.safetensors.1.partial"]
    for name in (*others, *stale):
        (RUN / name).write_text("half")
    assert train(charrnn, "--steps", "2").status == 0
    left = {path.name for path in RUN.iterdir() if path.name.endswith(".partial")}
    assert left == set(others)


def test_an_empty_log_and_a_damaged_file_next_to_a_log_are_accepted() -> None:
    RUN.mkdir()
    LOG.touch()
    refuse_foreign_files(RUN)
    MODEL.write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"model\.safetensors was not written by charrnn"):
        refuse_foreign_files(RUN)
    LOG.write_text('{"event": "start"}\n')
    refuse_foreign_files(RUN)


def test_fresh_empties_nothing_before_the_first_step(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(charrnn, "--steps", "2").status == 0
    before = {path.name: path.read_bytes() for path in RUN.iterdir()}

    def fail(*_: Any) -> None:
        raise TrainingError("no first step")

    for target in ("trainer.Trainer.train_step", "beginning.choose_settings"):
        with monkeypatch.context() as patch:
            patch.setattr(f"charrnn.training.{target}", fail)
            assert train(charrnn, "--steps", "3", "--fresh").status == 1
        assert {path.name: path.read_bytes() for path in RUN.iterdir()} == before
    assert train(charrnn, "--steps", "3", "--fresh").status == 0
    events = [json.loads(line)["event"] for line in LOG.read_text().splitlines()]
    assert events.count("start") == 1


# --- which run goes on


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let a signal come in the step after `step` updates."""
    whole = Trainer.train_step

    def train_step(trainer: Trainer) -> Any:
        if trainer.step == step:
            signal.raise_signal(signal.SIGINT)
        return whole(trainer)

    monkeypatch.setattr(Trainer, "train_step", train_step)


def unfinished(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch, *options: str, step: int = 0
) -> Result:
    """Leave a run unfinished after `step` + 1 updates."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        result = train(charrnn, *options)
    assert result.status == 130, result.err
    return result


@pytest.mark.parametrize(
    ("there", "here", "difference"),
    [
        (("--rate", "0.01"), (), "with --rate 0.01; give it too"),
        ((), ("--rate", "0.01"), "without --rate; leave it out"),
        (("--rate", "0.01"), ("--rate", "0.02"), "with --rate 0.01, not 0.02; repeat that"),
        (("--lines",), (), "with --lines; give it too"),
        ((), ("--errors", "replace"), "without --errors; leave it out"),
        (("--steps", "9"), ("--minutes", "1"), "without --minutes; leave it out"),
        (("--steps", "9"), (), "with --steps 9; give it too"),
        ((), ("--steps", "9"), "without --steps; leave it out"),
        (("--minutes", "5"), ("--minutes", "2"), "without --minutes; leave it out"),
    ],
)
def test_the_option_that_differs_is_named(
    there: tuple[str, ...],
    here: tuple[str, ...],
    difference: str,
    charrnn: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned = Settings(hidden=8, layers=1, steps=9, validate_every=9)
    monkeypatch.setattr("charrnn.training.beginning.choose_settings", lambda *_: planned)
    unfinished(charrnn, monkeypatch, *there)
    message = one_line_error(train(charrnn, *here))
    assert f"the unfinished run in run was started {difference} to go on, or start" in message
    assert "--minutes 5" not in message


def test_the_default_minutes_may_be_given_or_not(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = Settings(
        hidden=8, layers=1, steps=9, validate_every=9, ngram_order=0, validation=MAX_VALIDATION
    )
    monkeypatch.setattr("charrnn.training.beginning.choose_settings", lambda *_: planned)
    unfinished(charrnn, monkeypatch)
    assert train(charrnn, "--minutes", "5").status == 0


def test_a_damaged_run_is_refused_with_what_helps(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(charrnn, monkeypatch, *STEPS, step=5)
    whole = TRAINING.read_bytes()
    for damaged, reason in (
        (whole[:500], "it is truncated or not a safetensors file; "),
        (whole[:-1] + bytes([whole[-1] ^ 1]), "the file is damaged; copy it again, or "),
    ):
        TRAINING.write_bytes(damaged)
        message = one_line_error(train(charrnn, *STEPS))
        assert message.startswith("run/training.safetensors is not a usable checkpoint: ")
        assert message.endswith(CharRNNError(reason, *REMEDY).for_command_line())
        assert TRAINING.read_bytes() == damaged
    assert train(charrnn, *STEPS, "--fresh").status == 0


def test_another_corpus_is_named_before_its_options(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "text.txt").write_text(prose(30 if name == "a" else 31))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        assert charrnn("train", "a/text.txt", *TINY, *STEPS).status == 130
    other = ("train", "b/text.txt", *TINY, *STEPS, "--rate", "0.1")
    message = one_line_error(charrnn(*other))
    assert message.startswith("checkpoints/text holds an unfinished run of another corpus")
    assert "--output" in message
    assert charrnn("train", "a/text.txt", *TINY, *STEPS).status == 0
    message = one_line_error(charrnn(*other))
    assert message.startswith("checkpoints/text holds a finished run of another corpus (")
    assert message.endswith("on a/text.txt); elsewhere: -o DIR; discard: --fresh")
    Path("checkpoints/text/training.safetensors").unlink()
    assert "a finished run of another corpus" in one_line_error(charrnn(*other))


# --- a model that has been validated is not replaced by one that has not


def warned(charrnn: Command) -> bool:
    result = charrnn("sample", "-c", "run", "--length", "20", "--seed", "1")
    assert result.status == 0
    return "warning: this model is untrained or nearly so" in result.err


def test_a_finished_model_stays_until_the_new_run_is_validated(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(charrnn, *STEPS).status == 0
    old = MODEL.read_bytes()
    fresh = (*STEPS, "--fresh", "--rate", "0.01")
    stopped = unfinished(charrnn, monkeypatch, *fresh, step=5)
    assert MODEL.read_bytes() == old
    remark = " (run/model.safetensors is still the model of an earlier run)\n"
    assert stopped.err.endswith(
        "saved in run; the same command without --fresh goes on from there" + remark
    )
    assert not warned(charrnn)
    again = unfinished(charrnn, monkeypatch, *fresh[:-3], *fresh[-2:], step=10)
    assert again.err.endswith("saved in run; the same command goes on from there" + remark)
    assert MODEL.read_bytes() == old
    last = unfinished(charrnn, monkeypatch, *fresh[:-3], *fresh[-2:], step=30)
    assert last.err.endswith("saved in run; the same command goes on from there\n")
    assert MODEL.read_bytes() != old
    assert TrainedModel.open(RUN).checkpoint.training["step"] == 20


def test_without_an_older_model_the_network_is_saved_as_it_is(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = unfinished(charrnn, monkeypatch, *STEPS, step=5)
    remark = " (its model has not been validated yet)\n"
    assert stopped.err.endswith("the same command goes on from there" + remark)
    assert not holds_validated_model(RUN)
    assert warned(charrnn)
    first = MODEL.read_bytes()
    assert unfinished(charrnn, monkeypatch, *STEPS, step=9).err.endswith(remark)
    assert MODEL.read_bytes() != first
    assert train(charrnn, *STEPS).status == 0
    assert holds_validated_model(RUN)
    assert not warned(charrnn)


def test_a_run_stopped_before_its_first_step_changes_nothing(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(charrnn, *STEPS).status == 0
    before = {path.name: path.read_bytes() for path in RUN.iterdir()}
    planned = Settings(hidden=8, layers=1, steps=9, validate_every=9)

    def choose(*_: Any) -> Settings:
        return planned

    monkeypatch.setattr("charrnn.training.beginning.choose_settings", choose)
    monkeypatch.setattr(
        "charrnn.training.session._Session._emit_start",
        lambda session: signal.raise_signal(signal.SIGTERM),
    )
    stopped = train(charrnn, "--fresh")
    assert stopped.status == 143
    assert stopped.err == "not started; run is as it was before\n"
    assert {path.name: path.read_bytes() for path in RUN.iterdir()} == before


# --- runs of charrnn 0.1.0


def v1(charrnn: Command, name: str, *corpora: str) -> Result:
    shutil.copytree(V1 / name, RUN)
    paths = [str(V1 / corpus) for corpus in corpora if not corpus.startswith("-")]
    options = [corpus for corpus in corpora if corpus.startswith("-")]
    return charrnn("train", *paths, "-o", "run", *TINY, *STEPS, *options)


def losses(model: Path) -> list[tuple[float, ...]]:
    entries = parts(model.read_bytes())[1]["training"]["history"]
    return [(entry["step"], entry["training"], entry["validation"]) for entry in entries]


def test_an_unfinished_run_of_0_1_goes_on_to_its_end(charrnn: Command) -> None:
    result = v1(charrnn, "unfinished", "prose.txt")
    assert result.status == 0, result.err
    assert "resuming at step 26" in result.err
    expected = losses(V1 / "finished/model.safetensors")
    for found, wanted in zip(losses(MODEL), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unfinished-lines", ("names.txt", "--lines")),
        ("unfinished-two", ("a.txt", "b.txt")),
    ],
)
def test_an_unfinished_run_of_0_1_that_cannot_go_on_is_refused(
    name: str, arguments: tuple[str, ...], charrnn: Command
) -> None:
    message = one_line_error(v1(charrnn, name, *arguments))
    assert "an unfinished run of charrnn 0.1 that cannot go on: " in message
    assert "--fresh" in message
    assert TRAINING.read_bytes() == (V1 / name / "training.safetensors").read_bytes()


def test_a_finished_run_of_0_1_is_finished(charrnn: Command) -> None:
    assert "finished run" in one_line_error(v1(charrnn, "finished", "prose.txt"))
    scores = charrnn("score", "-c", "run", "the cat saw the moon.", "a dog", "--json").records
    assert [each["log_probability"] for each in scores] == pytest.approx(
        [-14.245889, -1.718697], abs=1e-4
    )


def test_a_run_of_a_newer_charrnn_is_refused(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(charrnn, monkeypatch, *STEPS, step=5)
    header, description, buffer = parts(TRAINING.read_bytes())
    assert description["format_version"] == 1
    assert description["data_version"] == 2
    description["data_version"] = 3
    TRAINING.write_bytes(forged(header, description, buffer))
    assert "newer charrnn; upgrade to go on" in one_line_error(train(charrnn, *STEPS))
