from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.text.splitting import draw_lines
from tests.cli.support import FIGURES
from tests.conftest import Command
from tests.support import QUICK, Trained, prose


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
    alone = done["network_nats_per_character"]
    assert network["nats_per_character"] == pytest.approx(alone, rel=0.05)


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


def table(out: str) -> list[dict[str, str]]:
    header, *rows = (line.split("\t") for line in out.splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_figures_without_json_are_the_same(charrnn: Command, prose_model: Trained) -> None:
    arguments = ("evaluate", "-c", prose_model.run, prose_model.corpus)
    (row,) = table(charrnn(*arguments).out)
    (record,) = charrnn(*arguments, "--json").records
    assert row["corpus"] == str(prose_model.corpus)
    for name in FIGURES:
        assert float(row[name]) == pytest.approx(record[name], rel=1e-9)


def test_each_corpus_has_a_row_and_all_have_a_total(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    for name in ("a", "b", "c"):
        Path(f"{name}.txt").write_text(prose(10, seed=ord(name)))
    names = ("a.txt", "b.txt", "c.txt")
    alone = [charrnn("evaluate", *prose_c, name, "--json").records[0] for name in names]
    *rows, total = table(charrnn("evaluate", *prose_c, *names).out)
    assert [row["corpus"] for row in rows] == [*names]
    assert total["corpus"] == "total"
    for row, record in zip(rows, alone, strict=True):
        assert float(row["log_probability"]) == pytest.approx(record["log_probability"], rel=1e-6)
    (together,) = charrnn("evaluate", *prose_c, *names, "--json").records
    assert [each["corpus"] for each in together["corpora"]] == [*names]
    for name in ("log_probability", "characters"):
        assert float(total[name]) == pytest.approx(together[name])
        assert together[name] == pytest.approx(sum(record[name] for record in alone), rel=1e-6)


def test_several_models_are_compared(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    Path("text.txt").write_text("mane mora and\n")
    common = ("evaluate", *prose_c, *names_c, "text.txt")
    done = charrnn(*common)
    rows = table(done.out)
    assert [row["checkpoint"] for row in rows] == ["prose/run", "names/run"]
    assert "do not compare" in done.err  # names have no space
    assert [each["checkpoint"] for each in charrnn(*common, "--json").records] == [
        str(prose_c[1]), str(names_c[1]),
    ]
    done = charrnn("evaluate", *prose_c, *prose_c, "text.txt")
    nats = float(table(done.out)[0]["nats_per_character"])
    assert f"best: run, {nats:.4f} nats per character" in done.err


def test_unknown_characters_are_named(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    Path("text.txt").write_text("the Ω and é é\n")
    done = charrnn("evaluate", *prose_c, "text.txt")
    assert done.err == "text.txt: 3 unknown characters, read as UNK: é Ω\n"
    done = charrnn("evaluate", *prose_c, "-", stdin="the Ω")
    assert done.err == "-: 1 unknown character, read as UNK\n"


def test_the_text_that_a_model_was_trained_on_is_recognised(
    charrnn: Command, prose_model: Trained
) -> None:
    command = ("evaluate", "-c", prose_model.run)
    warning = f"was trained on {prose_model.corpus}: these figures are better"
    assert warning in charrnn(*command, prose_model.corpus).err
    Path("copy.txt").write_text(prose_model.text)
    assert "was trained on copy.txt" in charrnn(*command, "copy.txt").err
    Path("other.txt").write_text(prose_model.text + ".")
    assert charrnn(*command, "other.txt").err == ""


def test_all_files_that_a_model_was_trained_on_are_recognised_together(charrnn: Command) -> None:
    Path("a.txt").write_text(prose(20))
    Path("b.txt").write_text(prose(20, seed=2))
    train = ("train", "a.txt", "b.txt", "-o", "run", *QUICK, "--steps", "1", "--quiet")
    assert charrnn(*train).status == 0
    assert charrnn("evaluate", "-c", "run", "a.txt", "b.txt").err.count("was trained on") == 2
    assert charrnn("evaluate", "-c", "run", "a.txt").err == ""


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
