from __future__ import annotations

import sys
from pathlib import Path

import pytest

from charrnn.storage.files import (
    OutputError,
    remove_stale_temporaries,
    shared,
    temporary_for,
    write_atomically,
)

HERE = Path()


def leave(target: str) -> Path:
    """Leave what a killed writer of `target` leaves."""
    leftover = temporary_for(Path(target))
    leftover.write_bytes(b"half")
    return leftover


def test_a_temporary_file_is_next_to_its_target_and_has_one_writer() -> None:
    names = {temporary_for(Path("a/b.txt")) for _ in range(100)}
    assert len(names) == 100
    assert {name.parent for name in names} == {Path("a")}


def test_a_link_in_the_place_of_a_temporary_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.urandom", bytes)
    temporary_for(Path("target")).symlink_to("elsewhere")
    with pytest.raises(OutputError, match="cannot write target: file exists"):
        write_atomically(Path("target"), b"new")
    assert not Path("elsewhere").exists()


def test_only_what_writers_of_these_files_left_is_deleted() -> None:
    own, foreign = leave("model.safetensors"), leave("report.txt")
    others = [Path(name) for name in (".download.partial", ".model.safetensors.part.partial")]
    for other in others:
        other.touch()
    second_name = Path(f".old{own.name}")
    second_name.touch()
    of_version_1 = Path(".model.safetensors.4711.partial")
    of_version_1.touch()
    remove_stale_temporaries(HERE, ("model.safetensors",))
    assert sorted(HERE.iterdir()) == sorted([foreign, *others])


def test_only_files_without_a_writer_are_deleted() -> None:
    abandoned = leave("a")
    with shared(HERE):
        assert not abandoned.exists()
        written = leave("b")
        with shared(HERE):
            assert written.exists()
    with shared(HERE):
        assert not written.exists()


def test_without_locks_nothing_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned = leave("a")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with shared(HERE):
        assert abandoned.exists()
