from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.cli.completion import SHELLS, VARIABLE
from charrnn.cli.main import COMMANDS
from charrnn.models.checkpoint import save_checkpoint
from charrnn.text.labels import Labels
from tests.cli.support import options_of
from tests.conftest import Command
from tests.faults.support import run_process
from tests.support import random_checkpoint


def completions(line: str, shell: str = "bash") -> str:
    """What the program answers to a shell for the word that `line` ends in."""
    words = line.split(" ")
    env = {VARIABLE: f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return run_process(env=env).out


def words(line: str) -> list[str]:
    return [each.removeprefix("plain,") for each in completions(line).splitlines()]


def runs(*names: str) -> None:
    for name in names:
        Path("checkpoints", name).mkdir(parents=True)
        Path("checkpoints", name, "model.safetensors").touch()


def test_commands_are_completed() -> None:
    assert words("charrnn ") == list(COMMANDS)
    assert "score" in words("charrnn s")
    assert "train" not in words("charrnn s")


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_completed(name: str) -> None:
    expected = {option for option in options_of(name) if option.startswith("--")}
    assert {*words(f"charrnn {name} --"), "--help"} >= expected | {"--help"}


def test_choices_runs_and_files_are_completed() -> None:
    runs("names")
    assert words("charrnn train --cell ")[:3] == ["lstm", "gru", "rnn"]
    assert words("charrnn sample -c sh") == ["file,sh", "shakespeare"]
    assert words("charrnn info ") == ["file,", "names", "shakespeare"]
    assert words("charrnn train sh") == ["file,sh"]
    assert words("charrnn completion ") == list(SHELLS)


def test_labels_of_the_model_that_is_named_are_completed() -> None:
    for name, known in (("names", ("Irish", "Italian")), ("colours", ("red",))):
        labels = Labels(known, (1,) * len(known))
        Path("checkpoints", name).mkdir(parents=True)
        model = Path("checkpoints", name, "model.safetensors")
        save_checkpoint(model, random_checkpoint(lines=True, labels=labels))
    assert words("charrnn sample -c names --label I") == ["Irish", "Italian"]
    assert words("charrnn score -c colours --label ") == ["red"]
    assert words("charrnn sample -c nothing --label ") == [""]
    assert words("charrnn sample --label ") == [""]  # which of both?
    Path("checkpoints", ".latest").write_text("colours\n")
    assert words("charrnn sample --label ") == ["red"]


def test_what_is_unknown_is_no_error() -> None:
    assert run_process(env={VARIABLE: "tcsh_complete"}).status == 1
    assert "Traceback" not in completions("charrnn nonsense ")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str, charrnn: Command) -> None:
    result = charrnn("completion", shell)
    assert (result.status, result.err) == (0, "")
    assert f"{VARIABLE}={shell}_complete" in result.out
    assert "%(" not in result.out



def test_bash_completes_what_is_typed(charrnn: Command, tmp_path: Path) -> None:
    runs("shakespeare")
    program = tmp_path / "bin" / "charrnn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    program.chmod(0o755)
    script = charrnn("completion", "bash").out + (
        "compopt() { :; }\n"
        'COMP_WORDS=(charrnn sample -c sha); COMP_CWORD=3; _charrnn_completion charrnn\n'
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "shakespeare\n", done.stderr
