from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.cli.main import COMMANDS, writes_one_text
from tests.cli.support import command_of, options_of
from tests.conftest import Command
from tests.support import Trained, prose


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
    ("sample -c good.txt", 1, "good.txt is not a usable checkpoint", "name a run directory"),
    ("sample -c no_texts", 1, "no_texts has no model.safetensors", "name a run directory"),
    ("sample -c pickle.pt", 1, "a pickle; such files can run code", "name a run directory"),
    ("sample -c half.safetensors", 1, "half.safetensors is not a usable", "copy it again"),
    ("score -c RUN", 2, "give texts", "or - for stdin, or --file FILE"),
    ("sample -c RUN --corpus good.txt", 2, "--corpus is for --novelty", "give one of them"),
    ("sample -c RUN --novelty --encoding utf-8", 2, "are for --corpus", "give that too"),
    ("info RUN -c RUN", 2, "RUN or --checkpoint", "not both"),
    ("sample -c RUN --top-k 2147483649", 2, "must be 0 to 2,147,483,648", "not 2,147,483,649"),
    ("score -c RUN text -f good.txt", 2, "give texts", "or - for stdin, or --file FILE"),
    ("score -c unknown text", 1, "there is no checkpoint unknown", "name a run directory"),
    ("score -c RUN Ωmega --strict", 1, "('Ω')", "drop --strict"),
    ("info unknown", 1, "there is no checkpoint unknown", "name a run directory"),
    ("info good.txt", 1, "good.txt is not a usable checkpoint", "name a run directory"),
    ("info pickle.pt", 1, "a pickle; such files can run code", "name a run directory"),
    ("smaple", 2, "No such command 'smaple'", "did you mean 'sample'?"),
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
    # An environment variable would come too late: another test may have asked torch already.
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


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
    assert done.stderr == b"Error: cannot write standard output: no space left on device\n"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("score", "--help")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_that_cannot_be_written_is_one_line(
    arguments: tuple[str, ...], unbuffered: str
) -> None:
    command = [sys.executable, "-m", "charrnn", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, env=environment
        )
    assert done.returncode == 1
    assert done.stderr == b"Error: cannot write standard output: no space left on device\n"


def test_what_cannot_be_read_is_named(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise OSError(errno.EIO, "Input/output error", "disk.txt")

    monkeypatch.setattr("charrnn.cli.info.find_checkpoint", fail)
    result = charrnn("info")
    assert result.status == 1
    assert result.err == "Error: cannot read or write disk.txt: input/output error\n"


def test_a_traceback_is_shown_on_request(run_charrnn: Command) -> None:
    result = run_charrnn("sample", "-c", "unknown", env={"CHARRNN_DEBUG": "1"})
    assert result.status == 1
    assert "Traceback" in result.err
    assert "CheckpointError" in result.err


def test_names_with_control_characters_do_not_break_the_line(charrnn: Command) -> None:
    result = charrnn("sample", "-c", "a\nb\x1b[31m")
    assert result.err.startswith("Error: there is no checkpoint a\\nb^[[31m;")
    assert len(result.err.splitlines()) == 1
