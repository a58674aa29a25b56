from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import unicodedata
from dataclasses import fields
from pathlib import Path

import click
import pytest

from charrnn.cli.main import COMMANDS, program, writes_one_text
from charrnn.inference.sampling import STRATEGIES
from charrnn.training.settings import DEFAULTS, Settings
from tests.conftest import Command
from tests.support import QUICK, Trained, prose

FIGURES = {
    "log_probability",
    "nats_per_character",
    "bits_per_character",
    "perplexity",
    "characters",
    "unknown_characters",
}


def command_of(name: str) -> click.Command:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command


def options_of(name: str) -> dict[str, click.Option]:
    return {
        option: each
        for each in command_of(name).params
        if isinstance(each, click.Option)
        for option in each.opts
    }


@pytest.fixture
def prose_c(prose_model: Trained) -> tuple[str, Path]:
    return "-c", prose_model.run


@pytest.fixture
def names_c(names_model: Trained) -> tuple[str, Path]:
    return "-c", names_model.run


# --- help


def test_help_lists_every_command(run_charrnn: Command) -> None:
    result = run_charrnn("--help")
    assert (result.status, result.err) == (0, "")
    for name, text in COMMANDS.items():
        assert f"  {name} " in result.out
        assert text.split(",")[0] in " ".join(result.out.split())
    assert '\n  charrnn score "To be, or not to be"\n' in result.out


def test_without_arguments_help_is_shown(run_charrnn: Command) -> None:
    result = run_charrnn()
    assert result.status == 2
    assert "Usage: charrnn" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, charrnn: Command) -> None:
    result = charrnn(name, "--help")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"Usage: charrnn {name} ")
    text = command_of(name).help
    assert text is not None
    assert len(text) > 20
    assert charrnn(name, "-h") == result


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    assert options_of(name)
    for option, each in options_of(name).items():
        assert each.help, f"{name} {option} has no help"
        assert each.help.rstrip().endswith((".", "]")), f"{name} {option}: {each.help!r}"


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_has_an_option_that_shows_its_default(field: object) -> None:
    name = getattr(field, "name")  # noqa: B009 - fields have no public type
    option = options_of("train")["--" + name.replace("_", "-")]
    default = getattr(DEFAULTS, name)
    assert option.name == name
    given = command_of("train").make_context("train", ["corpus.txt"]).params
    assert given[name] is None, "what was not given must be told from what was"
    assert option.type.convert(str(default), None, None) == default
    if name != "steps":
        assert option.show_default in (str(default), "chosen")


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_decoding_strategy_has_an_option_with_its_default(name: str) -> None:
    option = options_of("sample")["--" + name.replace("_", "-")]
    assert option.default == STRATEGIES[name].default
    assert option.help == STRATEGIES[name].help


# --- train


def test_training_tells_what_happens_as_json(prose_model: Trained) -> None:
    kinds = [event["event"] for event in prose_model.events]
    assert kinds[0] == "start"
    assert kinds[-1] == "done"
    assert set(kinds) >= {"start", "step", "validation", "sample", "checkpoint", "done"}
    assert [event["step"] for event in prose_model.of_kind("validation")] == [100, 200, 300]
    (start,) = prose_model.of_kind("start")
    assert start["characters"] == len(prose_model.text)
    assert start["vocabulary_size"] == 2 + len(set(prose_model.text))
    assert start["steps"] == 300
    assert start["seed"] == 1
    for event in prose_model.of_kind("step"):
        assert {"nats_per_character", "characters_per_second", "seconds"} <= event.keys()


def test_training_learns(prose_model: Trained) -> None:
    losses = [event["nats_per_character"] for event in prose_model.of_kind("validation")]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < math.log(len(set(prose_model.text))) / 3  # a third of knowing nothing


def test_a_run_is_three_files_and_its_log_is_what_was_told(prose_model: Trained) -> None:
    found = {path.name for path in prose_model.run.iterdir() if not path.name.startswith(".")}
    assert found == {"model.safetensors", "training.safetensors", "log.jsonl"}
    log = (prose_model.run / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log] == prose_model.events


