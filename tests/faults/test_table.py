"""The table of faults in tests/README.md and the tests that are marked with its rows."""

from __future__ import annotations

import pytest

from tests.faults import table


def test_the_rows_are_numbered_without_a_gap() -> None:
    assert list(table.rows()) == list(range(1, len(table.rows()) + 1))
    assert len(table.rows()) >= 38


def test_each_row_has_a_test_and_each_marker_a_row() -> None:
    assert {row for row, _, _ in table.marked()} == set(table.rows())


def test_the_table_names_the_tests_of_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    table.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(table.rows())
    assert lines[15].startswith("| 14 | pickle")
    assert "`test_imports.py::test_nothing_can_run_what_a_file_says`" in lines[15]
