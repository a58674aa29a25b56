from __future__ import annotations

import csv
import io
import sys

import pytest

from charrnn.cli.columns import in_columns
from charrnn.cli.layout import cut, display_width
from charrnn.cli.tables import TEXT, Column, Table
from charrnn.cli.terminal import Output

COLUMNS = (
    Column("log_probability", "log p", 8, ".2f", 2),
    Column("characters", "chars", 8, ",", 1),
    TEXT,
)


Captured = pytest.CaptureFixture[str]


def test_elsewhere_a_table_is_tab_separated(capsys: Captured) -> None:
    table = Table(Output(), COLUMNS)
    table.row(-1234.56789, 1_234_567, "a\tb\n")
    table.row(-1e-9, 0, "")
    assert capsys.readouterr().out == (
        "log_probability\tcharacters\ttext\n-1234.57\t1234567\ta\\tb\\n\n-1e-09\t0\t\n"
    )


def test_csv_keeps_texts_as_they_are(capsys: Captured) -> None:
    table = Table(Output(), COLUMNS, as_csv=True)
    for text in ('say "no", please', "two\nlines", "tab\t", "漢"):
        table.row(-1.5, 3, text)
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["log_probability", "characters", "text"]
    assert [row[2] for row in rows[1:]] == ['say "no", please', "two\nlines", "tab\t", "漢"]


def test_a_heading_is_printed_once(capsys: Captured) -> None:
    table = Table(Output(), COLUMNS)
    table.heading()
    table.heading()
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_terminal_gets_columns_that_fit(
    width: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    table = Table(Output(), COLUMNS)
    table.row(-12.345, 1234, "漢字 and so on " * 20)
    table.row(-1.0, 5, "short")
    heading, first, second = capsys.readouterr().out.splitlines()
    assert max(map(display_width, (heading, first, second))) <= width
    assert ("chars" in heading) == (width >= 40)
    assert ("log p" in heading) == (width >= 40)
    assert first.endswith("…")
    assert second.index("short") == heading.index("text")


def test_a_text_that_fits_is_whole() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
    assert cut("漢字漢字", 6) == "漢字…"


def test_texts_stand_in_columns() -> None:
    rows = [["one", "two"], ["the cat sat", "漢字漢字漢"], ["a\nb", "\x1b[2J"]]
    assert list(in_columns(rows, 8)) == [
        "one      │ two",
        "the cat  │ 漢字漢字",
        "sat      │ 漢",
        "         │",
        "a        │ ^[[2J",
        "b        │",
    ]