def train(charrnn: Command, *options: str | Path, steps: int = 2, text: str = "") -> str:
    """Train for a moment in this process; what stderr says."""
    Path("corpus.txt").write_bytes((text or prose(40)).encode())
    result = charrnn("train", "corpus.txt", "-o", "run", *QUICK, "--steps", str(steps), *options)
    assert result.status == 0, result.err
    return result.err


def test_progress_is_plain_lines_where_there_is_no_terminal(charrnn: Command) -> None:
    err = train(charrnn)
    assert "\x1b" not in err
    assert "\r" not in err
    assert "held out" in err
    assert "step 2: training" in err
    assert "to repeat: --encoding utf-8 --errors strict --cell lstm --layers 1" in err
    assert "model in run" in err


def test_quiet_says_nothing(charrnn: Command) -> None:
    assert train(charrnn, "--quiet") == ""


def test_json_says_nothing_on_stderr(charrnn: Command) -> None:
    assert train(charrnn, "--json") == ""


def test_the_flags_shown_repeat_the_run(charrnn: Command) -> None:
    err = train(charrnn, "--ngram-order", "0")
    flags = next(line for line in err.splitlines() if line.startswith("to repeat: ")).split()[2:]
    result = charrnn("train", "corpus.txt", "-o", "again", "--quiet", "--device", "cpu", *flags)
    assert (result.status, result.err) == (0, "")
    first, again = (charrnn("score", "-c", run, "the cat") for run in ("run", "again"))
    assert first == again
    assert len(first.out.splitlines()) == 2


def test_without_output_a_run_goes_where_its_corpus_is_named(charrnn: Command) -> None:
    Path("my.verse.txt").write_text(prose(40))
    arguments = (*QUICK, "--steps", "1", "--quiet")
    assert charrnn("train", "my.verse.txt", *arguments).status == 0
    assert Path("checkpoints/my.verse/model.safetensors").is_file()
    result = charrnn("score", "the cat")
    assert (result.status, result.err) == (0, "checkpoint: checkpoints/my.verse\n")


def test_epochs_are_readings_of_the_text(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(40))
    result = charrnn("train", "corpus.txt", "-o", "run", *QUICK, "--epochs", "2", "--json")
    start = result.records[0]
    assert start["epochs"] == pytest.approx(2, abs=0.1)
    assert result.records[-1]["step"] == start["steps"]


def test_minutes_are_kept(run_charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(300))
    result = run_charrnn(
        *("train", "corpus.txt", "-o", "run", "--minutes", "0.15", "--json", "--device", "cpu"),
        *("--hidden", "32", "--layers", "1", "--batch", "8"),
    )
    assert result.status == 0, result.err
    start, done = result.records[0], result.records[-1]
    assert start["steps"] > 1
    assert done["event"] == "done"
    # 5 % are promised; the rest is for a machine on which all tests run at once
    assert done["seconds"] < 9 * 2


def test_the_corpus_can_come_from_stdin(charrnn: Command) -> None:
    result = charrnn("train", "-", "-o", "run", *QUICK, "--steps", "1", "-q", stdin=prose(40))
    assert (result.status, result.err) == (0, "")
    assert charrnn("info", "run", "--json").records[0]["corpus"]["characters"] == len(prose(40))


def test_a_finished_run_is_not_overwritten_silently(charrnn: Command) -> None:
    train(charrnn, "--quiet")
    before = Path("run/model.safetensors").read_bytes()
    arguments = ("train", "corpus.txt", "-o", "run", *QUICK, "--steps", "3", "--quiet")
    result = charrnn(*arguments)
    assert result.status == 1
    assert result.err == (
        "Error: run holds a finished run; start over with --fresh, or choose another place with "
        "--output\n"
    )
    assert Path("run/model.safetensors").read_bytes() == before
    assert charrnn(*arguments, "--fresh").status == 0
    assert Path("run/model.safetensors").read_bytes() != before


def test_rare_characters_become_unknown(charrnn: Command) -> None:
    text = prose(40) + "Ω" + prose(40)
    assert "1 rare characters count as unknown" in train(charrnn, "--min-count", "2", text=text)
    (record,) = charrnn("score", "-c", "run", "the Ω", "--json").records
    assert record["unknown_characters"] == 1


