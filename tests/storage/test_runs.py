from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.errors import CheckpointError
from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage import runs
from charrnn.storage.bundled import bundled_file
from charrnn.storage.runs import (
    MODEL_FILE,
    find_checkpoint,
    known_runs,
    model_names,
    remember_latest,
)
from tests.support import random_checkpoint


def make_run(name: str) -> Path:
    run = Path("checkpoints") / name
    run.mkdir(parents=True)
    save_checkpoint(run / MODEL_FILE, random_checkpoint())
    return run


def test_a_named_checkpoint_goes_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    named, chosen, latest = make_run("named"), make_run("chosen"), make_run("latest")
    remember_latest(latest)
    assert find_checkpoint(None) == latest
    monkeypatch.setenv("CHARRNN_CHECKPOINT", str(chosen))
    assert find_checkpoint(None) == chosen
    assert find_checkpoint(str(named)) == named


def test_the_only_run_is_meant() -> None:
    assert find_checkpoint(str(make_run("only"))) == find_checkpoint(None)


@pytest.mark.fault(48)
def test_without_a_run_the_model_that_comes_with_the_package_is_meant() -> None:
    assert find_checkpoint(None) == find_checkpoint("shakespeare") == bundled_file("shakespeare")
    run = make_run("names")
    assert find_checkpoint(None) == run
    assert find_checkpoint("shakespeare") == bundled_file("shakespeare")
    assert model_names() == ["names", "shakespeare"]
    Path("shakespeare").mkdir()  # of texts
    assert find_checkpoint("shakespeare") == bundled_file("shakespeare")


def test_of_several_runs_one_must_be_named() -> None:
    make_run("one")
    make_run("two")
    with pytest.raises(CheckpointError, match="checkpoints/one, checkpoints/two") as raised:
        find_checkpoint(None)
    assert raised.value.for_command_line().endswith("; name one with --checkpoint")


@pytest.mark.parametrize("variable", [False, True])
def test_an_unknown_checkpoint_is_refused(
    variable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("other")
    monkeypatch.setenv("CHARRNN_CHECKPOINT", "unknown")
    with pytest.raises(CheckpointError, match="there is no checkpoint unknown; name a run"):
        find_checkpoint(None if variable else "unknown")


@pytest.mark.parametrize("content", ["gone\n", "", "../elsewhere\n", "\xff"])
def test_a_latest_run_that_is_gone_is_forgotten(content: str) -> None:
    only = make_run("only")
    (Path("checkpoints") / ".latest").write_bytes(content.encode("latin-1"))
    assert find_checkpoint(None) == only


def test_runs_elsewhere_are_not_remembered() -> None:
    make_run("one")
    elsewhere = Path("elsewhere/run")
    elsewhere.mkdir(parents=True)
    remember_latest(elsewhere)
    assert not (Path("checkpoints") / ".latest").exists()


@pytest.mark.fault(48)
def test_a_name_is_that_of_a_run() -> None:
    run = make_run("shakespeare")
    assert find_checkpoint("shakespeare") == run
    Path("shakespeare").mkdir()  # of texts
    assert find_checkpoint("shakespeare") == run
    Path("shakespeare", MODEL_FILE).touch()
    assert find_checkpoint("shakespeare") == Path("shakespeare")


@pytest.mark.parametrize("name", ["../shakespeare", "checkpoints/x", "."])
def test_a_name_leads_nowhere_else(name: str) -> None:
    make_run("shakespeare")
    Path("shakespeare").mkdir()
    if name == ".":
        assert find_checkpoint(name) == Path()
    else:
        with pytest.raises(CheckpointError, match="there is no checkpoint"):
            find_checkpoint(name)


def test_a_mistyped_name_gets_a_suggestion() -> None:
    make_run("shakespeare")
    with pytest.raises(CheckpointError, match="shakspear; did you mean 'shakespeare'"):
        find_checkpoint("shakspear")


def test_known_runs_are_those_here_and_the_remembered_ones() -> None:
    here, elsewhere = make_run("here"), Path("elsewhere/run")
    elsewhere.mkdir(parents=True)
    for run in (here, elsewhere, elsewhere):
        remember_latest(run)
    assert known_runs() == [here, elsewhere.resolve()]
    elsewhere.rmdir()
    assert known_runs() == [here]


def test_only_so_many_runs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_REMEMBERED", 3)
    for number in range(5):
        Path(f"run{number}").mkdir()
        remember_latest(Path(f"run{number}"))
    assert len(known_runs()) == 3
    assert known_runs()[-1].name == "run4"


def test_runs_need_not_be_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("occupied").touch()
    monkeypatch.setenv("CHARRNN_DATA", "occupied/data")
    Path("run").mkdir()
    remember_latest(Path("run"))
    assert known_runs() == []
