"""Signals, pipes, closed streams, other locales, hostile text on a terminal. Rows 30-33."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from charrnn.cli.terminal import CONTROLS
from charrnn.models.checkpoint import load_checkpoint, save_checkpoint
from charrnn.text.vocabulary import EOS
from charrnn.training.state import load_run
from tests.conftest import Command
from tests.faults.support import TINY, Job, Launcher, on_terminal, one_line_error, until
from tests.support import Result, prose, random_checkpoint

RUN = Path("run")
MODEL = RUN / "model.safetensors"
TRAINING = RUN / "training.safetensors"
FOREGROUND = (sys.executable, "-m", "tests.faults.foreground")
"""Starts the command line as a terminal does, even where these tests run in the background."""
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SECONDS = 5.0
"""In which a run must be saved and left."""
ENDLESS = (
    *("train", "corpus.txt", "-o", "run", *TINY),
    *("--steps", "1000000", "--validate-every", "100", "--json"),
)
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202egnp.exe\u202c\x7f\x08\r\u2066"


@pytest.fixture(autouse=True)
def corpus(isolation: None) -> None:
    Path("corpus.txt").write_text(prose(30))


@pytest.fixture
def model(isolation: None) -> Path:
    """An untrained model, in the directory `run`, that never ends a text of its own accord."""
    checkpoint = random_checkpoint("ab" + HOSTILE)
    checkpoint.weights["output.bias"][EOS] = -1e6
    RUN.mkdir()
    save_checkpoint(MODEL, checkpoint)
    return RUN


# --- row 30: signals


def stop(job: Job, number: signal.Signals) -> Result:
    """Send a signal; the run must be saved and left in time."""
    started = time.monotonic()
    job.kill(number)
    result = job.wait(SECONDS)
    assert time.monotonic() - started < SECONDS
    assert result.status == STATUS[number], result.err
    assert "Traceback" not in result.err
    return result


def stop_saved(job: Job, number: signal.Signals) -> None:
    """The same; what was saved is fit to go on and to sample from."""
    result = stop(job, number)
    assert result.err.startswith("saved in run; the same command goes on from there")
    assert "interrupted" in [record["event"] for record in result.records]
    load_checkpoint(MODEL)
    assert not load_run(TRAINING).record.finished


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", list(STATUS))
def test_a_signal_while_training_saves_the_run(
    number: signal.Signals, launcher: Launcher
) -> None:
    job = launcher.start(*ENDLESS)
    job.wait_for('"event": "validation"')
    stop_saved(job, number)
    step = load_run(TRAINING).step
    assert step >= 100


@pytest.mark.fault(30)
def test_an_interrupt_says_that_the_run_is_saved(launcher: Launcher) -> None:
    job = launcher.start(*ENDLESS[:-1])
    job.wait_for("step 100: ")
    assert "\nsaved in run; the same command goes on from there\n" in stop(job, signal.SIGINT).err


@pytest.mark.fault(30)
def test_a_signal_while_validating_saves_the_run(launcher: Launcher) -> None:
    Path("corpus.txt").write_text(prose(20_000))
    options = ("--validation", "0.9", "--validate-every", "1", "--steps", "3", "--hidden", "64")
    job = launcher.start(*ENDLESS, *options, "--ngram-order", "0")
    until(TRAINING.exists)
    time.sleep(0.5)  # one step takes a millisecond, a validation many seconds
    assert '"event": "validation"' not in job.out
    stop_saved(job, signal.SIGTERM)
    assert load_run(TRAINING).step == 1


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_text_is_read_leaves_at_once(
    number: signal.Signals, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    Path("corpus.txt").write_text(prose(300_000))
    job = launcher.start(*ENDLESS)
    until(Path("cache").exists)
    result = stop(job, number)
    assert result.out == ""
    assert result.err.strip() == ""
    assert [path.name for path in Path("cache").iterdir() if "partial" in path.name] == []


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("imported", ["torch.torch_version", "torch.nn.functional"])
def test_a_signal_while_torch_is_imported_leaves_at_once(
    number: signal.Signals, imported: str
) -> None:
    with subprocess.Popen(
        [*FOREGROUND, *ENDLESS],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith(f" {imported}\n"):
                break
        process.send_signal(number)
        err = process.stderr.read()
        process.wait(SECONDS)
    assert process.returncode == STATUS[number], err
    assert "Traceback" not in err


@pytest.mark.fault(30)
def test_a_second_interrupt_quits_at_once(launcher: Launcher) -> None:
    hanging = launcher.start(*ENDLESS, fault={"at": 30, "error": "HANG"})
    hanging.wait_for('"event": "validation"')
    time.sleep(0.2)
    hanging.kill(signal.SIGINT)
    time.sleep(0.5)
    started = time.monotonic()
    hanging.kill(signal.SIGINT)
    result = hanging.wait(SECONDS)
    assert time.monotonic() - started < 1
    assert result.status == 130
    assert "Traceback" not in result.err
    load_run(TRAINING)
    resumed = launcher.start(*ENDLESS)
    resumed.wait_for('"event": "validation"')
    assert json.loads(resumed.out.splitlines()[0])["resumed"]
    stop_saved(resumed, signal.SIGTERM)


@pytest.mark.fault(30)
def test_a_signal_sent_twice_at_once_is_one(launcher: Launcher) -> None:
    # As GNU timeout does: to the process, and then to its group.
    job = launcher.start(*ENDLESS)
    job.wait_for('"event": "validation"')
    job.kill(signal.SIGTERM)
    stop_saved(job, signal.SIGTERM)


@pytest.mark.fault(30)
def test_under_nohup_a_lost_terminal_is_no_reason_to_stop(launcher: Launcher) -> None:
    job = launcher.start(*ENDLESS, "--steps", "300", ignored=signal.SIGHUP)
    job.wait_for('"event": "start"')
    job.kill(signal.SIGHUP)
    done = job.wait()
    assert done.status == 0
    assert done.records[-1]["event"] == "done"


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_sampling_is_silent(
    number: signal.Signals, model: Path, launcher: Launcher
) -> None:
    command = ("sample", "-c", "run", "--length=9999999", "--seed=1")
    with launcher.start(*command, stdout=PIPE) as job:
        job.pipes["stdout"].read(100)
        job.kill(number)
        job.pipes["stdout"].read()
        ended = job.wait(SECONDS)
    assert ended.status == STATUS[number]
    assert ended.err.strip() == ""


# --- row 31: readers that leave, streams that are closed or full


def shell(command: str) -> Result:
    """Run a shell command in which `charrnn` is the program."""
    program = f"charrnn() {{ {sys.executable} -m charrnn \"$@\"; }}; set -o pipefail; "
    done = subprocess.run(
        ["bash", "-c", program + command], capture_output=True, text=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "command",
    [
        "sample -c run --length 1000000 --seed 1 | head -c 50",
        "sample -c run --num 100000 --length 5 --seed 1 | head -1",
        "sample -c run --num 100000 --length 5 --seed 1 --json | head -1",
        "score -c run --json - < many.txt | head -1",
        "score -c run -f many.txt | head -1",
    ],
)
def test_a_reader_that_leaves_ends_the_command_in_silence(command: str, model: Path) -> None:
    Path("many.txt").write_text("abba\n" * 50_000)
    done = shell(f"charrnn {command}")
    assert (done.status, done.err) == (0, "")
    assert done.out


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "command",
    [
        *("--help", "--version", "sample --help", "info run", "score -c run ab"),
        *("sample -c run --length 5 --seed 1", "evaluate -c run corpus.txt"),
    ],
)
@pytest.mark.parametrize("redirection", [">&-", "> /dev/full"])
def test_output_that_cannot_be_written_is_an_error(
    command: str, redirection: str, model: Path
) -> None:
    done = shell(f"charrnn {command} {redirection}")
    message = one_line_error(done)
    full = "cannot write standard output: no space left on device"
    assert (full if "full" in redirection else "standard output is closed") in message


@pytest.mark.fault(31)
@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full", "2>&- < /dev/null", "< /dev/null"])
def test_notes_that_cannot_be_written_are_no_error(redirection: str, model: Path) -> None:
    done = shell(f"charrnn sample -c run --length 5 --argmax {redirection}")
    assert done.status == 0
    assert len(done.out) == 6


@pytest.mark.fault(31)
def test_with_every_stream_closed_a_run_is_trained(launcher: Launcher) -> None:
    options = " ".join(ENDLESS).replace("1000000", "3").replace("--json", "-q")
    done = shell(f"charrnn {options} <&- >&- 2>&-")
    assert done.status == 0
    assert load_run(TRAINING).record.finished
    assert (RUN / "log.jsonl").read_text().count("\n") == len(
        [json.loads(line) for line in (RUN / "log.jsonl").read_text().splitlines()]
    )


@pytest.mark.fault(31)
def test_a_run_whose_events_nobody_reads_is_saved(launcher: Launcher) -> None:
    os.mkfifo("events")
    first: list[str] = []

    def read_one() -> None:
        with Path("events").open() as events:
            first.append(events.readline())

    reader = threading.Thread(target=read_one)
    reader.start()
    job = launcher.start(*ENDLESS, stdout="events")
    reader.join()
    stopped = Result((done := job.wait(SECONDS)).status, "", done.err)
    assert json.loads(first[0])["event"] == "start"
    message = one_line_error(stopped)
    assert message.startswith("cannot report progress: broken pipe; the run is saved in run")
    load_checkpoint(MODEL)
    assert load_run(TRAINING).step > 0


@pytest.mark.fault(31)
def test_events_that_do_not_fit_on_the_disk_are_an_error(launcher: Launcher) -> None:
    done = launcher.run(*ENDLESS, stdout="/dev/full")
    assert "no space left on device" in one_line_error(done).lower()


# --- row 32: other locales


def run_anywhere(*arguments: str | Path, env: dict[str, str]) -> Result:
    """Run the command line where its output need not be UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **env},
        encoding="latin-1",
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_any_text_can_be_written_in_any_locale(
    environment: dict[str, str],
) -> None:
    text = "aé€あ\U0001f600"
    directory = Path("räum/あ")
    directory.mkdir(parents=True)
    save_checkpoint(directory / "model.safetensors", random_checkpoint(text))
    (directory / "text.txt").write_text(text + "\n", "utf-8")
    for command in (
        ("sample", "-c", directory, "--prime-file", directory / "text.txt", "--length", "0"),
        ("score", "-c", directory, text, "--per-character"),
        ("info", directory),
    ):
        done = run_anywhere(*command, env=environment)
        assert done.status == 0, done.err
        assert "Error" not in done.err
    one_line_error(run_anywhere("sample", "-c", directory / "missing", env=environment))


