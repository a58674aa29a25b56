"""Exact resume: a run that is interrupted goes on as if nothing had happened, to the last bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from charrnn.cli import main as cli
from charrnn.models.ensemble import Ensemble
from charrnn.models.torch_reader import TorchReader
from charrnn.models.torch_rnn import TorchRNN
from charrnn.text import vocabulary
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.training import clock, closing, state
from charrnn.training import session as training_run
from charrnn.training.gradients import shards_for
from charrnn.training.trainer import Trainer
from tests.conftest import Command
from tests.faults.support import TINY, Launcher, forged, history, one_line_error, parts
from tests.support import labelled_lines, later_wins, names, prose

STEPS = 12
EVERY = 4
SIZES = (*TINY, "--batch", "16", "--chunk", "16")
CONFIGURATIONS = {
    "lstm": (),
    "dropout": ("--layers", "2", "--dropout", "0.5"),
    "gru": ("--cell", "gru"),
    "rnn": ("--cell", "rnn", "--layers", "2"),
    "rnn-relu": ("--cell", "rnn-relu"),
    "output-layers": ("--output-layers", "2", "--output-hidden", "12", "--dropout", "0.3"),
    "bfloat16": ("--precision", "bfloat16"),
    "lines": ("--lines", "--dropout", "0.3", "--layers", "2"),
    "gru-lines-bfloat16": ("--cell", "gru", "--lines", "--precision", "bfloat16"),
    "labelled": ("--labelled", "--dropout", "0.3"),
    "no-penalty": ("--activation-penalty", "0"),
    "recent": ("--recent", "1000", "--dropout", "0.3"),
    "bidirectional": ("--bidirectional", "--dropout", "0.3"),
    "bidirectional-lines": ("--bidirectional", "--lines", "--layers", "2"),
    "without-validation": ("--validation", "0"),
    "networks": ("--networks", "2", "--dropout", "0.3"),
    "networks-lines": ("--networks", "3", "--lines", "--cell", "gru"),
}
"""Options besides SIZES."""
EVERYWHERE = ("dropout", "lines")
"""The configurations that are interrupted in every one of their steps, over two epochs."""
ELSEWHERE = tuple(name for name in CONFIGURATIONS if name not in EVERYWHERE)
POINTS = [
    *((name, "step", at) for name in EVERYWHERE for at in range(STEPS)),
    *((name, "step", at) for name in ELSEWHERE for at in (0, 4, 11)),
    *((name, "validation", at) for name in (*EVERYWHERE, *ELSEWHERE[:-5]) for at in (0, 1, 2)),
    *(("bidirectional", "reading", at) for at in (0, 2)),
    *(("networks", "together", at) for at in (0, 2)),
]
"""Configuration, what is going on, which time."""
BUSY = {
    "step": (Trainer, "train_step"),
    "validation": (TorchRNN, "score"),
    "reading": (TorchReader, "predict"),
    "together": (Ensemble, "score"),
}


def test_there_are_enough_points() -> None:
    assert len(POINTS) >= 50


def signal_at(
    monkeypatch: pytest.MonkeyPatch, what: str, at: int, number: int = signal.SIGINT
) -> None:
    """Let call `at` of what is in BUSY be interrupted by a signal."""
    owner, name = BUSY[what]
    work: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == at:
            os.kill(os.getpid(), number)
        return work(*arguments, **keywords)

    monkeypatch.setattr(owner, name, interrupted)


def corpus(labelled: bool = False) -> str:
    """A file that serves as one text and as lines, or one of labelled lines."""
    path = Path("labelled.tsv" if labelled else "corpus.txt")
    if not path.exists():
        text = prose(30) + "".join(name + "\n" for name in names(60))
        path.write_text(labelled_lines(150) if labelled else text)
    return str(path)


def train(output: str, *options: str) -> int:
    """Train in this process; the exit status."""
    steps = ("--steps", str(STEPS), "--validate-every", str(EVERY))
    text = corpus("--labelled" in options)
    return cli.run(later_wins(["train", text, "-o", output, "-q", *SIZES, *steps, *options]))


class Uninterrupted:
    """Runs that were left alone, by their options; each is made once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[tuple[str, ...], Path] = {}

    def __call__(self, *options: str) -> Path:
        if options not in self._made:
            run = self._directory / str(len(self._made))
            assert train(str(run), *options) == 0
            self._made[options] = run
        return self._made[options]


