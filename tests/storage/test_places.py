from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.storage.places import cache_directory, data_directory


@pytest.mark.parametrize(
    ("find", "own", "base", "beside_home"),
    [
        (cache_directory, "CHARRNN_CACHE", "XDG_CACHE_HOME", ".cache"),
        (data_directory, "CHARRNN_DATA", "XDG_DATA_HOME", ".local/share"),
    ],
)
def test_the_nearest_variable_counts(
    find: object, own: str, base: str, beside_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(find)
    for variable in (own, base):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert find() == Path("/home/someone", beside_home, "charrnn")
    monkeypatch.setenv(base, "/base")
    assert find() == Path("/base/charrnn")
    monkeypatch.setenv(own, "/own")
    assert find() == Path("/own")
