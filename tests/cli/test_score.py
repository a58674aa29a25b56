from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.cli.support import FIGURES
from tests.conftest import Command
from tests.faults.support import Launcher, on_terminal
from tests.support import Trained, prose


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


@pytest.mark.parametrize("as_csv", [False, True])
def test_characters_are_long_rows(
    as_csv: bool, charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    command = ("score", *prose_c, "--eos", "a\nb", "", "the Ω,")
    scores = charrnn(*command, "--json").records
    out = charrnn(*command, "--per-character", *(["--csv"] if as_csv else [])).out
    delimiter, end = (",", "\n") if as_csv else ("\t", "\\n")
    header, *rows = csv.reader(io.StringIO(out), delimiter=delimiter)
    assert header == ["number", "position", "character", "nats", "unknown"]
    assert [row[2] for row in rows] == ["a", end, "b", "<EOS>", *"the Ω,", "<EOS>"]
    assert [row[0] for row in rows] == ["1"] * 4 + ["3"] * 7
    assert [row[1] for row in rows] == [*"1234", *"1234567"]
    assert [row[2] for row in rows if row[4] == "1"] == ["Ω", ","]
    for number, score in zip("13", scores, strict=True):
        total = sum(float(row[3]) for row in rows if row[0] == number)
        assert total == pytest.approx(-score["log_probability"], rel=1e-4)


def test_csv_has_the_columns_of_the_table(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    texts = ("the cat", 'say "no", and\nmore')
    table = charrnn("score", *prose_c, *texts).out.splitlines()
    rows = list(csv.reader(io.StringIO(charrnn("score", *prose_c, "--csv", *texts).out)))
    assert [row[:-1] for row in rows] == [line.split("\t")[:-1] for line in table]
    assert [row[-1] for row in rows] == ["text", *texts]
    assert charrnn("score", *prose_c, "--csv", "--json", "a").status == 2


def test_the_likeliest_text_comes_first(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    texts = ("was tac eht", "the cat saw", "a dog", "xxxxxxxxxxxxxxxx")
    found = charrnn("score", *prose_c, "--json", "--sort", *texts).records
    scores = [record["log_probability"] for record in found]
    assert scores == sorted(scores, reverse=True)
    assert {record["text"] for record in found} == set(texts)
    piped = charrnn("score", *prose_c, "--json", "--sort", "-", stdin="\n".join(texts)).records
    assert [record["text"] for record in piped] == [record["text"] for record in found]


def test_several_models_score_each_text(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    texts = ("the cat", "Tomara")
    both = charrnn("score", *prose_c, *names_c, "--json", *texts).records
    assert both[::2] == charrnn("score", *prose_c, "--json", *texts).records
    assert [each["text"] for each in both] == ["the cat"] * 2 + ["Tomara"] * 2
    header, *rows = (
        line.split("\t") for line in charrnn("score", *prose_c, *names_c, *texts).out.splitlines()
    )
    assert header[0] == "checkpoint"
    assert [row[0] for row in rows] == ["prose/run", "names/run"] * 2
    assert [float(row[1]) for row in rows] == pytest.approx(
        [each["log_probability"] for each in both], rel=1e-4
    )


def test_a_comparison_with_unknown_characters_is_warned_of(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    assert "do not compare" in charrnn("score", *prose_c, *names_c, "the cat").err
    assert "do not compare" not in charrnn("score", *prose_c, *names_c, "mane").err
    assert "do not compare" not in charrnn("score", *prose_c, "Ω").err


def test_a_file_that_is_not_there_is_all_that_is_said(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    done = charrnn("score", *prose_c, "-f", "missing.txt")
    assert (done.status, done.out) == (1, "")


def test_files_have_encodings(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    Path("latin.txt").write_bytes("the café\n".encode("latin-1"))
    common = ("score", *prose_c, "--json", "-f", "latin.txt")
    assert charrnn(*common, "--encoding", "latin-1").records[0]["text"] == "the café"
    assert charrnn(*common, "--errors", "replace").records[0]["text"] == "the caf\ufffd"
    assert "is not utf-8 text" in charrnn(*common).err


def test_texts_come_from_arguments_stdin_or_a_file(
    charrnn: Command, prose_c: tuple[str, Path]
) -> None:
    texts = ["the cat", "", "a dog", "nothing at all"]
    expected = charrnn("score", *prose_c, "--json", *texts).records
    assert [record["text"] for record in expected] == [text for text in texts if text]
    for end in ("\n", "\r\n"):
        Path("texts.txt").write_bytes(end.join(texts).encode())
        piped = charrnn("score", *prose_c, "--json", "-", stdin=end.join(texts) + end)
        assert piped.records == expected
        assert charrnn("score", *prose_c, "--json", "-f", "texts.txt").records == expected
        # The last line, which no newline ends, is scored alone: it differs by rounding.
        piped = charrnn("score", *prose_c, "--json", "-f", "-", stdin=end.join(texts))
        assert piped.records[:-1] == expected[:-1]
        last, same = piped.records[-1], expected[-1]
        assert last["text"] == same["text"]
        assert last["log_probability"] == pytest.approx(same["log_probability"], rel=1e-5)


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


# --- empty texts


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("", "the cat", "", "a dog"), ""),
        (("-",), "\nthe cat\n\r\na dog\n"),
        (("-f", "texts.txt"), ""),
    ],
)
def test_empty_texts_are_skipped_and_counted(
    arguments: tuple[str, ...], stdin: str, as_json: tuple[str, ...], charrnn: Command,
    prose_c: tuple[str, Path],
) -> None:
    Path("texts.txt").write_bytes(b"\nthe cat\n\r\na dog\n")
    result = charrnn("score", *prose_c, *as_json, *arguments, stdin=stdin)
    assert (result.status, result.err) == (0, "2 empty texts skipped\n")
    assert result.out == charrnn("score", *prose_c, *as_json, "the cat", "a dog").out


def test_one_empty_text_is_skipped_whether_or_not_its_end_counts(
    charrnn: Command, prose_c: tuple[str, Path], names_c: tuple[str, Path]
) -> None:
    for checkpoint in (prose_c, names_c):
        result = charrnn("score", *checkpoint, "--eos", "")
        assert (result.status, result.err) == (0, "1 empty text skipped\n")
        assert len(result.out.splitlines()) == 1


def test_spaces_are_a_text(charrnn: Command, prose_c: tuple[str, Path]) -> None:
    result = charrnn("score", *prose_c, "--json", "  ")
    assert result.err == ""
    assert result.records[0]["characters"] == 2


# --- standard input as it arrives


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_each_line_of_stdin_is_answered_before_the_next_is_written(
    options: tuple[str, ...], prose_model: Trained, launcher: Launcher
) -> None:
    command = ("score", "-c", str(prose_model.run), "-", *options)
    with launcher.start(*command, stdin=PIPE, stdout=PIPE) as job:
        lines, answers = job.pipes["stdin"], job.pipes["stdout"]
        if not options:
            assert answers.readline().endswith(b"text\n")
        for text in (b"the cat", b"a dog", b"nothing at all"):
            lines.write(text + b"\n")
            lines.flush()
            assert text in answers.readline()  # would wait forever without an answer
        lines.close()
        assert answers.read() == b""
    assert job.wait().status == 0


def test_each_line_typed_on_a_terminal_is_answered_at_once(
    prose_model: Trained, launcher: Launcher
) -> None:
    typed, keyboard = os.openpty()
    command = ("score", "-c", prose_model.run, "-", "--json")
    with launcher.start(*command, stdin=keyboard, stdout=PIPE) as job:
        os.close(keyboard)
        for text in ("the cat", "a dog"):
            os.write(typed, text.encode() + b"\n")
            assert json.loads(job.pipes["stdout"].readline())["text"] == text
        os.write(typed, b"\x04")
        assert job.wait().status == 0
    os.close(typed)


# --- one very long line


def test_a_line_twice_as_long_does_not_take_four_times_as_long(
    charrnn: Command, prose_c: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is quadratic in the number of blocks that a line is read in takes four times as long."""
    for name, module in list(sys.modules.items()):
        if name.startswith("charrnn.text.") and hasattr(module, "BLOCK"):
            monkeypatch.setattr(module, "BLOCK", 256)
    for arguments in (("-f", "long.txt"), ("-",)):
        seconds = []
        for size in (1 << 20, 1 << 21):
            text = b"a" * size + b"\x01\n"  # refused once it is read, before it is scored
            Path("long.txt").write_bytes(text)
            stdin = b"" if arguments[0] == "-f" else text
            started = time.process_time()
            result = charrnn("score", *prose_c, "--strict", *arguments, stdin=stdin)
            seconds.append(time.process_time() - started)
            assert "1 distinct characters are not in the model's vocabulary" in result.err
        assert seconds[1] < 3 * seconds[0]


# --- on a terminal


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_a_terminal_shows_an_aligned_table(
    width: str, prose_model: Trained, names_model: Trained
) -> None:
    texts = ("the cat saw the old man and my sister.", "mane")
    command = ("score", "-c", prose_model.run, "--no-eos", *texts)
    status, shown = on_terminal(*command, env={"COLUMNS": width})
    assert status == 0
    heading, first, second = shown.replace("\r\n", "\n").splitlines()
    assert max(map(len, (heading, first, second))) <= int(width)
    assert second.index("mane") == heading.index("text") == first.index("the cat")
    assert ("perplexity" in heading) == (width != "40")
    status, shown = on_terminal(*command, "-c", names_model.run, env={"COLUMNS": width})
    lines = shown.replace("\r\n", "\n").splitlines()
    assert any(line.endswith("  mane") and len(line.split()) == 3 for line in lines)


def test_who_types_is_told_what_is_waited_for(prose_model: Trained) -> None:
    shown = on_terminal("score", "-c", prose_model.run, "-", press="the cat\n\x04", after="ends")[1]
    assert shown.index("type a text and press Enter") < shown.index("nats")
    assert shown.replace("\r\n", "\n").splitlines()[-1].endswith("the cat")
