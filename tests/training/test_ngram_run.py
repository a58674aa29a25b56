"""N-grams of a long text: counted in a share of the time, once for all sessions of a run.

"Long" is more than 1,000 characters here, and a step of counting 500.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.models.checkpoint import load_checkpoint
from charrnn.models.ngram_tables import NgramTables
from charrnn.storage.files import OutputError
from charrnn.training import ngram_plan, ngram_run
from charrnn.training.events import CountingEvent, Event
from charrnn.training.ngram_plan import NgramPlan
from charrnn.training.run_directory import FITTED_FILE, NGRAM_FILE
from charrnn.training.signals import Interrupted
from tests.conftest import Command
from tests.support import prose
from tests.training.test_session import RUN, interrupt_at, kinds, order, run

COUNTED = RUN / NGRAM_FILE


@pytest.fixture(autouse=True)
def long_text(monkeypatch: pytest.MonkeyPatch) -> int:
    """A text of several steps; its length."""
    for module in ("ngram_run", "ngram_plan"):
        monkeypatch.setattr(f"charrnn.training.{module}.ALWAYS_COUNTED", 1000)
    monkeypatch.setattr(ngram_plan, "GAP", 300)

    def plan(*arguments: Any) -> NgramPlan:
        return replace(ngram_plan.plan_ngram(*arguments), step=500)

    monkeypatch.setattr(ngram_run, "plan_ngram", plan)
    return Path("corpus.txt").write_text(prose(60))


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting ends after its first step."""
    plan = NgramPlan(3, 10_000, 6, 0.0, recent=1000, gap=300, step=500)
    monkeypatch.setattr(ngram_run, "plan_ngram", lambda *_: plan)


def forbid_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(ngram_run, "NgramCounter", refuse)


def stop_counting(number: int) -> Callable[[Event], None]:
    """A listener that sends a signal while n-grams are counted."""

    def watch(event: Event) -> None:
        if isinstance(event, CountingEvent) and event.characters > 1000:
            signal.raise_signal(number)

    return watch


def test_progress_is_shown_but_not_logged(long_text: int) -> None:
    events = run(order())
    counting = [event for event in events if event["event"] == "counting"]
    assert kinds(events)[: len(counting) + 1] == ["counting"] * len(counting) + ["start"]
    assert counting[-1]["characters"] == counting[-1]["total"] < long_text
    assert json.loads((RUN / "log.jsonl").read_text().splitlines()[0])["event"] == "start"
    assert not COUNTED.exists()
    assert not (RUN / FITTED_FILE).exists()
    assert "warning" not in kinds(events)


@pytest.mark.parametrize("cell", ["lstm", "none"])
def test_the_held_out_text_is_new_to_the_model_that_is_fitted(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text's last third repeats one sentence, which the rest lacks."""
    Path("corpus.txt").write_text(prose(30) + "Brown foxes jump over lazy dogs.\n" * 60)
    hopeful: dict[str, Any] = {}
    fair: dict[str, Any] = {}
    for gap, figures in ((0, hopeful), (2500, fair)):
        monkeypatch.setattr(ngram_plan, "GAP", gap)
        figures.update(run(order(cell=cell, fresh=True))[-1])
        figures["model"] = load_checkpoint(RUN).ngram
    assert hopeful["ngram_nats_per_character"] < fair["ngram_nats_per_character"] - 1
    for name, array in hopeful["model"].arrays.items():  # both models count all in the end
        np.testing.assert_array_equal(array, fair["model"].arrays[name])


@pytest.mark.usefixtures("no_time")
@pytest.mark.parametrize("cell", ["lstm", "none"])
def test_if_time_is_short_a_part_is_counted_with_a_warning(cell: str) -> None:
    events = run(order(cell=cell))
    (warning,) = [event["message"] for event in events if event["event"] == "warning"]
    # A step, then what is beside the held-out text.
    assert re.match(r"the n-gram model counts 1,1\d\d of .*, the last ones and", warning)
    assert events[-1]["event"] == "done"


def test_of_a_very_long_text_only_a_part_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = NgramPlan(3, 10_000, 6, None, recent=500, gap=300, step=500, most=500)
    monkeypatch.setattr(ngram_run, "plan_ngram", lambda *_: plan)
    events = run(order(cell="none"))
    (warning,) = [event["message"] for event in events if event["event"] == "warning"]
    assert warning.endswith("characters, the last ones and others, evenly spread")


@pytest.mark.fault(30)
@pytest.mark.usefixtures("no_time")
def test_a_resumed_run_goes_on_with_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    run(order())
    expected = (RUN / "model.safetensors").read_bytes()
    with pytest.raises(Interrupted):
        run(order(fresh=True), interrupt_at(20))
    assert COUNTED.exists()
    forbid_counting(monkeypatch)
    events = run(order())
    assert events[0]["resumed"]
    assert (RUN / "model.safetensors").read_bytes() == expected
    assert not COUNTED.exists()


@pytest.mark.usefixtures("no_time")
@pytest.mark.parametrize("damage", ["deleted", "damaged", "of another order", "half of it"])
def test_what_was_counted_is_counted_again_if_need_be(damage: str) -> None:
    with pytest.raises(Interrupted):
        run(order(), interrupt_at(20))
    if damage == "deleted":
        COUNTED.unlink()
    elif damage == "half of it":
        (RUN / FITTED_FILE).unlink()
    elif damage == "damaged":
        COUNTED.write_bytes(COUNTED.read_bytes()[:-1])
    else:
        other = RUN.with_name("other")
        RUN.rename(other)
        with pytest.raises(Interrupted):
            run(order(chunk=9), interrupt_at(20))
        (RUN / NGRAM_FILE).replace(other / NGRAM_FILE)
        RUN.rename("away")
        other.rename(RUN)
    events = run(order())
    assert kinds(events)[0] == "counting"
    assert events[-1]["event"] == "done"


@pytest.mark.fault(30)
@pytest.mark.parametrize("cell", ["lstm", "none"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_counting_changes_nothing(cell: str, number: int, status: int) -> None:
    run(order())
    before = {path: path.read_bytes() for path in RUN.iterdir() if path.is_file()}
    with pytest.raises(Interrupted) as interrupted:
        run(order(fresh=True, cell=cell), stop_counting(number))
    assert interrupted.value.status == status
    assert "counting" in interrupted.value.summary
    assert {path: path.read_bytes() for path in RUN.iterdir() if path.is_file()} == before


@pytest.mark.fault(3)
def test_no_space_for_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, checkpoint: object) -> None:
        raise OutputError("no space left on device")

    monkeypatch.setattr(ngram_run, "save_checkpoint", fail)
    with pytest.raises(OutputError):
        run(order())
    assert not COUNTED.exists()


@pytest.mark.parametrize("cell", ["lstm", "none"])
def test_a_large_model_is_stored_as_tables(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_run, "MAX_COUNTS", 50)
    run(order(cell=cell))
    assert isinstance(load_checkpoint(RUN).ngram, NgramTables)


def test_the_command_line_tells_how_far_counting_is(charrnn: Command) -> None:
    options = ("--cell", "none", "--ngram-order", "3", "-o", "run")
    result = charrnn("train", "corpus.txt", *options)
    assert result.status == 0
    assert "counting n-grams: 500 of " in result.err
