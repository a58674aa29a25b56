from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from charrnn.api import TrainedModel
from charrnn.cli.heat_map import print_heat_map
from charrnn.cli.score_output import surprises
from charrnn.cli.terminal import one_line
from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage.runs import MODEL_FILE
from tests.faults.support import on_terminal
from tests.support import random_checkpoint, random_model

TEXT = "the 漢 cat\n"


def drawn(characters: tuple[str, ...], values: tuple[float, ...], width: int = 80) -> list[str]:
    """The lines of a heat map, without their colours."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="truecolor", width=width,
        highlight=False, emoji=False, markup=False, soft_wrap=True, _environ={},
    )
    assert print_heat_map(characters, values, console)
    assert "\x1b[" in file.getvalue()
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()


def test_the_nats_of_each_character_stand_below_it() -> None:
    first, second = drawn(("t", "漢", "\n", "\x1b", ""), (-0.004, -9.994, -12.34, -1.0, -123.0))
    assert first.split() == ["t", "漢", "\\n", "^[", "<EOS>"]
    assert second.split() == ["0.00", "9.99", "12.3", "1.00", "123.0"]
    for character, number in zip(first.split(), second.split(), strict=True):
        column = cell_len(first[: first.index(character)])
        assert column == second.index(number)


def test_markup_in_texts_is_text() -> None:
    shown = drawn(("[", "red", "]", ":smile:"), (-0.1,) * 4)[0]
    assert shown.split() == ["[", "red", "]", ":smile:"]


@pytest.mark.parametrize("width", [1, 7, 25, 200])
def test_a_long_text_takes_several_rows(width: int) -> None:
    lines = drawn(tuple("abcdefghijklmnopqrst"), tuple(-k / 10 for k in range(20)), width)
    assert "".join("".join(lines[::2]).split()) == "abcdefghijklmnopqrst"
    assert [float(number) for line in lines[1::2] for number in line.split()] == pytest.approx(
        [k / 10 for k in range(20)]
    )
    assert all(len(line) <= max(width, 5) for line in lines)


@pytest.mark.parametrize(
    "colours",
    [
        {"color_system": None}, {"no_color": True},
        {"_environ": {"TERM": "dumb"}}, {"_environ": {"NO_COLOR": "1"}},
    ],
)
def test_without_colours_there_is_no_heat_map(colours: dict[str, object]) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, **colours)  # type: ignore[arg-type]
    assert not print_heat_map(("a",), (-1.0,), console)
    assert file.getvalue() == ""


# --- on a pseudo-terminal


@pytest.fixture
def expected() -> list[float]:
    """Nats of each character of TEXT under the model in the directory `run`."""
    checkpoint = random_checkpoint("the cat 漢\n")
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, checkpoint)
    (scores,) = random_model(checkpoint).score_characters([TEXT])
    return [-value for value in scores.log_probabilities]


def test_a_terminal_shows_a_heat_map_with_legend_and_numbers(expected: list[float]) -> None:
    status, shown = on_terminal("score", "-c", "run", "--per-character", TEXT)
    assert status == 0
    assert shown.count("\x1b[") >= 2 * len(TEXT)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    heading, total, legend, characters, numbers, *surprises = lines
    assert heading.split()[0] == "log"
    assert total.endswith("the 漢 cat\\n")
    assert legend.split()[:3] == ["nats:", "0.0", "0.7"]
    assert "".join(characters.split()) == "the漢cat\\n"
    assert [float(number) for number in numbers.split()] == pytest.approx(expected, abs=0.0051)
    assert len(surprises) == min(3, sum(nats >= 3 for nats in expected))


def test_the_most_surprising_places_are_named(expected: list[float]) -> None:
    model = TrainedModel.open("run")
    (scores,) = model.score_characters([TEXT])
    lines = surprises(model, TEXT, scores, 1.0)
    worst = sorted(sorted(range(len(TEXT)), key=lambda at: -expected[at])[:3])
    best = model.expected_characters(TEXT)
    for line, at in zip(lines, worst, strict=True):
        shown, wanted = (one_line(each) for each in (TEXT[at], best[at][0]))
        assert line == (
            f"at {at + 1}: '{shown}' has {expected[at]:.2f} nats; expected '{wanted}' "
            f"({best[at][1]:.0%})"
        )
    assert surprises(model, TEXT, scores, 1e9) == []


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_shows_a_table_of_numbers(
    environment: dict[str, str], expected: list[float]
) -> None:
    status, shown = on_terminal("score", "-c", "run", "--per-character", TEXT, env=environment)
    assert status == 0
    assert "\x1b" not in shown
    header, *rows = [line.split() for line in shown.splitlines()]
    assert header == ["number", "position", "character", "nats", "unknown"]
    assert "".join(row[2] for row in rows if len(row) == 5) == "the漢cat\\n"
    assert [float(row[-2]) for row in rows] == pytest.approx(expected, abs=0.00051)
