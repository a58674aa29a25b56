"""Decoding strategies with values that make no sense, and stops that never come."""

from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage.runs import MODEL_FILE
from charrnn.text.vocabulary import UNK
from tests.faults.support import Launcher, one_line_error
from tests.support import random_checkpoint


@pytest.fixture(autouse=True)
def model() -> None:
    """A model in the directory `run` in which UNK is probable."""
    checkpoint = random_checkpoint("abc\n")
    checkpoint.weights["output.bias"][UNK] = 3
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, checkpoint)


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--min-p", "1.01"), "--min-p must be 0 to 1"),
        (("--min-p", "nan"), "--min-p must be 0 to 1, not nan"),
        (("--typical-p", "-0.1"), "--typical-p must be 0 to 1"),
        (("--repetition-penalty", "0.9"), "--repetition-penalty must be 1 to 100"),
        (("--repetition-penalty", "inf"), "--repetition-penalty must be 1 to 100, not inf"),
        (("--beam", "-1"), "--beam must be 0 to 1,024"),
        (("--beam", "9999"), "--beam must be 0 to 1,024"),
        (("--beam", "2", "--num", "3"), "--num must be at most --beam"),
        (("--stop", ""), "--stop must not be empty"),
        (("--only", "xyz"), "leave no character that the model knows"),
        (("--only", "a", "--forbid", "a"), "leave no character that the model knows"),
        (("--forbid", "cba\\n"), "leave no character that the model knows"),
    ],
)
def test_impossible_strategies_are_wrong_usage(
    options: tuple[str, ...], named: str, launcher: Launcher
) -> None:
    done = launcher.run("sample", "-c", "run", "--seed", "1", *options)
    assert named in one_line_error(done, status=2)
    assert done.out == ""


@pytest.mark.fault(40)
@pytest.mark.parametrize("stop", ["Ω", "aΩ", "\ufffd", "a" * 5000, "^["])
def test_a_stop_that_never_comes_changes_nothing(stop: str, launcher: Launcher) -> None:
    command = ("sample", "-c", "run", "--seed", "1", "--length", "400")
    done = launcher.run(*command, "--stop", stop)
    assert done.status == 0, done.err
    assert done.out == launcher.run(*command).out


@pytest.mark.fault(29, 40)
def test_a_search_never_writes_what_is_no_character(launcher: Launcher) -> None:
    done = launcher.run("sample", "-c", "run", "--beam", "64", "--num", "64", "--json")
    assert done.status == 0, done.err
    assert len(done.records) == 64
    assert all(set(record["text"]) <= set("abc\n") for record in done.records)
    assert {len(record["text"]) for record in done.records} == {500}
