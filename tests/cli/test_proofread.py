from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import train
from tests.conftest import Command
from tests.faults.support import on_terminal, one_line_error
from tests.support import Trained, prose

RIGHT = "the old man saw the moon.\n" * 3
WRONG = RIGHT.replace("old man saw", "olk man saw", 1)


def test_a_row_has_place_and_what_should_stand_there(
    charrnn: Command, prose_model: Trained
) -> None:
    Path("wrong.txt").write_text(WRONG)
    done = charrnn("proofread", "wrong.txt", "-c", prose_model.run)
    heading, row = (line.split("\t") for line in done.out.splitlines())
    assert heading == ["line", "column", "kind", "found", "suggested", "log_odds"]
    assert row[:5] == ["1", "7", "substitution", "k", "d"]
    assert "1 place is probably wrong" in done.err
    (record,) = charrnn("proofread", "wrong.txt", "-c", prose_model.run, "--json").records
    assert record.keys() == {*heading}
    assert (record["line"], record["column"], record["suggested"]) == (1, 7, "d")
    assert record["log_odds"] > 0
    strict = charrnn("proofread", "wrong.txt", "-c", prose_model.run, "--threshold", "1000")
    assert len(strict.out.splitlines()) == 1
    Path("wrong.txt").write_bytes(b"\xff\x00")
    binary = charrnn("proofread", "wrong.txt", "-c", prose_model.run)
    assert "wrong.txt" in one_line_error(binary)
    assert binary.out == ""


def test_a_text_is_mended(charrnn: Command, prose_model: Trained) -> None:
    crlf = WRONG.replace("\n", "\r\n")
    assert charrnn("proofread", "--fix", "-", "-c", prose_model.run, stdin=WRONG).out == RIGHT
    mended = charrnn("proofread", "--fix", "-", "-c", prose_model.run, stdin=crlf)
    assert mended.out.count("\r\n") == 3
    assert charrnn("proofread", "--fix", "-", "-c", prose_model.run).out == ""


def test_a_terminal_shows_the_text_with_marks(prose_model: Trained) -> None:
    Path("wrong.txt").write_text(WRONG)
    _, shown = on_terminal("proofread", "wrong.txt", "-c", prose_model.run)
    assert "the ol[-k-]{+d+} man saw the moon." in shown


def test_the_forward_model_of_another_run_helps(charrnn: Command, prose_model: Trained) -> None:
    train(charrnn, "--bidirectional", text=prose(300))
    both = ("-c", "run", "--with-forward", prose_model.run)
    found = charrnn("proofread", "-", *both, "--json", stdin=WRONG)
    assert found.status == 0
    assert charrnn("fill", "the c_t saw", *both, "--num", "2", "--seed", "1").status == 0
    alone = charrnn("proofread", "-", "-c", "run", "--using", "reader", "--json", stdin=WRONG)
    assert all(record["kind"] == "substitution" for record in alone.records)


@pytest.mark.fault(45)
def test_what_makes_no_sense_is_refused(
    charrnn: Command, prose_model: Trained, names_model: Trained
) -> None:
    run = ("-c", prose_model.run)
    refused = charrnn("proofread", "-", *run, "--fix", "--json")
    assert "--fix and --json contradict each other" in one_line_error(refused, 2)
    refused = charrnn("proofread", "-", *run, "--using", "reader")
    assert "this model has no reader; train one with --bidirectional" in one_line_error(refused, 2)
    refused = charrnn("proofread", "-", *run, "--with-forward", names_model.run)
    assert "that model has other characters or texts" in one_line_error(refused, 2)
    assert "nowhere.txt" in one_line_error(charrnn("proofread", "nowhere.txt", *run))
