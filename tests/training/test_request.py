from __future__ import annotations

import time
from pathlib import Path

from charrnn.text.reading import Reading
from charrnn.training.request import Budget, TrainingRequest


def test_a_request_starts_now_unless_it_says_when() -> None:
    before = time.monotonic()
    request = TrainingRequest(("corpus.txt",), Reading(), Budget(steps=1), Path("run"), {})
    assert before <= request.started <= time.monotonic()


def test_what_decides_a_run_is_compared_at_a_resume() -> None:
    request = TrainingRequest(
        ("corpus.txt",), Reading(lines=True), Budget(minutes=2.0), Path("run"), {"hidden": 8}
    )
    assert request.as_requested() == {
        "lines": True, "encoding": "utf-8", "errors": "strict", "minutes": 2.0, "hidden": 8
    }
