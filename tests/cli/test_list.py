from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from charrnn.cli.list import KEYS
from charrnn.storage.files import exclusive
from tests.conftest import Command
from tests.faults.support import on_terminal
from tests.support import Trained


def copy_run(model: Trained, name: str) -> Path:
    run = Path(name)
    run.mkdir(parents=True)
    for path in model.run.glob("*.*"):
        shutil.copy(path, run)
    return run


@pytest.fixture
def runs(prose_model: Trained) -> Path:
    """Runs in every state, in checkpoints/."""
    whole = copy_run(prose_model, "checkpoints/whole")
    (copy_run(prose_model, "checkpoints/unfinished") / "model.safetensors").unlink()
    model = copy_run(prose_model, "checkpoints/damaged") / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    (copy_run(prose_model, "checkpoints/pickle") / "training.safetensors").write_bytes(b"\x80\x04")
    Path("checkpoints/empty").mkdir()
    Path("checkpoints/README.md").touch()
    Path("checkpoints/.latest").write_text("whole\n")
    return whole


def test_every_run_is_listed_with_its_state(
    runs: Path, prose_model: Trained, charrnn: Command
) -> None:
    result = charrnn("list", "--json")
    assert (result.status, result.err) == (0, "")
    found = {record["checkpoint"].partition("/")[2]: record for record in result.records}
    assert result.records[-1]["state"] == "bundled"
    assert {name: record["state"] for name, record in [*found.items()][:-1]} == {
        "whole": "finished",
        "unfinished": "unfinished",
        "damaged": "damaged",
        "pickle": "damaged",
    }
    assert [name for name, record in found.items() if record["default"]] == ["whole"]
    (done,) = prose_model.of_kind("done")
    for name in ("nats_per_character", "network_nats_per_character", "ngram_nats_per_character"):
        assert found["whole"][name] == done[name]
    assert found["whole"]["corpus"] == str(prose_model.corpus)
    assert found["whole"]["bytes"] == (runs / "model.safetensors").stat().st_size
    assert found["whole"]["saved"] == "2023-11-14T22:13:20+00:00"
    assert "truncated" in found["damaged"]["problem"]
    assert "pickle" in found["pickle"]["problem"]


def test_off_a_terminal_the_list_is_a_table(runs: Path, charrnn: Command) -> None:
    lines = charrnn("list").out.splitlines()
    assert lines[0].split("\t") == list(KEYS)
    assert [len(line.split("\t")) for line in lines] == [len(KEYS)] * 6
    assert "None" not in "".join(lines)


@pytest.mark.fault(34)
def test_a_run_that_is_trained_now_is_known_by_its_lock(runs: Path, charrnn: Command) -> None:
    with exclusive(runs):
        states = {each["checkpoint"]: each["state"] for each in charrnn("list", "--json").records}
        assert states[str(runs)] == "running"
    (runs / ".lock.pid").write_text("1\n")  # left behind by a killed process
    states = {each["checkpoint"]: each["state"] for each in charrnn("list", "--json").records}
    assert states[str(runs)] == "finished"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_list_fits_a_terminal(
    columns: int, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, shown = on_terminal("list", env={"COLUMNS": str(columns)})
    lines = shown.splitlines()
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:2] == ["run", "state"]
    assert [line.split()[0] for line in lines if line.startswith("*")] == ["*"]
    assert any(line.startswith("* whole ") for line in lines)
    assert ("minutes" in lines[0]) is (columns > 40)
    assert ("saved (UTC)" in lines[0]) is (columns > 40)


def test_without_runs_there_is_a_remedy(charrnn: Command) -> None:
    result = charrnn("list")
    assert result.status == 0
    assert "charrnn train CORPUS" in result.err
    (record,) = charrnn("list", "--json").records
    assert record["state"] == "bundled"


@pytest.mark.fault(33)
def test_names_cannot_write_to_the_terminal(prose_model: Trained) -> None:
    copy_run(prose_model, "checkpoints/a\x1b[31m\nb")
    status, shown = on_terminal("list")
    assert status == 0
    assert "a^[[31m\\nb" in shown
    assert "\x1b" not in shown


def test_runs_elsewhere_are_remembered(prose_model: Trained, charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose_model.text)
    arguments = ("train", "corpus.txt", "-o", "elsewhere/run", "--cell", "none", "--quiet")
    assert charrnn(*arguments).status == 0
    record, _ = charrnn("list", "--json").records
    assert record["checkpoint"] == str(Path("elsewhere/run").resolve())
    assert record["state"] == "finished"
    assert record["default"] is False
    memory = Path(os.environ["CHARRNN_DATA"], "runs")
    assert memory.stat().st_mode & 0o777 == 0o700
    shutil.rmtree("elsewhere")
    assert len(charrnn("list", "--json").records) == 1