@pytest.fixture
def two_threads() -> Iterator[None]:
    """As many as it takes for a batch to be split."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert shards_for(16, workers=2) == 2
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    return Uninterrupted(tmp_path_factory.mktemp("uninterrupted"))


def assert_same(run: str, other: Path) -> None:
    """Both ended with the same losses, the same file, and the same memory of the optimisers."""
    model = Path(run) / "model.safetensors"
    assert history(model) == history(other / "model.safetensors")
    assert model.read_bytes() == (other / "model.safetensors").read_bytes()
    resumed, whole = (
        parts((at / "training.safetensors").read_bytes()) for at in (Path(run), other)
    )
    assert resumed[0] == whole[0]
    assert resumed[2] == whole[2]


@pytest.mark.fault(30)
@pytest.mark.parametrize(("name", "what", "at"), POINTS)
def test_a_run_interrupted_anywhere_ends_as_if_left_alone(
    name: str, what: str, at: int, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = uninterrupted(*CONFIGURATIONS[name])
    number, status = [(signal.SIGINT, 130), (signal.SIGTERM, 143)][at % 2]
    with monkeypatch.context() as patch:
        signal_at(patch, what, at, number)
        assert train("run", *CONFIGURATIONS[name]) == status
    assert (Path("run") / "model.safetensors").exists()
    assert train("run", *CONFIGURATIONS[name]) == 0
    assert_same("run", expected)


@pytest.mark.parametrize("at", [0, 5, 11])
@pytest.mark.parametrize("name", ["dropout", "gru-lines-bfloat16", "networks"])
def test_texts_that_are_shared_out_to_threads_change_nothing(
    name: str, at: int, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("whole", *CONFIGURATIONS[name]) == 0
    with monkeypatch.context() as patch:
        signal_at(patch, "step", at)
        assert train("run", *CONFIGURATIONS[name]) == 130
    assert train("run", *CONFIGURATIONS[name]) == 0
    assert_same("run", Path("whole"))


def test_the_steps_reach_over_the_edges_of_epochs(charrnn: Command) -> None:
    for name in EVERYWHERE:
        options = (*SIZES, *CONFIGURATIONS[name], "--steps", str(STEPS), "--json")
        start = charrnn("train", corpus(), "-o", name, *options).records[0]
        assert start["epochs"] >= 2


@pytest.mark.fault(30)
@pytest.mark.parametrize("name", ["dropout", "gru-lines-bfloat16"])
def test_a_run_interrupted_in_every_step_ends_as_if_left_alone(
    name: str, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = 0
    while True:
        with monkeypatch.context() as patch:
            signal_at(patch, "step", 0)
            status = train("run", *CONFIGURATIONS[name])
        if status == 0:
            break
        sessions += 1
        assert status == 130
    assert sessions == STEPS
    assert_same("run", uninterrupted(*CONFIGURATIONS[name]))


@pytest.mark.fault(30)
def test_a_run_interrupted_while_the_mixture_is_fitted_goes_on_to_fit_it(
    uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(BUSY, "fit", (closing, "fit_mixture"))
        signal_at(patch, "fit", 0, signal.SIGTERM)
        assert train("run") == 143
    assert train("run") == 0
    assert_same("run", uninterrupted())


def test_a_run_that_stops_early_ends_at_the_same_place(
    uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--patience", "1", "--rate", "2", "--validate-every", "2")
    expected = uninterrupted(*options)
    assert len(history(expected / "model.safetensors")) < STEPS // 2
    for at in (1, 2, 3):
        with monkeypatch.context() as patch:
            signal_at(patch, "step", at)
            assert train(f"run{at}", *options) == 130
        assert train(f"run{at}", *options) == 0
        assert_same(f"run{at}", expected)


# --- with --minutes: the number of steps is fixed at the start, and saved


def train_minutes(
    output: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str | None = None,
    at: int = 0,
    networks: int = 1,
) -> int:
    """Train for about 1.3 seconds, on a clock that stands still once the run has been planned."""
    now = time.monotonic()
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now))
    if what is not None:
        signal_in_the_run(monkeypatch, what, at)
    budget = ("--minutes", "0.03", "--ngram-order", "0", "--patience", "0")
    several = () if networks == 1 else ("--networks", str(networks))
    return cli.run(later_wins(["train", corpus(), "-o", output, "-q", *SIZES, *budget, *several]))


def signal_in_the_run(monkeypatch: pytest.MonkeyPatch, what: str, at: int) -> None:
    """As `signal_at`, not counting what is done to plan the run: from its first save on."""
    save = state.save_run
    saves = count()

    def save_run(*arguments: Any) -> None:
        save(*arguments)
        if next(saves) == 0:
            signal_at(monkeypatch, what, at)

    monkeypatch.setattr(training_run, "save_run", save_run)


@pytest.mark.fault(30)
@pytest.mark.parametrize(("what", "at"), [("step", 6), ("validation", 1)])
def test_a_run_by_the_clock_is_the_same_however_often_it_is_interrupted(
    what: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        assert train_minutes("once", patch, what, at) == 130
    planned = parts(Path("once/training.safetensors").read_bytes())[1]["settings"]["steps"]
    shutil.copytree("once", "again")
    with monkeypatch.context() as patch:
        assert train_minutes("once", patch) == 0
    with monkeypatch.context() as patch:
        assert train_minutes("again", patch, "step", 3) == 130
    with monkeypatch.context() as patch:
        assert train_minutes("again", patch) == 0
    assert_same("again", Path("once"))
    assert int(float.fromhex(history(Path("once/model.safetensors"))[-1]["step"])) == planned


@pytest.mark.parametrize("networks", [1, 2])
def test_the_flags_of_a_run_by_the_clock_repeat_it(
    networks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        assert train_minutes("clock", patch, networks=networks) == 0
    start = json.loads(Path("clock/log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert cli.run(["train", corpus(), "-o", "flags", "-q", *start["flags"].split()]) == 0
    models = [parts(Path(run, "model.safetensors").read_bytes()) for run in ("clock", "flags")]
    assert models[0][2] == models[1][2]


# --- on the command line


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_goes_on_to_the_last_bit(
    number: signal.Signals, launcher: Launcher, uninterrupted: Uninterrupted
) -> None:
    options = ("--steps", "400", "--validate-every", "100")
    command = ("train", corpus(), "-o", "run", *SIZES, *options)
    job = launcher.start(*command, "--json")
    job.wait_for('"event": "validation"')
    job.kill(number)
    stopped = job.wait(5)
    assert stopped.status == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert [record["event"] for record in stopped.records][-1] in {"interrupted", "checkpoint"}
    assert stopped.err == "saved in run; the same command goes on from there\n"
    resumed = launcher.run(*command)
    assert resumed.status == 0
    assert "resuming at step" in resumed.err
    assert "warning" not in resumed.err
    assert_same("run", uninterrupted(*options))


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unfinished run in the directory `run`."""
    with monkeypatch.context() as patch:
        signal_at(patch, "step", 5)
        assert train("run") == 130
    return Path("run")