@pytest.mark.fault(32)
def test_a_run_is_trained_in_any_locale(launcher: Launcher, run_charrnn: Command) -> None:
    Path("räum").mkdir()
    Path("räum/text.txt").write_text("aé€あ\U0001f600" * 40, "utf-8")
    command = ("train", "räum/text.txt", "-o", "checkpoints/räum-あ", *TINY, "--steps", "2")
    environment = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run_charrnn(*command, env=environment)
    assert done.status == 0, done.err
    assert "checkpoint:" in run_charrnn("sample", "--length", "3", env=environment).err
    assert "checkpoint:" in run_charrnn("sample", "--length", "3").err


# --- row 33: hostile text


def no_controls(shown: str) -> None:
    """Nothing on a terminal that could move its cursor, or hide or reorder text."""
    found = {f"U+{ord(each):04X}" for each in shown.replace("\r\n", "\n") if ord(each) in CONTROLS}
    assert not found, shown


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    "command",
    [
        ("sample", "-c", "run", "--length", "300", "--seed", "1"),
        ("sample", "-c", "run", "--length", "0", "--prime", HOSTILE),
        ("sample", "-c", "run", "--num", "5", "--length", "50", "--seed", "1"),
        ("sample", "-c", "run", "--length", "9", "--seed", "1", "--json"),
        ("score", "-c", "run", HOSTILE),
        ("score", "-c", "run", HOSTILE + "unknown \x1b\x1a"),
        ("score", "-c", "run", "--per-character", "--json", HOSTILE),
        ("info", "run"),
        ("info", "run", "--json"),
        ("info", HOSTILE.replace("/", "")),
        ("sample", "-c", "run", "--strict", "--prime", "\x1a\u2069"),
        ("evaluate", "-c", "run", HOSTILE),
    ],
)
def test_no_command_writes_control_characters_to_a_terminal(
    command: tuple[str, ...], model: Path
) -> None:
    checkpoint = load_checkpoint(model)
    corpus = {"names": [HOSTILE], HOSTILE: HOSTILE}
    save_checkpoint(MODEL, replace(checkpoint, corpus=corpus, training={HOSTILE: [HOSTILE]}))
    _, shown = on_terminal(*command)
    assert shown
    no_controls(shown)


