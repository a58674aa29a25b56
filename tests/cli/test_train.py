from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import fields
from pathlib import Path

import pytest

from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.sizes import choose_sizes
from tests.cli.support import command_of, options_of, train
from tests.conftest import Command
from tests.support import QUICK, Trained, prose


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_has_an_option_that_shows_its_default(field: object) -> None:
    name = getattr(field, "name")  # noqa: B009 - fields have no public type
    option = options_of("train")["--" + name.replace("_", "-")]
    default = getattr(DEFAULTS, name)
    assert option.name == name
    given = command_of("train").make_context("train", ["corpus.txt"]).params
    assert given[name] is None, "options not given must be distinguishable"
    assert option.type.convert(str(default), None, None) == default
    if default is False:
        assert option.is_flag
        return
    if name != "steps":
        assert option.show_default in (str(default), "chosen")


def test_what_the_help_says_is_chosen_is_chosen() -> None:
    said = {
        option.removeprefix("--").replace("-", "_")
        for option, each in options_of("train").items()
        if each.show_default == "chosen"
    }
    chosen = {
        name
        for steps, characters in ((1, 10**4), (500, 10**6), (10**7, 10**8))
        for name, value in choose_sizes(steps, characters, 67).settings().items()
        if value != getattr(DEFAULTS, name)
    }
    assert chosen == {"layers", "hidden", "embedding", "chunk", "batch", "dropout"}
    elsewhere = {"networks", "validate_every", "validation", "min_count", "precision"}
    assert said == chosen | elsewhere | {"recent", "activation_penalty"}


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


def test_a_run_is_three_files_and_its_log_has_the_events(prose_model: Trained) -> None:
    found = {path.name for path in prose_model.run.iterdir() if not path.name.startswith(".")}
    assert found == {"model.safetensors", "training.safetensors", "log.jsonl"}
    log = (prose_model.run / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log] == prose_model.events


def test_progress_is_plain_lines_where_there_is_no_terminal(charrnn: Command) -> None:
    err = train(charrnn)
    assert "\x1b" not in err
    assert "\r" not in err
    assert "held out" in err
    assert "step 2: training" in err
    assert max(map(len, err.splitlines())) < 200
    assert "model in run" in err


def test_quiet_says_nothing(charrnn: Command) -> None:
    assert train(charrnn, "--quiet") == ""


def test_json_says_nothing_on_stderr(charrnn: Command) -> None:
    assert train(charrnn, "--json") == ""


def test_the_flags_in_the_log_repeat_the_run(charrnn: Command) -> None:
    train(charrnn, "--ngram-order", "0")
    start = json.loads(Path("run/log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    flags = start["flags"].split()
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


@pytest.mark.parametrize(("clip", "share"), [("1e-6", 1.0), ("1e6", 0.0)])
def test_a_step_event_tells_the_share_of_clipped_steps(
    charrnn: Command, clip: str, share: float
) -> None:
    Path("corpus.txt").write_text(prose(40))
    arguments = (*QUICK, "--steps", "3", "--clip", clip, "--json")
    records = charrnn("train", "corpus.txt", "-o", "run", *arguments).records
    assert {each["clipped"] for each in records if each["event"] == "step"} == {share}


def test_minutes_are_kept(run_charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(300))
    result = run_charrnn(
        *("train", "corpus.txt", "-o", "run", "--minutes", "0.25", "--json", "--device", "cpu"),
        *("--hidden", "32", "--layers", "1", "--batch", "8"),
    )
    assert result.status == 0, result.err
    start, done = result.records[0], result.records[-1]
    assert start["steps"] > 1
    assert done["event"] == "done"
    # 5 % are promised; the rest is for a machine on which all tests run at once
    assert done["seconds"] < 15 * 2


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
    assert re.fullmatch(
        r"Error: run holds a finished run \(\d+\.\d seconds on corpus\.txt\); "
        r"longer: --more-minutes 5; elsewhere: -o DIR; discard: --fresh\n",
        result.err,
    )
    assert Path("run/model.safetensors").read_bytes() == before
    assert charrnn(*arguments, "--fresh").status == 0
    assert Path("run/model.safetensors").read_bytes() != before


def test_rare_characters_become_unknown(charrnn: Command) -> None:
    text = prose(40) + "Ω" + prose(40)
    assert "1 rare characters count as unknown" in train(charrnn, "--min-count", "2", text=text)
    (record,) = charrnn("score", "-c", "run", "the Ω", "--json").records
    assert record["unknown_characters"] == 1


def test_of_many_characters_those_that_occur_once_become_unknown(charrnn: Command) -> None:
    text = "".join(map(chr, range(0x4E00, 0x5100))) + prose(240)
    assert "768 rare characters count as unknown" in train(charrnn, text=text)
    (record,) = charrnn("info", "run", "--json").records
    assert record["training"]["settings"]["min_count"] == 2
    assert "--min-count 2" in record["training"]["flags"]


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
