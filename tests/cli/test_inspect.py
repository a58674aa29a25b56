from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.faults.support import on_terminal
from tests.support import Trained


def test_tables_and_records_agree(charrnn: Command, prose_model: Trained) -> None:
    arguments = ("inspect", prose_model.corpus, "-c", prose_model.run, "--positions", "20")
    result = charrnn(*arguments)
    assert (result.status, result.err) == (0, "")
    contexts, distances = (
        [line.split("\t") for line in part.splitlines()] for part in result.out.split("\n\n")
    )
    assert contexts[0] == ["context", "nats_per_character"]
    assert distances[0] == ["distance", "gradient_norm"]
    records = charrnn(*arguments, "--json").records
    assert {record["checkpoint"] for record in records} == {str(prose_model.run)}
    assert {record["positions"] for record in records} == {20}
    nats = {each["context"]: each["nats_per_character"] for each in records if "context" in each}
    norms = {each["distance"]: each["gradient_norm"] for each in records if "distance" in each}
    assert list(norms) == list(range(201))
    for context, value in contexts[1:]:
        assert float(value) == pytest.approx(nats[int(context)], abs=1e-4)
    for distance, value in distances[1:]:
        assert float(value) == pytest.approx(norms[int(distance)], rel=1e-2)
    assert nats[16] < nats[1] < nats[0]  # what stands before helps
    assert norms[200] < norms[0]


def test_without_the_gradient_there_is_one_table(charrnn: Command, prose_model: Trained) -> None:
    arguments = ("inspect", prose_model.corpus, "-c", prose_model.run, "--positions", "5")
    out = charrnn(*arguments, "--no-gradient").out
    assert charrnn(*arguments).out.startswith(out)
    assert "gradient" not in out


def test_a_terminal_shows_bars(prose_model: Trained) -> None:
    status, shown = on_terminal(
        *("inspect", prose_model.corpus, "-c", prose_model.run, "--no-gradient"),
        env={"PYTHONIOENCODING": "utf-8"},
    )
    assert status == 0
    heading, *rows = shown.splitlines()
    assert heading.split() == ["context", "nats", "per", "character"]
    bars = [row.count("█") for row in rows]
    assert max(bars) == bars[0] == 40
    assert 0 < bars[-1] < 40


def test_an_n_gram_model_alone_is_refused(charrnn: Command, prose_model: Trained) -> None:
    assert charrnn("train", prose_model.corpus, "-o", "ngram", "--cell", "none").status == 0
    refused = charrnn("inspect", prose_model.corpus, "-c", "ngram")
    assert refused.status == 2
    assert "an n-gram model alone has no memory to inspect" in refused.err


def test_a_corpus_of_one_character(charrnn: Command, prose_model: Trained) -> None:
    Path("one.txt").write_text("t")
    result = charrnn("inspect", "one.txt", "-c", prose_model.run)
    assert (result.status, result.err) == (0, "")
    assert [line.split("\t")[0] for line in result.out.splitlines()] == [
        "context", "0", "", "distance", "0",
    ]