@pytest.mark.fault(33)
def test_control_characters_are_shown_on_a_terminal_and_raw_elsewhere(
    model: Path, run_charrnn: Command
) -> None:
    command = ("sample", "-c", "run", "--length", "0", "--seed", "1", "--prime", HOSTILE)
    _, shown = on_terminal(*command)
    assert shown == (
        "^[]52;c;aGk=^G^[[2J\\u009b31m\\u202egnp.exe\\u202c^?^H^M\\u2066\r\n"
    )
    assert HOSTILE in on_terminal(*command, "--raw")[1]
    assert run_charrnn(*command).out == HOSTILE + "\n"


@pytest.mark.fault(33)
def test_a_heat_map_is_made_of_colours_alone(model: Path) -> None:
    status, shown = on_terminal("score", "-c", "run", "--per-character", HOSTILE + "[/nope]:smile:")
    assert status == 0
    colours = shown.replace("\x1b[", "").replace("\r\n", "\n")
    no_controls(colours)
    assert "^[]52" in "".join(character for character in plain(shown))
    assert "[/nope]:smile:" in plain(shown)


def plain(shown: str) -> str:
    """What a terminal shows, without its colours."""
    first, *rest = shown.split("\x1b[")
    return first + "".join(part.partition("m")[2] for part in rest)


@pytest.mark.fault(33)
def test_generated_text_is_not_markup_on_a_terminal() -> None:
    text = "[/nope]:smile:[bold]\x1b[2J\u202e\n"
    Path("markup.txt").write_text(text * 100)
    options = (
        *("--layers", "1", "--hidden", "48", "--batch", "16", "--chunk", "16"),
        *("--ngram-order", "0", "--rate", "0.02", "--steps", "200", "--validate-every", "100"),
        *("--device", "cpu"),
    )
    status, shown = on_terminal("train", "markup.txt", "-o", "run", *options)
    assert status == 0
    assert "| [/nope]:smile:[bold]^[[2J\\u202e" in plain(shown)
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown


@pytest.mark.fault(33)
def test_generated_text_is_not_markup_elsewhere(model: Path, run_charrnn: Command) -> None:
    for options in ((), ("--json",), ("--num", "2")):
        command = ("sample", "-c", "run", "--prime", "[/nope]:smile:", "--length", "0", *options)
        assert "[/nope]:smile:" in run_charrnn(*command).out
