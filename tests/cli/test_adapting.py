from __future__ import annotations

from pathlib import Path

import pytest

from charrnn.api import TrainedModel
from tests.cli.support import FIGURES
from tests.conftest import Command
from tests.faults.support import one_line_error
from tests.support import Trained, prose

EVALUATED = FIGURES | {"seconds", "characters_per_second", "checkpoint"}


@pytest.fixture(autouse=True)
def text() -> str:
    found = prose(40, seed=5).replace("the", "het")  # another language
    Path("text.txt").write_text(found)
    return found


def test_an_adaptive_figure_is_better_and_says_so(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    model = prose_c[1] / "model.safetensors"
    before = model.read_bytes()
    (static,) = charrnn("evaluate", *prose_c, "text.txt", "--json").records
    (adaptive,) = charrnn("evaluate", *prose_c, "text.txt", "--json", "--adaptive").records
    assert static.keys() == EVALUATED
    assert adaptive.keys() == EVALUATED | {"adaptive"}
    assert adaptive["adaptive"] is True
    assert adaptive["nats_per_character"] < 0.95 * static["nats_per_character"]
    assert model.read_bytes() == before


def test_a_rate_of_zero_gives_the_static_figure(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    options = ("evaluate", *prose_c, "text.txt", "--json")
    (static,) = charrnn(*options).records
    (still,) = charrnn(*options, "--adaptive", "--adaptive-rate", "0").records
    assert all(still[name] == static[name] for name in FIGURES)


def test_several_corpora_are_one_stream(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    Path("copy.txt").write_bytes(Path("text.txt").read_bytes())
    result = charrnn("evaluate", *prose_c, "text.txt", "copy.txt", "--json", "--adaptive")
    first, second = result.records[0]["corpora"]
    assert second["nats_per_character"] < 0.8 * first["nats_per_character"]


@pytest.mark.parametrize("options", [(), ("--per-character",)])
def test_texts_to_score_are_one_stream(
    charrnn: Command, names_c: tuple[str, Path], options: tuple[str, ...]
) -> None:
    texts = ["Zyx", "Kadu", "Zyx"]
    plain = charrnn("score", *names_c, "--json", *options, *texts).records
    found = charrnn("score", *names_c, "--json", "--adaptive", *options, *texts).records
    assert [record["adaptive"] for record in found] == [True] * 3
    assert found[2]["log_probability"] > found[0]["log_probability"]
    assert plain[2]["log_probability"] == plain[0]["log_probability"]


def test_lines_from_stdin_are_learnt_as_they_come(
    charrnn: Command, names_c: tuple[str, Path]
) -> None:
    one_by_one = charrnn("score", *names_c, "--json", "--adaptive", "-", stdin="Zyx\nKadu\nZyx\n")
    together = charrnn("score", *names_c, "--json", "--adaptive", "Zyx", "Kadu", "Zyx")
    assert one_by_one.records == together.records


def test_a_sample_continues_in_the_manner_of_its_prime(
    charrnn: Command, prose_c: tuple[str, Path], text: str
) -> None:
    options = ("sample", *prose_c, "--prime-file", "text.txt", "--no-prime", "--seed", "1")
    plain = charrnn(*options, "--length", "300")
    adaptive = (*options, "--length", "300", "--adaptive", "--adaptive-rate", "5")
    adapted = charrnn(*adaptive)
    assert adapted.err.startswith(f"learnt from {len(text):,} characters: ")
    assert adapted.out.count("het ") > plain.out.count("het ")
    assert adapted.out == charrnn(*adaptive).out


def test_what_it_has_become_can_be_saved(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("evaluate", *prose_c, "text.txt", "--adaptive", "--save", "a.safetensors")
    assert result.err == "adapted network saved in a.safetensors\n"
    before, after = (
        charrnn("evaluate", "-c", each, "text.txt", "--json", "--no-ngram").records[0]
        for each in (prose_c[1], "a.safetensors")
    )
    assert after["nats_per_character"] < before["nats_per_character"]
    assert charrnn("sample", "-c", "a.safetensors", "--length", "5").status == 0


def test_learning_in_python(prose_model: Trained, text: str) -> None:
    model = TrainedModel.open(prose_model.run)
    static = model.evaluate(["text.txt"])
    assert model.evaluate(["text.txt"], adaptive=True).perplexity < static.perplexity
    assert model.evaluate(["text.txt"]) == static  # that was another stream
    again = model.score([text, text], adaptive=True)
    assert again[1].perplexity < again[0].perplexity
    learner = model.adapting(rate=5)
    learner.score([text])
    assert "het " in learner.sample(length=200, seed=1)[0]
    assert "het " not in model.sample(length=200, seed=1)[0]


@pytest.mark.fault(49)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("evaluate text.txt --adaptive-rate 2", "--adaptive-rate and --save are for --adaptive"),
        ("score a --save b.safetensors", "--adaptive-rate and --save are for --adaptive"),
        ("sample --save b.safetensors", "--adaptive-rate and --save are for --adaptive"),
        ("sample --adaptive", "give --prime-file FILE or --prime"),
        ("evaluate text.txt --adaptive --device cuda", "leave out --device cuda"),
        ("evaluate text.txt --adaptive --save there.safetensors", "there.safetensors exists"),
        ("evaluate text.txt --adaptive --save text.txt", "let 'text.txt' end with .safetensors"),
        ("score a -c there.safetensors --adaptive --save b.safetensors", "--save writes one"),
    ],
)
def test_options_that_contradict_each_other(
    charrnn: Command, prose_c: tuple[str, Path], arguments: str, named: str
) -> None:
    Path("there.safetensors").write_bytes((prose_c[1] / "model.safetensors").read_bytes())
    before = Path("there.safetensors").read_bytes()
    name, *rest = arguments.split()
    result = charrnn(name, *prose_c, *rest)
    assert named in one_line_error(result, 2)
    assert Path("there.safetensors").read_bytes() == before
    assert not Path("b.safetensors").exists()


@pytest.mark.fault(49)
@pytest.mark.parametrize("rate", ["-1", "11", "nan", "inf", "x", ""])
def test_rates_out_of_range(charrnn: Command, prose_c: tuple[str, Path], rate: str) -> None:
    result = charrnn("score", *prose_c, "a", "--adaptive", "--adaptive-rate", rate)
    assert result.status == 2


@pytest.mark.fault(49)
def test_a_file_that_cannot_be_written(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    target = "missing/a.safetensors"
    result = charrnn("score", *prose_c, "a", "--adaptive", "--save", target)
    assert target in result.err.splitlines()[-1]
    assert result.status == 1


def test_a_label_is_read_and_never_learnt_as_a_character(
    charrnn: Command, labelled_model: Trained
) -> None:
    label = labelled_model.text.split("\t")[0]
    options = ("score", "-c", labelled_model.run, "--label", label, "--json")
    texts = ["Zu", "Kadu", "Zu"]
    static = charrnn(*options, *texts).records
    still = charrnn(*options, "--adaptive", "--adaptive-rate", "0", *texts).records
    found = charrnn(*options, "--adaptive", *texts).records
    assert [each["log_probability"] for each in still] == [
        each["log_probability"] for each in static
    ]
    assert found[2]["log_probability"] > found[0]["log_probability"]
