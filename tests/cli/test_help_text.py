from __future__ import annotations

import pytest

from charrnn.cli.help_text import HelpFormatter, plain_record
from charrnn.cli.main import COMMANDS
from charrnn.cli.train import GROUPS
from tests.cli.support import options_of
from tests.conftest import Command


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_the_terminal(
    name: str, columns: int, charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = charrnn(*[name] if name else [], "--help").out
    explained = text.partition("\nExamples:")[0]  # which are copied, and not broken for that
    assert max(map(len, explained.splitlines())) <= min(columns, 100) or not name
    assert "(chosen)" not in text


def test_train_shows_its_options_in_groups(charrnn: Command) -> None:
    text = charrnn("train", "--help").out
    places = [text.index(f"\n{heading}:\n") for heading in GROUPS]
    assert places == sorted(places)
    assert "Other options" not in text
    names = {option[2:] for option in options_of("train") if option.startswith("--")}
    assert names <= set().union(*GROUPS.values())
    first = [each[0] for each in GROUPS.values()]
    assert first == ["lines", "minutes", "cell", "batch", "output"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Layers.  [default: (chosen)]", "Layers.  [default: chosen]"),
        ("Texts.  [default: 1; x>=0]", "Texts.  [default: 1]"),
        ("A seed.  [x>=0]", "A seed."),
        ("Beams.  [default: 1; x>=1]", "Beams.  [default: 1; 1 or more]"),
        ("Fewer [than] (two).", "Fewer [than] (two)."),
    ],
)
def test_defaults_and_ranges_are_words(text: str, expected: str) -> None:
    assert plain_record(("--option", text)) == ("--option", expected)


def test_explanations_stand_below_options_on_narrow_terminals() -> None:
    shown = []
    for width in (38, 78):
        formatter = HelpFormatter(width=width)
        formatter.write_dl([("--layers  ", "Recurrent layers.")])
        shown.append(formatter.getvalue())
    assert shown == ["--layers\n    Recurrent layers.\n", "--layers    Recurrent layers.\n"]
