"""Runs that start from another model, and finished runs that go on: through the command line."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import charrnn
from charrnn.cli import main as cli
from charrnn.cli.card import card
from charrnn.models.checkpoint import load_checkpoint
from charrnn.training import clock, closing
from charrnn.training.state import load_run
from tests.conftest import Command
from tests.faults.support import TINY, one_line_error
from tests.support import later_wins, prose
from tests.training.test_resume import assert_same, signal_at, signal_in_the_run

OWN = ("--batch", "16", "--chunk", "16", "--seed", "3", "--validation", "0.1", "--device", "cpu")
"""Options that a model to start from does not decide."""


def train(*arguments: str) -> int:
    """Train in this process; the exit status."""
    return cli.run(later_wins(["train", *arguments, "-q"]))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on prose, and beside it the text."""
    home = tmp_path_factory.mktemp("old")
    (home / "old.txt").write_text(prose(80))
    options = (*TINY, "--batch", "16", "--chunk", "16", "--steps", "40")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert train("old.txt", "-o", str(home / "run"), *options) == 0
    return home / "run"


@pytest.fixture(autouse=True)
def texts(old: Path) -> None:
    shutil.copy(old.parent / "old.txt", "old.txt")
    Path("new.txt").write_text(prose(60, seed=2).replace("cat", "wölf"))


