"""Whole processes, against the imports that they cannot do without."""

from __future__ import annotations

import subprocess
import sys
from compileall import compile_dir
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import charrnn
from tests.benchmarks.material import MEGABYTE, saved
from tests.benchmarks.measure import Row, paired

ROUNDS = 15


def run(*arguments: str) -> None:
    """Run this Python."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def compile_package() -> None:
    """What pip does when it installs a package."""
    compile_dir(str(Path(charrnn.__file__).parent), quiet=1)


def sample_from(path: Path) -> None:
    """`charrnn sample --length 200`."""
    run("-m", "charrnn", "sample", "-c", str(path), "--length", "200", "--seed", "1")


def help_text() -> list[Row]:
    """`charrnn --help`."""
    compile_package()
    pair = paired(
        lambda: run("-m", "charrnn", "--help"),
        lambda: run("-c", "import click"),
        ROUNDS,
        warm=False,
    )
    return [
        Row(
            "charrnn --help against import click",
            f"{pair.measured:.3f} s",
            f"{pair.reference:.3f} s",
            pair.slow_down,
            target=1.6,
            at_most=True,
        )
    ]


def sample() -> list[Row]:
    """`charrnn sample`: the network alone, and with n-gram models of much text."""
    compile_package()
    rows = []
    for megabytes, limit in ((0, 0.45), (1, 0.5), (5, 0.8)):
        with ExitStack() as stack:
            path = stack.enter_context(saved(max(1, megabytes) * MEGABYTE, bool(megabytes)))
            name = f"{megabytes} MB corpus's n-gram model" if megabytes else "network alone"
            pair = paired(
                partial(sample_from, path),
                lambda: run("-c", "import numpy, click"),
                ROUNDS,
                warm=False,
            )
            times = f"{pair.measured:.3f} s", f"{pair.reference:.3f} s"
            note = f"{path.stat().st_size / MEGABYTE:.1f} MB"
        rows += [
            Row(
                f"sample --length 200, {name}, against import numpy, click",
                *times,
                pair.slow_down,
                target=None if megabytes else 2.5,
                at_most=True,
                note=note,
            ),
            Row(
                f"sample --length 200, {name}, seconds",
                times[0],
                "",
                pair.measured,
                "s",
                target=limit,
                at_most=True,
            ),
        ]
    return rows
