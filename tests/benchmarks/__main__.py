"""`python -m tests.benchmarks`: all that issues promise of speed, as ratios within one run.

Each benchmark runs in a process of its own, so that none disturbs the next.
"""

from __future__ import annotations

import json
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.catalogue import BENCHMARKS, measure
from tests.benchmarks.measure import COLUMNS, Row

PACKAGES = ("numpy", "torch", "click")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in names if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": {
            name: os.environ.get(name, "default")
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        },
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def table(rows: list[Row]) -> str:
    """Columns side by side."""
    cells = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--only", type=click.Choice(list(BENCHMARKS)), multiple=True, help="Just this one.")
def main(as_json: bool, only: tuple[str, ...]) -> None:
    """Measure speed, as ratios within one run."""
    # As `charrnn train` does; see there.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    facts = machine()
    if as_json:
        click.echo(json.dumps(facts))
    rows: list[Row] = []
    for name in only or BENCHMARKS:
        click.echo(f"{name}: {BENCHMARKS[name].help} ...", err=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(measure, name).result()
        rows += found
        if as_json:
            for row in found:
                click.echo(json.dumps(row.record()))
    if not as_json:
        click.echo(table(rows) + "\n")
        click.echo("  ".join(f"{name}: {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
