"""The table of faults, with the tests that hold each row: `python -m tests.faults.table`.

tests/README.md has the rows; a test says which of them it holds: `@pytest.mark.fault(30)`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROW = re.compile(r"\| (\d+) \|.*\|")


def rows() -> dict[int, str]:
    """The rows of the table in tests/README.md by their numbers."""
    lines = (TESTS / "README.md").read_text(encoding="utf-8").splitlines()
    return {int(match[1]): line for line in lines if (match := ROW.fullmatch(line))}


def marked() -> list[tuple[int, str, str]]:
    """Row, file and name of each test that a marker names: a test of two rows is there twice."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                file = path.relative_to(TESTS).as_posix()
                found += [(row, file, node.name) for row in _rows_of(node)]
    return sorted(found)


def _rows_of(test: ast.FunctionDef) -> Iterator[int]:
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def main() -> None:
    """Print the table with a column of tests."""
    print("| | Fault | Behaviour | Tests |\n|---|---|---|---|")
    tests = marked()
    for number, line in rows().items():
        names = [f"`{file}::{name}`" for row, file, name in tests if row == number]
        print(f"{line} {', '.join(names)} |")


if __name__ == "__main__":
    main()
