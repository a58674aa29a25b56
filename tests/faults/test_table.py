"""The table of faults in tests/README.md: every row is there, and every test that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (TESTS / "README.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def functions(path: Path) -> set[str]:
    """The tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name for name in found if name.startswith("test_")}


def named(cell: str) -> set[tuple[str, str]]:
    """File and name of every test in a cell: after a file's name come its tests."""
    tests = set()
    file = ""
    for word in re.findall(r"`([^`]+)`", cell):
        if word.endswith(".py"):
            file = word
        else:
            tests.add((file, word))
    return tests


def test_there_are_38_rows_and_none_without_a_test() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 39))
    for row in ROWS:
        assert len(row) == 4, row
        assert named(row[3]), row


def test_every_test_in_the_table_exists() -> None:
    for file, name in set().union(*(named(row[3]) for row in ROWS)):
        assert name in functions(TESTS / file), f"{file} has no {name}"