@pytest.mark.fault(25)
def test_a_changed_corpus_is_refused(interrupted: Path, launcher: Launcher) -> None:
    before = (interrupted / "training.safetensors").read_bytes()
    Path(corpus()).write_text(prose(31))
    steps = ("--steps", str(STEPS), "--validate-every", str(EVERY))
    message = one_line_error(launcher.run("train", corpus(), "-o", "run", *SIZES, *steps))
    assert "another corpus, or the corpus has changed" in message
    assert "--fresh" in message
    assert (interrupted / "training.safetensors").read_bytes() == before
    assert launcher.run("train", corpus(), "-o", "run", *SIZES, *steps, "--fresh").status == 0


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    ("option", "difference"),
    [
        (("--seed", "4"), "with --seed 3, not 4; repeat that"),
        (("--lines",), "without --lines; leave it out"),
        (("--rate", "0.5"), "without --rate; leave it out"),
        (("--steps", "13"), "with --steps 12, not 13; repeat that"),
        (("--cell", "gru"), "with --cell lstm, not gru; repeat that"),
        (("--min-count", "2"), "without --min-count; leave it out"),
        (("--encoding", "latin-1"), "without --encoding; leave it out"),
    ],
)
def test_another_option_is_refused_by_name(
    option: tuple[str, ...], difference: str, interrupted: Path, launcher: Launcher
) -> None:
    steps = ("--steps", str(STEPS), "--validate-every", str(EVERY))
    message = one_line_error(launcher.run("train", corpus(), "-o", "run", *SIZES, *steps, *option))
    assert f"the unfinished run in run was started {difference} to go on, or start" in message
    assert "--fresh" in message