def test_an_ngram_model_alone_trains_samples_and_scores(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(300))
    result = charrnn("train", "corpus.txt", "-o", "run", "--cell", "none", "--validation", "0.1")
    assert result.status == 0
    assert "Traceback" not in result.err
    assert charrnn("sample", "-c", "run", "--seed", "1", "--length", "50").out
    scores = charrnn("score", "-c", "run", "--json", "the cat saw", "was tac eht").records
    assert scores[0]["nats_per_character"] < scores[1]["nats_per_character"]
    assert charrnn("info", "run", "--json").records[0]["network"] is None


def test_divergence_is_an_error_that_leaves_no_traceback(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(40))
    result = charrnn(
        *("train", "corpus.txt", "-o", "run", *QUICK, "--steps", "50", "--quiet"),
        *("--rate", "1e9", "--muon-rate", "1e9", "--clip", "1e9", "--cell", "rnn"),
    )
    assert result.status == 1
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) == 1


# --- sample


def test_the_seed_decides_the_text(run_charrnn: Command, prose_c: tuple[str, Path]) -> None:
    arguments = ("sample", *prose_c, "--length", "80")
    first, again, other = (run_charrnn(*arguments, "--seed", seed) for seed in ("1", "1", "2"))
    assert first.out == again.out
    assert first.out != other.out
    assert 1 < len(first.out) <= 81


