from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.text.splitting import draw_lines
from tests.cli.support import FIGURES
from tests.conftest import Command
from tests.support import Trained


def test_evaluating_the_held_out_text_agrees_with_training(
    charrnn: Command, run_charrnn: Command, prose_model: Trained
) -> None:
    ids = len(prose_model.text) + 1  # with EOS
    Path("held_out.txt").write_text(prose_model.text[ids - int(ids * 0.1) :])
    result = run_charrnn("evaluate", "-c", prose_model.run, "held_out.txt", "--json")
    assert (result.status, result.err) == (0, "")
    (record,) = result.records
    (done,) = prose_model.of_kind("done")
    (start,) = prose_model.of_kind("start")
    assert record.keys() == FIGURES | {"seconds", "characters_per_second", "checkpoint"}
    assert record["characters"] == start["validation_characters"]
    # The text that the mixture was fitted on: a little better than the cross-validated figure.
    assert record["nats_per_character"] < done["nats_per_character"]
    assert record["nats_per_character"] == pytest.approx(done["nats_per_character"], rel=0.02)
    (network,) = charrnn(
        "evaluate", "-c", prose_model.run, "held_out.txt", "--json", "--no-ngram"
    ).records
    best = min(event["nats_per_character"] for event in prose_model.of_kind("validation"))
    assert network["nats_per_character"] == pytest.approx(best, abs=1e-4)
    assert best == pytest.approx(done["network_nats_per_character"], abs=1e-4)


def held_out_names(model: Trained) -> list[str]:
    names = model.text.splitlines()
    return [names[number] for number in draw_lines(len(names), 0.1, 1)]


def test_held_out_lines_score_as_they_evaluate(charrnn: Command, names_model: Trained) -> None:
    names = held_out_names(names_model)
    Path("names.txt").write_text("\n".join(names))
    (whole,) = charrnn("evaluate", "-c", names_model.run, "names.txt", "--json").records
    scores = charrnn("score", "-c", names_model.run, "--json", *names).records
    characters = sum(record["characters"] for record in scores)
    total = sum(record["log_probability"] for record in scores)
    assert whole["characters"] == characters == sum(len(name) + 1 for name in names)
    assert whole["nats_per_character"] == pytest.approx(-total / characters, abs=1e-4)
    (done,) = names_model.of_kind("done")
    (start,) = names_model.of_kind("start")
    assert start["validation_characters"] == characters
    # The text that the mixture was fitted on: a little better than the cross-validated figure.
    assert whole["nats_per_character"] < done["nats_per_character"]
    assert whole["nats_per_character"] == pytest.approx(done["nats_per_character"], rel=0.02)


def test_figures_without_json_are_the_same(charrnn: Command, prose_model: Trained) -> None:
    arguments = ("evaluate", "-c", prose_model.run, prose_model.corpus)
    plain = dict(line.split("\t") for line in charrnn(*arguments).out.splitlines())
    (record,) = charrnn(*arguments, "--json").records
    for name in FIGURES:
        assert float(plain[name]) == pytest.approx(record[name], rel=1e-9)


def test_several_corpora_and_stdin_are_evaluated_together(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("the cat")
    Path("texts/b.txt").write_text("a dog")
    (together,) = charrnn("evaluate", *prose_c, "texts", "-", "--json", stdin="some é").records
    scores = charrnn("score", *prose_c, "--json", "the cat", "a dog", "some é").records
    assert together["characters"] == 18
    assert together["unknown_characters"] == 1
    assert together["log_probability"] == pytest.approx(
        sum(record["log_probability"] for record in scores), abs=1e-4
    )
