"""The examples that end every help text work."""

from __future__ import annotations

import pytest

from charrnn.cli.command import Command as OwnCommand
from charrnn.cli.main import COMMANDS
from tests.cli.support import command_of
from tests.conftest import Command
from tests.examples import prepare, run_example
from tests.support import Trained


def examples_of(name: str) -> tuple[str, ...]:
    command = command_of(name)
    assert isinstance(command, OwnCommand)
    return command.examples


EXAMPLES = [(name, example) for name in COMMANDS for example in examples_of(name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_in_two_examples(name: str, charrnn: Command) -> None:
    examples = examples_of(name)
    assert len(examples) == 2
    assert charrnn(name, "--help").out.endswith("".join(f"  {each}\n" for each in examples))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[each for _, each in EXAMPLES])
def test_the_examples_in_the_help_work(
    name: str, example: str, charrnn: Command, prose_model: Trained, names_model: Trained,
    labelled_model: Trained,
) -> None:
    prepare(prose_model, names_model, labelled_model)
    assert f"charrnn {name}" in example
    assert "\n" not in example
    result = run_example(example, charrnn)
    assert result.status == 0, result.err
    assert "Error" not in result.err
    assert result.out or name == "train"
