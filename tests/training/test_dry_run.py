"""`train --dry-run`: the plan of a run that is not started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.support import QUICK, Result, prose

PARTS = ["reading", "counting", "planning", "training", "validating", "closing", "all"]


@pytest.fixture
def corpus() -> Path:
    path = Path("corpus.txt")
    path.write_text(prose(300))
    return path


def plan(charrnn: Command, *options: str) -> dict[str, Any]:
    result: Result = charrnn("train", "corpus.txt", "--dry-run", "--json", *QUICK, *options)
    assert result.status == 0, result.err
    (record,) = result.records
    return dict(record)


def test_it_is_the_plan_of_the_run(charrnn: Command, corpus: Path) -> None:
    planned = plan(charrnn, "--steps", "30")
    start = charrnn("train", corpus, "-o", "run", "--json", *QUICK, "--steps", "30").records[0]
    assert start["event"] == "start"
    names = (
        "settings", "flags", "characters", "unknown_characters", "vocabulary_size",
        "validation_characters", "parameters", "steps", "epochs", "device",
    )
    assert {name: planned[name] for name in names} == {name: start[name] for name in names}
    assert planned["ngram_order"] == 8
    assert planned["memory"] > 1 << 28


def test_every_part_of_the_run_has_its_time(charrnn: Command, corpus: Path) -> None:
    seconds = plan(charrnn, "--steps", "30")["seconds"]
    assert list(seconds) == PARTS
    assert all(each > 0 for each in seconds.values())
    assert seconds["all"] == pytest.approx(sum(list(seconds.values())[:-1]))


def test_minutes_are_shared_out(charrnn: Command, corpus: Path) -> None:
    corpus.write_text(prose(20_000))  # worth reading all the time
    planned = plan(charrnn, "--minutes", "0.2")
    assert planned["steps"] > 1
    assert planned["seconds"]["all"] <= 12 * 1.1


def test_without_an_ngram_model_nothing_is_counted(charrnn: Command, corpus: Path) -> None:
    planned = plan(charrnn, "--steps", "30", "--ngram-order", "0")
    assert planned["ngram_order"] == planned["seconds"]["counting"] == 0


def test_it_touches_no_run(charrnn: Command, corpus: Path) -> None:
    plan(charrnn, "--steps", "30")
    assert not Path("checkpoints").exists()
    assert charrnn("train", corpus, "-o", "run", *QUICK, "--steps", "30").status == 0
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    plan(charrnn, "--steps", "50", "-o", "run")
    plan(charrnn, "--steps", "50", "-o", "run", "--fresh")
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


def test_on_a_terminal_it_is_lines_of_names_and_values(charrnn: Command, corpus: Path) -> None:
    result = charrnn("train", corpus, "--dry-run", *QUICK, "--steps", "30")
    assert result.status == 0, result.err
    shown = dict(line.split("\t") for line in result.out.splitlines())
    assert shown["steps"] == "30"
    assert shown["settings.hidden"] == "32"
    assert set(PARTS) == {name[8:] for name in shown if name.startswith("seconds.")}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cell", "none"], "--dry-run plans a network"),
        (["--tensorboard"], "--dry-run writes no events"),
    ],
)
def test_what_it_cannot_plan_is_refused(
    charrnn: Command, corpus: Path, options: list[str], says: str
) -> None:
    result = charrnn("train", corpus, "--dry-run", *options)
    assert result.status == 2
    assert says in result.err


def test_a_mistaken_corpus_is_refused(charrnn: Command) -> None:
    result = charrnn("train", "missing.txt", "--dry-run")
    assert result.status == 1
    assert "cannot read missing.txt" in result.err