def test_argmax_ignores_the_seed(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    found = {
        charrnn("sample", *prose_c, "--length", "40", "--seed", seed, *greedy).out
        for seed in ("1", "2", "3")
        for greedy in (("--argmax",), ("--temperature", "0"), ("--top-k", "1"))
    }
    assert len(found) == 1
    assert len(found.pop()) > 20


def test_a_seed_that_was_not_given_is_told_and_can_be_given(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    first = charrnn("sample", *prose_c, "--length", "40")
    name, seed = first.err.strip().split(": ")
    assert name == "seed"
    assert charrnn("sample", *prose_c, "--length", "40", "--seed", seed).out == first.out
    assert charrnn("sample", *prose_c, "--length", "40").out != first.out


def test_text_k_is_the_same_however_many_there_are(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    def texts(num: int) -> list[str]:
        arguments = ("--num", str(num), "--length", "30", "--seed", "4", "--json")
        records = charrnn("sample", *prose_c, *arguments).records
        assert [record["number"] for record in records] == list(range(num))
        return [record["text"] for record in records]

    five = texts(5)
    assert texts(3) == five[:3]
    assert texts(70)[:5] == five
    assert len(set(five)) == 5
    single = charrnn("sample", *prose_c, "--length", "30", "--seed", "4").out
    assert single == five[0] + "\n"


@pytest.mark.parametrize(
    ("arguments", "one"),
    [
        (["sample"], True),
        (["sample", "--length", "5"], True),
        (["sample", "--num", "64"], False),
        (["sample", "--num=64"], False),
        (["score", "-"], False),
        ([], False),
    ],
)
def test_only_a_single_sample_goes_without_a_second_thread(
    arguments: list[str], one: bool
) -> None:
    assert writes_one_text(arguments) is one


def test_json_samples_have_the_agreed_keys(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    (record,) = charrnn(
        *("sample", *prose_c, "--json", "--seed", "3", "--length", "9", "--prime", "the")
    ).records
    assert record.keys() == {"text", "seed", "number", "characters", "checkpoint"}
    assert (record["seed"], record["checkpoint"]) == (3, str(prose_c[1]))
    assert record["text"].startswith("the")
    assert record["characters"] == len(record["text"]) - 3 <= 9


def test_a_prime_begins_the_text_wherever_it_comes_from(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    prime = "the old man\n"
    Path("prime.txt").write_text(prime)
    common = ("sample", *prose_c, "--length", "30", "--seed", "1")
    first = charrnn(*common, "--prime", prime)
    assert first.out.startswith(prime)
    assert len(first.out) > len(prime) + 1
    assert charrnn(*common, "--prime-file", "prime.txt").out == first.out
    assert charrnn(*common, "--prime", "-", stdin=prime).out == first.out
    assert charrnn(*common).out != first.out


@pytest.mark.parametrize("prime", ["", "the"])
def test_no_length_is_the_prime_alone(
    prime: str, charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("sample", *prose_c, "--length", "0", "--seed", "1", "--prime", prime)
    assert result.out == (prime + "\n" if prime else "")


def test_no_texts_are_nothing(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    result = charrnn("sample", *prose_c, "--num", "0", "--seed", "1")
    assert (result.status, result.out) == (0, "")


def test_unknown_characters_in_a_prime_are_counted(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("sample", *prose_c, "--prime", "éaéΩ", "--length", "5", "--seed", "1")
    assert result.status == 0
    assert result.out.startswith("éaéΩ")
    assert result.err == "3 unknown characters, read as UNK: é Ω\n"


def test_a_reader_that_leaves_is_no_error(run_charrnn: Command, prose_model: Trained) -> None:
    arguments = ["sample", "-c", str(prose_model.run), "--num", "100000", "--seed", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "charrnn", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(100)) == 100  # long before all of it is made
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_checkpoint_that_was_not_named_is_told(
    charrnn: Command, prose_model: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CHECKPOINT", str(prose_model.run))
    result = charrnn("sample", "--length", "5", "--seed", "1")
    assert result.err == f"checkpoint: {prose_model.run}\n"


# --- score


def test_scores_are_a_table(run_charrnn: Command, prose_c: tuple[str, Path]) -> None:
    result = run_charrnn("score", *prose_c, "the cat saw", "tac\tX")
    assert result.status == 0
    header, first, second = (line.split("\t") for line in result.out.splitlines())
    assert header[-1] == "text"
    assert set(header[:-1]) == FIGURES
    by_name = dict(zip(header, first, strict=True))
    assert by_name["text"] == "the cat saw"
    assert float(by_name["characters"]) == 11
    nats = float(by_name["nats_per_character"])
    assert nats == pytest.approx(-float(by_name["log_probability"]) / 11, rel=1e-4)
    assert float(by_name["bits_per_character"]) == pytest.approx(nats / math.log(2), rel=1e-4)
    assert float(by_name["perplexity"]) == pytest.approx(math.exp(nats), rel=1e-4)
    assert second[-1] == "tac\\tX"
    assert float(second[header.index("nats_per_character")]) > nats
    assert float(second[header.index("unknown_characters")]) == 2
    assert result.err == "2 unknown characters, read as UNK: \\t X\n"


def test_a_score_is_the_sum_of_its_characters(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    for checkpoint, ends in ((prose_c, 0), (names_c, 1)):
        for record in charrnn(
            "score", *checkpoint, "--json", "--per-character", "the cat", "", "Tomara"
        ).records:
            parts = record["per_character"]
            total = sum(part["log_probability"] for part in parts)
            assert total == pytest.approx(record["log_probability"], abs=1e-6)
            assert record["characters"] == len(parts) == len(record["text"]) + ends
            assert "".join(part["character"] for part in parts) == record["text"]


def test_characters_are_listed_below_their_text(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    result = charrnn("score", *prose_c, "--per-character", "--eos", "a\nb")
    rows = [line.split("\t") for line in result.out.splitlines()[1:]]
    assert [row[1] for row in rows[1:]] == ["a", "\\n", "b", "<EOS>"]
    total = sum(float(row[0]) for row in rows[1:])
    assert total == pytest.approx(float(rows[0][0]), rel=1e-4)


def test_texts_come_from_arguments_stdin_or_a_file(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    texts = ["the cat", "", "a dog", "nothing at all"]
    expected = charrnn("score", *prose_c, "--json", *texts).records
    assert [record["text"] for record in expected] == texts
    for end in ("\n", "\r\n"):
        Path("texts.txt").write_bytes(end.join(texts).encode())
        piped = charrnn("score", *prose_c, "--json", "-", stdin=end.join(texts) + end)
        assert piped.records == expected
        assert charrnn("score", *prose_c, "--json", "-f", "texts.txt").records == expected
        assert charrnn("score", *prose_c, "--json", "-f", "-", stdin=end.join(texts)).records == (
            expected
        )


def test_stdin_is_utf8_whatever_the_locale(
    run_charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    for name in ("C", "C.UTF-8", "POSIX"):
        result = run_charrnn(
            *("score", *prose_c, "--json", "-"),
            stdin="\ufeff漢字 é\n",
            env={"LC_ALL": name, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        )
        assert result.records[0]["text"] == "漢字 é"


def test_many_texts_side_by_side_score_as_one_by_one(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    lines = prose(60, seed=9).splitlines()
    together = charrnn("score", *prose_c, "--json", "-", stdin="\n".join(lines)).records
    for line, record in list(zip(lines, together, strict=True))[::13]:
        (alone,) = charrnn("score", *prose_c, "--json", line).records
        assert alone["log_probability"] == pytest.approx(record["log_probability"], abs=1e-4)


@pytest.mark.parametrize(("option", "more"), [((), 0), (("--no-eos",), 0), (("--eos",), 1)])
def test_whether_the_end_counts_can_be_said(
    option: tuple[str, ...], more: int, charrnn: Command, prose_c: tuple[str, Path],
    names_c: tuple[str, Path],
) -> None:
    (record,) = charrnn("score", *prose_c, "--json", "the cat", *option).records
    assert record["characters"] == 7 + more
    (record,) = charrnn("score", *names_c, "--json", "Tomara", *option).records
    assert record["characters"] == 6 + (more if option else 1)


def test_probable_text_scores_better(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    usual, odd = charrnn("score", *prose_c, "--json", "the cat saw", "was tac eht").records
    assert usual["nats_per_character"] < odd["nats_per_character"] - 1


# --- evaluate and info


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
    # the text that the mixture was fitted on: a little better than the cross-validated figure
    assert record["nats_per_character"] < done["nats_per_character"]
    assert record["nats_per_character"] == pytest.approx(done["nats_per_character"], rel=0.02)
    (network,) = charrnn(
        "evaluate", "-c", prose_model.run, "held_out.txt", "--json", "--no-ngram"
    ).records
    best = min(event["nats_per_character"] for event in prose_model.of_kind("validation"))
    assert network["nats_per_character"] == pytest.approx(best, abs=1e-4)
    assert best == pytest.approx(done["network_nats_per_character"], abs=1e-4)


def held_out_names(model: Trained) -> list[str]:
    ids = len(model.text)  # each newline is an EOS
    names = model.text.splitlines()
    begins = [sum(len(name) + 1 for name in names[:number]) for number in range(len(names))]
    return [
        name
        for name, begin in zip(names, begins, strict=True)
        if begin + len(name) + 1 > ids - int(ids * 0.1)
    ]


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
    # the text that the mixture was fitted on: a little better than the cross-validated figure
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


def test_info_says_what_is_in_a_checkpoint(run_charrnn: Command, prose_model: Trained) -> None:
    result = run_charrnn("info", prose_model.run, "--json")
    assert (result.status, result.err) == (0, "")
    (record,) = result.records
    (start,) = prose_model.of_kind("start")
    assert record["documents"] == "files"
    assert record["vocabulary_size"] == start["vocabulary_size"]
    assert record["characters_known"] == "".join(sorted(set(prose_model.text)))
    assert record["parameters"] == start["parameters"]
    assert record["network"]["cell"] == "lstm"
    assert record["network"]["hidden"] == 32
    assert record["training"]["settings"] == start["settings"]
    assert [entry["step"] for entry in record["history"]] == [100, 200, 300]
    plain = run_charrnn("info", "-c", prose_model.run / "model.safetensors")
    rows = dict(line.split("\t", 1) for line in plain.out.splitlines())
    assert rows["network.hidden"] == "32"
    assert rows["corpus.characters"] == str(len(prose_model.text))


# --- lines


def test_lines_end_by_themselves_and_are_mostly_new(
    charrnn: Command, names_model: Trained
) -> None:
    result = charrnn("sample", "-c", names_model.run, "--num", "100", "--seed", "1")
    names = result.out.splitlines()
    known = set(names_model.text.splitlines())
    assert len(names) == 100
    assert all(2 <= len(name) <= 15 for name in names)
    assert sum(name not in known for name in names) > 50
    assert sum(name[:1].isupper() and name[1:].islower() for name in names) > 90
    assert len(set(names)) > 70


def test_one_line_is_one_line(charrnn: Command, names_c: tuple[str, Path]) -> None:
    many = charrnn("sample", *names_c, "--num", "5", "--seed", "1").out.splitlines()
    assert charrnn("sample", *names_c, "--seed", "1").out == many[0] + "\n"
    assert charrnn("sample", *names_c, "--seed", "1", "--until-eos").out == many[0] + "\n"


def test_a_primed_line_begins_with_the_prime(charrnn: Command, names_c: tuple[str, Path]) -> None:
    names = charrnn("sample", *names_c, "--num", "9", "--seed", "1", "--prime", "To").out
    assert all(name.startswith("To") for name in names.splitlines())


# --- every script

SCRIPTS = (
    "春眠不覺曉，處處聞啼鳥。\n",
    "السلام عليكم ورحمة الله\n",
    "👩‍👩‍👧 🇫🇷 👍🏽 ❤️\n",
    unicodedata.normalize("NFD", "naïve Ångström ế\n"),
    "שָׁלוֹם עליכם\n",
    "क्षत्रिय हिन्दी\n",
    "tab\there, \u00a0\u2028 and \U0010fffd\r\n",
)


@pytest.mark.parametrize("lines", [False, True], ids=["files", "lines"])
def test_every_script_trains_samples_and_scores(lines: bool, charrnn: Command) -> None:
    text = "".join(SCRIPTS) * 12
    train(charrnn, "--quiet", *(["--lines"] if lines else []), text=text, steps=20)
    for script in SCRIPTS:
        prime = script.rstrip("\r\n")
        result = charrnn("sample", "-c", "run", "--prime", prime, "--seed", "1", "--length", "30")
        assert (result.status, result.err) == (0, "")
        assert result.out.startswith(prime)
        assert set(result.out) <= set(text) | {"\n"}
        scored = charrnn("score", "-c", "run", "--json", "--strict", prime)
        assert (scored.status, scored.err) == (0, "")
        (record,) = scored.records
        assert record["text"] == prime
        assert record["characters"] == len(prime) + lines
        assert record["unknown_characters"] == 0
    (record,) = charrnn("evaluate", "-c", "run", "corpus.txt", "--json").records
    assert record["unknown_characters"] == 0
    assert record["characters"] == len(text) - (12 if lines else 0)


# --- what goes wrong is one line with a remedy

ANY = "--steps 1 --hidden 4 --layers 1 --device cpu"
WRONG = [
    # arguments, exit status, what the line says, what it advises
    ("train missing.txt", 1, "cannot read missing.txt: no such file", "name a text file"),
    ("train empty.txt", 1, "empty.txt is empty", "needs text"),
    ("train short.txt", 1, "short.txt is too short to train on: 15 characters", "18 or more"),
    ("train short.txt --lines", 1, "too short to train on", "or more"),
    ("train no_texts", 1, "no_texts has no *.txt file", "name the files"),
    ("train bad.txt", 1, "byte 0xff at offset 1,234", "--encoding"),
    ("train good.txt missing.txt", 1, "cannot read missing.txt", "name a text file"),
    ("train good.txt --encoding klingon", 1, "unknown encoding 'klingon'", "try utf-8"),
    ("train good.txt --min-count 999", 1, "no character occurs 999 times", "lower --min-count"),
    ("train -", 2, "--output", "name a run directory"),
    ("train", 2, "Missing argument 'CORPUS...'", "charrnn train --help"),
    ("train good.txt --cell tree", 2, "'tree' is not one of", "'lstm'"),
    ("train good.txt --layers 0", 2, "--layers must be 1 or more, not 0", "1 or more"),
    ("train good.txt --layers 1000", 2, "layers must be 1 to 64, not 1,000", "1 to 64"),
    ("train good.txt --hidden 10000000", 2, "hidden must be 1 to 65,536", "1 to 65,536"),
    ("train good.txt --dropout 1", 2, "--dropout must be 0 to 0.95, not 1", "0 to 0.95"),
    ("train good.txt --dropout nan", 2, "--dropout must be 0 to 0.95, not nan", "0 to 0.95"),
    ("train good.txt --rate -1", 2, "--rate must be", "not -1"),
    ("train good.txt --steps 0", 2, "--steps must be a positive number, not 0", "positive"),
    ("train good.txt --minutes 1 --steps 9", 2, "give one of", "--minutes, --epochs and --steps"),
    ("train good.txt --minutes nan", 2, "--minutes must be a positive number", "positive"),
    ("train good.txt -o good.txt", 1, "cannot write to good.txt: file exists", "--output"),
    ("train good.txt --device cuda", 2, "torch finds no GPU here", "--device cpu"),
    ("evaluate missing.txt -c RUN", 1, "cannot read missing.txt", "name a text file"),
    ("evaluate empty.txt -c RUN", 1, "empty.txt is empty", "needs text"),
    ("evaluate no_texts -c RUN", 1, "no_texts has no *.txt file", "name the files"),
    ("evaluate bad.txt -c RUN", 1, "byte 0xff at offset 1,234", "--encoding"),
    ("evaluate - -c RUN", 1, "standard input is empty", "needs text"),
    ("evaluate good.txt", 1, "there is no trained model in checkpoints/", "charrnn train CORPUS"),
    ("evaluate -c RUN", 2, "Missing argument", "charrnn evaluate --help"),
    ("sample -c RUN --temperature -0.5", 2, "--temperature must be 0 or more", "not -0.5"),
    ("sample -c RUN --temperature nan", 2, "--temperature must be 0 or more", "not nan"),
    ("sample -c RUN --temperature inf", 2, "--temperature must be 0 or more", "not inf"),
    ("sample -c RUN --temperature hot", 2, "'hot' is not a valid float", "sample --help"),
    ("sample -c RUN --top-p 2", 2, "--top-p must be 0 to 1, not 2", "0 to 1"),
    ("sample -c RUN --top-k -1", 2, "--top-k must be 0 to", "not -1"),
    ("sample -c RUN --top-k 1" + 400 * "0", 2, "too large", "smaller"),
    ("sample -c RUN --length -1", 2, "-1 is not in the range", "sample --help"),
    ("sample -c RUN --num -1", 2, "-1 is not in the range", "sample --help"),
    ("sample -c RUN --seed -1", 2, "-1 is not in the range", "sample --help"),
    ("sample -c RUN --prime Ω --strict", 1, "not in the model's vocabulary ('Ω')", "--strict"),
    ("sample -c RUN --prime a --prime-file b", 2, "--prime or --prime-file, not both", "give"),
    ("sample -c RUN --prime-file missing.txt", 1, "cannot read missing.txt", "name a text file"),
    ("sample -c RUN --prime-file bad.txt", 1, "offset 1,234", "convert it to UTF-8"),
    ("sample -c RUN --device cuda", 2, "torch finds no GPU here", "--device cpu"),
    ("sample -c unknown", 1, "there is no checkpoint unknown", "name a run directory"),
    ("sample -c good.txt", 1, "good.txt is no usable checkpoint", "name a run directory"),
    ("sample -c no_texts", 1, "no_texts has no model.safetensors", "name a run directory"),
    ("sample -c pickle.pt", 1, "a pickle; such files can run code", "name a run directory"),
    ("sample -c half.safetensors", 1, "half.safetensors is no usable checkpoint", "copy it anew"),
    ("sample", 1, "there is no trained model in checkpoints/", "charrnn train CORPUS"),
    ("score -c RUN", 2, "give texts", "or - for stdin, or --file FILE"),
    ("score -c RUN text -f good.txt", 2, "give texts", "or - for stdin, or --file FILE"),
    ("score -c unknown text", 1, "there is no checkpoint unknown", "name a run directory"),
    ("score -c RUN Ωmega --strict", 1, "('Ω')", "drop --strict"),
    ("info unknown", 1, "there is no checkpoint unknown", "name a run directory"),
    ("info good.txt", 1, "good.txt is no usable checkpoint", "name a run directory"),
    ("info pickle.pt", 1, "a pickle; such files can run code", "name a run directory"),
    ("smaple", 2, "No such command 'smaple'", "Did you mean 'sample'?"),
    ("sample --sed 1", 2, "No such option '--sed'", "--seed"),
    ("--nonsense", 2, "No such option '--nonsense'", "charrnn --help"),
]


@pytest.fixture
def wrong_files(prose_model: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files to be wrong with."""
    Path("empty.txt").touch()
    Path("short.txt").write_text("fifteen letters")
    Path("good.txt").write_text(prose(40))
    Path("bad.txt").write_bytes(b"a" * 1234 + b"\xff")
    Path("no_texts").mkdir()
    Path("pickle.pt").write_bytes(pickle.dumps({"weights": [1.0]}))
    model = (prose_model.run / "model.safetensors").read_bytes()
    Path("half.safetensors").write_bytes(model[: len(model) // 2])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def is_one_line_with_a_remedy(err: str, says: str, advises: str) -> None:
    assert err.startswith("Error: ")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert says in err
    assert advises in err


@pytest.mark.usefixtures("wrong_files")
@pytest.mark.parametrize(
    ("line", "status", "says", "advises"), WRONG, ids=[wrong[0][:60] for wrong in WRONG]
)
def test_what_goes_wrong_is_one_line_with_a_remedy(
    line: str, status: int, says: str, advises: str, charrnn: Command, prose_model: Trained
) -> None:
    arguments = [str(prose_model.run) if word == "RUN" else word for word in line.split()]
    if arguments[0] == "train" and len(arguments) > 1:
        own = {"--steps", "--minutes", "-", "-o", "--hidden", "--layers", "--device"}
        known = own & set(arguments)
        arguments += [] if known else ["-o", "run", *ANY.split()]
    result = charrnn(*arguments)
    assert result.status == status
    assert result.out in ("", "\t".join(result.out.split("\t")))
    is_one_line_with_a_remedy(result.err, says, advises)


@pytest.mark.usefixtures("wrong_files")
@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "says", "advises"),
    [
        (("sample", "-c", "RUN", "--temperature", "-1"), b"", 2, "--temperature", "0 or more"),
        (("sample", "-c", "RUN", "--temperature", "x"), b"", 2, "'x' is not", "--help"),
        (("sample", "-c", "unknown"), b"", 1, "no checkpoint unknown", "name a run directory"),
        (("train", "short.txt", "-o", "run"), b"", 1, "too short", "18 or more"),
        (("score", "-c", "RUN", "-"), b"a\nb\xff", 1, "byte 0xff at offset 3", "convert it"),
        (("train", "-", "-o", "run"), b"a" * 99 + b"\xff", 1, "at offset 99", "--encoding"),
        (("sample",), b"", 1, "there is no trained model", "charrnn train CORPUS"),
    ],
)
def test_a_process_ends_as_its_errors_say(
    arguments: tuple[str, ...],
    stdin: bytes,
    status: int,
    says: str,
    advises: str,
    run_charrnn: Command,
    prose_model: Trained,
) -> None:
    named = [str(prose_model.run) if word == "RUN" else word for word in arguments]
    result = run_charrnn(*named, stdin=stdin)
    assert result.status == status
    is_one_line_with_a_remedy(result.err, says, advises)


def test_closed_streams_are_no_traceback(prose_model: Trained) -> None:
    command = f'"{sys.executable}" -m charrnn'
    for line, message in (
        (f"score -c '{prose_model.run}' - <&-", "standard input is closed"),
        (f"evaluate -c '{prose_model.run}' - <&-", "standard input is closed"),
        (f"score -c '{prose_model.run}' text >&-", "standard output is closed"),
    ):
        done = subprocess.run(
            f"{command} {line}", shell=True, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        is_one_line_with_a_remedy(done.stderr, message, "file")


def test_a_full_disk_is_one_line(prose_model: Trained) -> None:
    command = [sys.executable, "-m", "charrnn", "sample", "-c", str(prose_model.run), "--seed", "1"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"Error: cannot write or read: No space left on device\n"


def test_a_traceback_is_shown_on_request(run_charrnn: Command) -> None:
    result = run_charrnn("sample", "-c", "unknown", env={"CHARRNN_DEBUG": "1"})
    assert result.status == 1
    assert "Traceback" in result.err
    assert "CheckpointError" in result.err


def test_names_with_control_characters_do_not_break_the_line(charrnn: Command) -> None:
    result = charrnn("sample", "-c", "a\nb\x1b[31m")
    assert result.err.startswith("Error: there is no checkpoint a\\nb^[[31m;")
    assert len(result.err.splitlines()) == 1
