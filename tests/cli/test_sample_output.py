from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.faults.support import on_terminal, one_line_error
from tests.support import QUICK, Trained

SIX = ("--num", "6", "--seed", "2", "--length", "30")


def texts(charrnn: Command, *arguments: str | Path) -> list[str]:
    return [record["text"] for record in charrnn("sample", *arguments, "--json").records]


def test_texts_are_separated_as_told(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    for model in (prose_c, names_c):
        expected = texts(charrnn, *model, *SIX)
        found = charrnn("sample", *model, *SIX, "--separator", r"\n--\n").out
        assert found == "\n--\n".join(expected) + "\n"
        found = charrnn("sample", *model, *SIX, "--null").out
        assert found == "".join(text + "\0" for text in expected)
    assert charrnn("sample", *names_c, "--null", "--seed", "2").out.count("\0") == 1


def test_names_can_go_through_xargs(names_model: Trained, run_charrnn: Command) -> None:
    found = run_charrnn("sample", "-c", names_model.run, *SIX, "--null")
    done = subprocess.run(
        ["xargs", "-0", "-n1", "echo"], input=found.out, text=True, capture_output=True, check=True
    )
    assert len(done.stdout.splitlines()) == 6


def test_without_the_prime_there_is_only_what_is_new(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    common = ("--prime", "the old ", *SIX)
    whole, new = (texts(charrnn, *prose_c, *common, *more) for more in ((), ("--no-prime",)))
    assert whole == ["the old " + text for text in new]
    single = ("sample", *prose_c, "--seed", "2", "--length", "9", "--prime", "the old ")
    assert charrnn(*single).out == "the old " + charrnn(*single, "--no-prime").out


def test_scores_are_those_of_the_texts(charrnn: Command, names_c: tuple[str, Path]) -> None:
    header, *rows = (
        line.split("\t") for line in charrnn("sample", *names_c, *SIX, "--scores").out.splitlines()
    )
    assert header == ["log_probability", "nats_per_character", "text"]
    scores = charrnn("score", *names_c, "--json", *(row[2] for row in rows)).records
    for row, score in zip(rows, scores, strict=True):
        assert float(row[0]) == pytest.approx(score["log_probability"], rel=1e-4)
        assert float(row[1]) == pytest.approx(score["nats_per_character"], rel=1e-4)


def test_makers_of_names_get_what_they_ask_for(
    charrnn: Command, names_model: Trained
) -> None:
    common = ("-c", names_model.run, "--seed", "1", "--num", "12", "--temperature", "0.7")
    records = charrnn(
        *("sample", *common, "--unseen", "--unique", "--match", "^[KT].*a", "--reject", "ka$"),
        *("--sort", "--json"),
    ).records
    found = [record["text"] for record in records]
    assert len(found) == len(set(found)) == 12
    assert not set(found) & set(names_model.text.splitlines())
    assert all(re.search("^[KT].*a", name) and not name.endswith("ka") for name in found)
    scores = [record["log_probability"] for record in records]
    assert scores == sorted(scores, reverse=True)
    numbers = [record["number"] for record in records]
    assert max(numbers) > 12
    assert texts(charrnn, *common, "--num", "60")[:2] != found[:2]


def test_what_is_unseen_is_compared_with_a_corpus_that_is_named(
    charrnn: Command, names_model: Trained
) -> None:
    common = ("-c", names_model.run, *SIX)
    known = texts(charrnn, *common)
    Path("known.txt").write_text("\n".join(known))
    found = texts(charrnn, *common, "--unseen", "--corpus", "known.txt")
    assert len(found) == 6
    assert not set(found) & set(known)


def test_lines_of_a_whole_file_are_known_too(charrnn: Command) -> None:
    Path("corpus.txt").write_text("abab\nbaba\n" * 60)
    train = ("train", "corpus.txt", "-o", "run", *QUICK, "--steps", "1", "--quiet")
    assert charrnn(*train).status == 0
    options = ("-c", "run", "--seed", "1", "--stop", r"\n", "--num", "5", "--unseen")
    assert not {"abab", "baba", ""} & set(texts(charrnn, *options))


@pytest.mark.fault(41)
def test_texts_are_drawn_until_enough_are_found_or_a_limit_is_reached(
    charrnn: Command, names_c: tuple[str, Path]
) -> None:
    common = ("sample", *names_c, "--seed", "1", "--num", "3")
    done = charrnn(*common, "--match", "^K", "--tries", "40")
    assert done.status == 0
    assert len(done.out.splitlines()) < 3 or not done.err
    done = charrnn(*common, "--match", "^K.*K")
    message = "found 0 of 3 texts among 300; --tries allows more"
    assert one_line_error(done) == message
    done = charrnn(*common, "--beam", "5", "--match", "^K.*K")
    assert one_line_error(done) == "found 0 of 3 texts among 5; --beam allows more"
    done = charrnn(*common, "--match", "^([A-Z])", "--unique", "--tries", "2")
    assert done.err == "found 2 of 3 texts among 2; --tries allows more\n"


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--match", "("), "--match: '(' is not a regular expression"),
        (("--reject", "["), "--reject: '[' is not a regular expression"),
        (("--json", "--null"), "--null and --json contradict each other"),
        (("--scores", "--separator", ";"), "contradict each other"),
        (("--heat", "--json"), "--heat is for plain text; drop it or --json"),
        (("--tries", "5"), "--tries is for"),
        (("--corpus", "x.txt"), "--corpus is for"),
        (("--interactive", "--num", "2"), "--interactive writes one text at a time"),
        (("--interactive", "--json"), "--interactive writes one text at a time"),
        (("--temperature", "0.5,,1"), "not a valid float"),
        (("--temperature", "0.5,-1"), "--temperature must be 0 or more, not -1"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(
    options: tuple[str, ...], named: str, charrnn: Command, names_c: tuple[str, Path]
) -> None:
    done = charrnn("sample", *names_c, *options)
    assert named in one_line_error(done, status=2)


def test_several_temperatures_are_one_after_the_other_in_a_pipe(
    charrnn: Command, names_c: tuple[str, Path]
) -> None:
    common = ("sample", *names_c, "--seed", "1", "--num", "4")
    cold, warm = (charrnn(*common, "--temperature", each).out for each in ("0.2", "1.5"))
    both = charrnn(*common, "--temperature", "0.2,1.5").out.splitlines()
    assert both[::2] == cold.splitlines()
    assert both[1::2] == warm.splitlines()
    records = charrnn(*common, "--temperature", "0.2,1.5", "--json").records
    assert [record["settings"]["temperature"] for record in records] == [0.2] * 4 + [1.5] * 4


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_several_temperatures_stand_side_by_side_on_a_terminal(
    width: str, names_model: Trained, charrnn: Command
) -> None:
    common = ("sample", "-c", names_model.run, "--seed", "1", "--num", "4")
    cold, warm = (charrnn(*common, "--temperature", each).out for each in ("0.2", "1.5"))
    status, shown = on_terminal(*common, "--temperature", "0.2,1.5", env={"COLUMNS": width})
    assert status == 0
    heading, *rows = shown.replace("\r\n", "\n").splitlines()
    assert heading.split(" │ ")[0].strip() == "temperature 0.2"
    assert [row.split("│")[0].strip() for row in rows] == cold.splitlines()
    assert [row.split("│")[1].strip() for row in rows] == warm.splitlines()
    assert all(len(row) <= int(width) for row in rows)


def test_heat_colours_what_is_new_on_a_terminal_alone(
    prose_model: Trained, charrnn: Command
) -> None:
    command = (
        *("sample", "-c", prose_model.run, "--seed", "1", "--length", "40"),
        *("--prime", "the ", "--heat"),
    )
    plain = charrnn(*command).out
    assert "\x1b" not in plain
    status, shown = on_terminal(*command, env={"COLORTERM": "truecolor"})
    assert status == 0
    assert shown.startswith("the \x1b[")
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n") == plain
    assert shown.count("48;2;255;") == len(plain) - len("the \n") - plain[4:-1].count("\n")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(*command, env=environment)[1]
