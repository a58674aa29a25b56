"""What the tests of the commands need: their options, a quick run, the keys of a score."""

from __future__ import annotations

from pathlib import Path

import click

from charrnn.cli.main import program
from tests.conftest import Command
from tests.support import QUICK, prose

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


def train(charrnn: Command, *options: str | Path, steps: int = 2, text: str = "") -> str:
    """Train for a moment in this process; what stderr says."""
    Path("corpus.txt").write_bytes((text or prose(40)).encode())
    result = charrnn("train", "corpus.txt", "-o", "run", *QUICK, "--steps", str(steps), *options)
    assert result.status == 0, result.err
    return result.err
