from __future__ import annotations

import pytest

from charrnn.training.clock import date_and_duration


def test_a_fixed_date_leaves_the_duration_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert date_and_duration(5.0) == {"saved": "1970-01-02T00:00:00+00:00"}


@pytest.mark.parametrize("variable", ["", "yesterday", "-1"])
def test_otherwise_it_is_now(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", variable)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert date_and_duration(5.04) == {"saved": "1970-01-01T00:00:00+00:00", "seconds": 5.0}