def test_a_run_keeps_the_min_count_that_it_was_started_with(
    monkeypatch: pytest.MonkeyPatch, uninterrupted: Uninterrupted
) -> None:
    expected = uninterrupted()
    with monkeypatch.context() as patch:
        signal_at(patch, "step", 5)
        assert train("run") == 130
    monkeypatch.setattr(vocabulary, "LARGE_VOCABULARY", 1)
    monkeypatch.setattr(vocabulary, "ENOUGH_RARE", 0)
    monkeypatch.setattr("charrnn.text.corpus.LARGE_VOCABULARY", 1)
    monkeypatch.setenv("CHARRNN_CACHE", "another")  # the old one holds the text
    assert load_corpus([corpus()], Reading(), None).min_count == 2
    assert train("run") == 0
    assert_same("run", expected)


@pytest.mark.fault(36)
def test_another_number_of_threads_is_warned_of(
    interrupted: Path, run_charrnn: Command
) -> None:
    steps = ("--steps", str(STEPS), "--validate-every", str(EVERY))
    command = ("train", corpus(), "-o", "run", *SIZES, *steps)
    resumed = run_charrnn(*command, env=dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "2"))
    assert resumed.status == 0
    warning = "warning: resumed with threads 2, started with 1: the last bits may differ"
    assert warning in resumed.err
    assert "; cpu, 2 threads" in resumed.err


@pytest.mark.fault(36)
@pytest.mark.parametrize(("name", "value"), [("torch", "1.0.0"), ("device", "cuda")])
def test_another_machine_is_warned_of(
    name: str, value: str, interrupted: Path, launcher: Launcher
) -> None:
    path = interrupted / "training.safetensors"
    header, description, buffer = parts(path.read_bytes())
    description["record"]["environment"][name] = value
    path.write_bytes(forged(header, description, buffer))
    steps = ("--steps", str(STEPS), "--validate-every", str(EVERY))
    resumed = launcher.run("train", corpus(), "-o", "run", *SIZES, *steps)
    assert resumed.status == 0
    assert f"warning: resumed with {name} " in resumed.err
    assert f"started with {value}" in resumed.err


@pytest.mark.fault(25)
def test_a_finished_run_is_not_overwritten(launcher: Launcher) -> None:
    command = ("train", corpus(), "-o", "run", *SIZES, "--steps", "2")
    assert launcher.run(*command).status == 0
    before = Path("run/model.safetensors").read_bytes()
    assert "finished" in one_line_error(launcher.run(*command))
    assert Path("run/model.safetensors").read_bytes() == before


def test_a_run_goes_on_with_the_text_held_out_by_the_default_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The text is prepared by the saved fraction, although the default has become another one."""
    with monkeypatch.context() as patch:
        patch.setattr("charrnn.training.data.VALIDATION_CHARACTERS", 100)
        assert train("whole") == 0
        signal_at(patch, "step", 6)
        assert train("run") == 130
    assert train("run") == 0
    assert_same("run", Path("whole"))
