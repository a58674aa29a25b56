"""What the README shows works: its commands, in smaller runs, and its Python."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from charrnn.cli.config import TOML
from tests.conftest import Command
from tests.examples import blocks, prepare, run_example
from tests.support import REPOSITORY, Trained

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in blocks(README) for line in block.splitlines() if line.startswith("charrnn ")
]


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_work(
    line: str, charrnn: Command, prose_model: Trained, names_model: Trained,
    labelled_model: Trained,
) -> None:
    prepare(prose_model, names_model, labelled_model)
    result = run_example(line, charrnn)
    assert result.status == 0, result.err


def test_the_python_works(
    prose_model: Trained, names_model: Trained, labelled_model: Trained
) -> None:
    prepare(prose_model, names_model, labelled_model)
    (program,) = blocks(README, "python")
    tiny = "steps=2, layers=1, hidden=8, device='cpu'"
    exec(program.replace("minutes=5", tiny), {})


def test_the_file_of_options_is_toml() -> None:
    toml = importlib.import_module(TOML)
    (example,) = blocks(README, "toml")
    assert set(toml.loads(example)) == {"train", "sample"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name: str) -> None:
    page = REPOSITORY / name
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert Path(page.parent, link).exists(), link
