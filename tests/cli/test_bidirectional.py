"""`train --bidirectional`, and what the other commands say of such a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charrnn.api import TrainedModel
from charrnn.storage.runs import MODEL_FILE
from tests.cli.support import train
from tests.conftest import Command
from tests.faults.support import one_line_error
from tests.support import QUICK, names, prose


@pytest.mark.parametrize("lines", [(), ("--lines",)])
def test_a_reader_is_trained_saved_and_measured(charrnn: Command, lines: tuple[str, ...]) -> None:
    text = "".join(name + "\n" for name in names(60)) if lines else prose(40)
    Path("corpus.txt").write_text(text)
    sizes = (*QUICK, "--steps", "4", "--bidirectional", *lines)
    events = charrnn("train", "corpus.txt", "-o", "run", *sizes, "--json").records
    start, done = events[0], events[-1]
    assert start["settings"]["bidirectional"] is True
    assert " --bidirectional " in f"{start['flags']} "
    steps = [each for each in events if each["event"] in {"step", "validation"}]
    assert all("pseudo_nats_per_character" in each for each in steps)
    assert not any("nats_per_character" in each for each in steps)
    assert done["pseudo_nats_per_character"] > 0
    assert done["nats_per_character"] > 0
    evaluated = charrnn("evaluate", "corpus.txt", "-c", "run", "--json").records[0]
    assert evaluated["pseudo_nats_per_character"] > 0
    told = charrnn("info", "run", "--json").records[0]
    assert told["network"]["bidirectional"] is True
    assert told["training"]["pseudo_nats_per_character"] == done["pseudo_nats_per_character"]
    assert charrnn("sample", "-c", "run", "--length", "5").status == 0


def test_the_figure_is_always_called_pseudo(charrnn: Command) -> None:
    said = train(charrnn, "--bidirectional")
    assert "reader" in said
    assert "pseudo-nats per character" in said
    table = charrnn("evaluate", "corpus.txt", "corpus.txt", "-c", "run").out.splitlines()
    assert "pseudo_nats_per_character" in table[0].split("\t")
    assert len({len(row.split("\t")) for row in table}) == 1
    assert "pseudo_nats_per_character" in charrnn("list").out


def test_a_reader_without_an_ngram_model_has_both_figures(charrnn: Command) -> None:
    train(charrnn, "--bidirectional", "--ngram-order", "0")
    record = TrainedModel.open("run").checkpoint.training
    evaluated = TrainedModel.open("run").reader
    assert evaluated is not None
    assert record["nats_per_character"] > 0
    assert record["pseudo_nats_per_character"] > 0


def test_other_models_say_nothing_of_it(charrnn: Command) -> None:
    train(charrnn, "--ngram-order", "0")
    assert "pseudo" not in Path("run/log.jsonl").read_text()
    assert json.loads(charrnn("info", "run", "--json").out)["network"]["bidirectional"] is False
    assert b"bidirectional" not in (Path("run") / MODEL_FILE).read_bytes()
    assert "pseudo" not in charrnn("evaluate", "corpus.txt", "-c", "run", "--json").out


def test_without_a_network_there_is_no_reader(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(40))
    refused = charrnn("train", "corpus.txt", "--cell", "none", "--bidirectional")
    assert "--cell none" in one_line_error(refused, 2)