def events(run: str) -> list[dict[str, Any]]:
    lines = Path(run, "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_starts_from_another_model(old: Path, charrnn: Command) -> None:
    options = ("new.txt", "--from", str(old), "--steps", "60", *OWN)
    result = charrnn("train", *options, "--json")
    assert result.status == 0, result.err
    start, origin = result.records[:2]
    assert start["settings"]["hidden"] == 8  # the old model's
    assert start["flags"].endswith(f" --from {old}")
    assert origin["event"] == "from"
    assert origin["new_characters"] == "ö"
    assert origin["earlier_share"] > 0
    done = result.records[-1]
    assert done["before_nats_per_character"] == origin["nats_per_character"]
    assert done["nats_per_character"] < origin["nats_per_character"]
    known = charrnn("info", "new", "--json").records[0]
    assert "ö" in known["characters_known"]
    assert known["training"]["before_nats_per_character"] == origin["nats_per_character"]
    screen = card(Path("checkpoints/new"), load_checkpoint(Path("checkpoints/new")), 80)
    before = f"the model that it started from {origin['nats_per_character']:.4f}"
    assert before in " ".join(" ".join(screen).split())
    shown = charrnn("train", *options, "-o", "again").err
    assert f"starting from {old}; " in shown
    assert "1 new character: ö; n-grams of this text and" in shown
    assert f"{origin['nats_per_character']:.4f} before; model in again" in shown


def test_the_first_network_is_the_old_one(
    old: Path, charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained with rates of almost 0, the new model says what the old one says."""
    monkeypatch.setattr(closing, "OUTPUT", "no layer")  # or it would be calibrated once more
    rates = ("--rate", "1e-9", "--muon-rate", "1e-9")
    assert train("old.txt", "--from", str(old), "--steps", "2", "-o", "same", *rates, *OWN) == 0
    text = ("a dog saw the moon.", "--no-ngram", "--json")
    values = [charrnn("score", "-c", run, *text).records[0] for run in (old, "same")]
    assert values[1]["log_probability"] == pytest.approx(values[0]["log_probability"], abs=1e-3)


def test_without_the_earlier_text_the_new_one_is_counted_alone(old: Path) -> None:
    Path("old.txt").write_text("changed since")
    assert train("new.txt", "--from", str(old), "--steps", "2", *OWN) == 0
    assert events("checkpoints/new")[1]["earlier_share"] is None


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_run_from_another_model_resumes_to_the_last_bit(
    at: int, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("new.txt", "--from", str(old), "--steps", "8", "--validate-every", "4", *OWN)
    assert train(*options, "-o", "whole") == 0
    with monkeypatch.context() as patch:
        signal_at(patch, "step", at)
        assert train(*options, "-o", "run") == 130
    assert Path("run/model.safetensors").exists()
    assert train(*options, "-o", "run") == 0
    assert_same("run", Path("whole"))


def test_an_unfinished_run_needs_the_same_model(
    old: Path, charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(old, "model")
    options = ("train", "new.txt", "--from", "model", "--steps", "8", *OWN, "-o", "run")
    with monkeypatch.context() as patch:
        signal_at(patch, "step", 2)
        assert train(*options[1:]) == 130
    message = one_line_error(charrnn(*options[:2], *options[4:]))
    assert "was started with --from model; give it too to go on, or" in message
    assert train("old.txt", "-o", "model", *TINY, "--steps", "2", "--fresh") == 0
    message = one_line_error(charrnn(*options))
    assert "started from another model than model is now; restore it to go on, or" in message


def test_what_is_not_possible_is_said(old: Path, charrnn: Command) -> None:
    start = ("train", "new.txt", "--from", str(old), "--steps", "2")
    assert "--hidden 9 contradicts --from" in one_line_error(charrnn(*start, "--hidden", "9"), 2)
    assert "--cell none contradicts" in one_line_error(charrnn(*start, "--cell", "none"), 2)
    assert "leave it out" in one_line_error(charrnn(*start, "--lines"), 2)
    Path("new.tsv").write_text("a\tone\nb\ttwo\n" * 20)
    labelled = ("train", "new.tsv", "--labelled", "--steps", "2")
    message = "--from and labels do not go together; train the model from the beginning"
    assert one_line_error(charrnn(*labelled, "--from", str(old)), 2) == message
    assert train(*labelled[1:], *TINY) == 0
    assert one_line_error(charrnn(*start[:2], "--from", "new", "--steps", "2"), 2) == message
    assert "there is no checkpoint nowhere" in one_line_error(
        charrnn("train", "new.txt", "--from", "nowhere", "--steps", "2")
    )
    assert train("new.txt", "--cell", "none", "-o", "counts") == 0
    assert "only an n-gram model" in one_line_error(
        charrnn("train", "new.txt", "--from", "counts", "--steps", "2"), 2
    )


# --- longer


def longer(
    run: str, monkeypatch: pytest.MonkeyPatch, what: str | None = None, at: int = 0
) -> int:
    """Go on for about a second, on a clock that stands still once the run has been planned."""
    now = time.monotonic()
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now))
    if what is not None:
        signal_in_the_run(monkeypatch, what, at)
    return train("old.txt", "-o", run, "--more-minutes", "0.025")


@pytest.fixture
def finished(old: Path) -> str:
    shutil.copytree(old, "run")
    return "run"


def test_a_finished_run_goes_on_and_again(
    finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [40]
    for _ in range(2):
        with monkeypatch.context() as patch:
            assert longer(finished, patch) == 0
        saved = load_run(Path(finished, "training.safetensors"))
        assert saved.record.finished
        assert saved.record.base_step == ends[-1]
        ends.append(saved.step)
        history = [each["step"] for each in saved.record.history]
        assert history == sorted(history)
        assert history[-1] == ends[-1]
    assert ends == sorted(set(ends))
    steps = [each for each in events(finished) if each["event"] == "step"]
    warm = [each["rate"] for each in steps if each["step"] > ends[1]]
    before = [each["rate"] for each in steps if each["step"] <= ends[1]]
    assert max(warm) > 10 * before[-1]  # warmed up again


@pytest.mark.parametrize(("what", "at"), [("step", 0), ("step", 5), ("validation", 1)])
def test_going_on_is_the_same_however_often_it_is_interrupted(
    what: str, at: int, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        assert longer(finished, patch, what, at) == 130
    shutil.copytree(finished, "again")
    with monkeypatch.context() as patch:
        assert longer(finished, patch) == 0
    with monkeypatch.context() as patch:
        assert longer("again", patch, "step", 2) == 130
    with monkeypatch.context() as patch:
        assert longer("again", patch) == 0
    assert_same("again", Path(finished))


def test_going_on_needs_the_same_command(
    finished: str, charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "old.txt", "-o", "run")
    with monkeypatch.context() as patch:
        assert longer(finished, patch, "step", 3) == 130
    options = (*TINY, "--batch", "16", "--chunk", "16", "--steps", "40")
    message = one_line_error(charrnn(*command, *options))
    assert "was started with --more-minutes 0.025; give it too to go on" in message
    message = one_line_error(charrnn(*command, "--more-minutes", "3"))
    assert "was started with --more-minutes 0.025, not 3; repeat that to go on" in message
    with monkeypatch.context() as patch:
        assert longer(finished, patch) == 0


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--minutes", "1"), 2, "--more-minutes goes on with a finished run; leave out --minutes"),
        (("--fresh",), 2, "leave out --fresh"),
        (("--dry-run",), 2, "leave out --dry-run"),
        (("--hidden", "16"), 1, "the run in run was started with --hidden 8, not 16; repeat that"),
        (("--lines",), 1, "the run in run was started without --lines; leave it out"),
        (("--from", "x"), 1, "the run in run was started without --from; leave it out"),
    ],
)
def test_going_on_takes_the_options_of_the_run(
    options: tuple[str, ...], status: int, message: str, finished: str, charrnn: Command
) -> None:
    command = ("train", "old.txt", "-o", "run", "--more-minutes", "1")
    assert message in one_line_error(charrnn(*command, *options), status)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_more_minutes_are_a_time(minutes: str, charrnn: Command) -> None:
    message = one_line_error(charrnn("train", "old.txt", f"--more-minutes={minutes}"), 2)
    assert "--more-minutes must be a positive number" in message


def test_only_a_finished_run_goes_on(
    charrnn: Command, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = one_line_error(charrnn("train", "old.txt", "--more-minutes", "1"))
    assert message == "checkpoints/old holds no run to go on with; leave out --more-minutes"
    message = one_line_error(charrnn("train", "new.txt", "-o", finished, "--more-minutes", "1"))
    assert message.startswith("run holds a finished run of another corpus")
    with monkeypatch.context() as patch:
        signal_at(patch, "step", 1)
        assert train("old.txt", *TINY, "--steps", "4") == 130
    message = one_line_error(charrnn("train", "old.txt", "--more-minutes", "1"))
    assert "was started without --more-minutes; leave it out to go on" in message


def test_both_from_python(old: Path) -> None:
    model = charrnn.train("new.txt", steps=2, from_=old, validation=0.1, device="cpu")
    assert "before_nats_per_character" in model.checkpoint.training
    with pytest.raises(charrnn.SettingsError, match="hidden 9 contradicts from_"):
        charrnn.train("new.txt", "x", steps=2, from_=old, hidden=9)
    model = charrnn.train("new.txt", more_minutes=0.02, device="cpu")
    assert model.checkpoint.training["more_minutes"] == 0.02
    with pytest.raises(charrnn.SettingsError, match="leave out steps"):
        charrnn.train("new.txt", steps=3, more_minutes=1)


def test_a_list_of_short_lines_is_noticed(charrnn: Command) -> None:
    Path("list.txt").write_text("".join(f"Name{at}\n" for at in range(300)))
    options = (*TINY, "--steps", "1", "-o", "run", "--fresh")
    assert "is a list of short lines; if each" in charrnn("train", "list.txt", *options).err
    assert "short lines" not in charrnn("train", "list.txt", "--lines", *options).err
    assert "short lines" not in charrnn("train", "old.txt", *options).err
