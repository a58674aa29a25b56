from __future__ import annotations

import os
from pathlib import Path

import pytest

from charrnn.storage.summaries import summarise
from tests.support import REPOSITORY, Trained

V1 = REPOSITORY / "tests/data/v1"


@pytest.mark.parametrize(
    ("name", "state"), [("finished", "finished"), ("unfinished", "unfinished")]
)
def test_runs_of_the_first_release_have_summaries(name: str, state: str) -> None:
    found = summarise(V1 / name)
    assert found is not None
    assert found.state == state
    assert (found.saved, found.seconds, found.problem) == (None, None, None)
    assert found.corpus


def test_what_is_no_run_has_none(tmp_path: Path) -> None:
    assert summarise(tmp_path) is None
    assert summarise(tmp_path / "missing") is None


@pytest.mark.fault(5)
def test_truncated_files_are_damaged(prose_model: Trained) -> None:
    data = (prose_model.run / "model.safetensors").read_bytes()
    model = Path("run/model.safetensors")
    model.parent.mkdir()
    for size in [*range(0, len(data), len(data) // 50), len(data) - 1]:
        model.write_bytes(data[:size])
        found = summarise(model.parent)
        assert found is not None
        assert found.state == "damaged"
        assert "not a usable checkpoint" in str(found.problem)


@pytest.mark.fault(14)
@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_damaged(kind: str) -> None:
    Path("run").mkdir()
    model = Path("run/model.safetensors")
    if kind == "directory":
        model.mkdir()
    else:
        os.mkfifo(model)
    found = summarise(Path("run"))
    assert found is not None
    assert found.state == "damaged"
