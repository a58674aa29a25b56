"""`charrnn list`: every run, in checkpoints/ and elsewhere, and the models of the package."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.command import Command
from charrnn.cli.layout import FullColumn, table
from charrnn.cli.options import json_option
from charrnn.cli.terminal import Output, note, one_line, terminal_width
from charrnn.errors import CheckpointError
from charrnn.storage.bundled import bundled_names, is_bundled
from charrnn.storage.runs import RUNS, find_checkpoint, known_runs

if TYPE_CHECKING:
    from charrnn.storage.summaries import RunSummary

KEYS = (
    *("checkpoint", "state", "default", "saved", "corpus", "seconds", "bytes"),
    *("nats_per_character", "network_nats_per_character", "ngram_nats_per_character"),
    *("pseudo_nats_per_character", "problem"),
)
"""Columns where stdout is not a terminal."""


@click.command(cls=Command, name="list", examples=("charrnn list", "charrnn list --json"))
@json_option
def command(as_json: bool) -> None:
    """List every run in checkpoints/, those made elsewhere, and what comes with charrnn.

    The default, which the other commands use without -c, is marked with a star.
    """
    from charrnn.storage.summaries import summarise, summarise_bundled

    output = Output()
    own = [found for run in known_runs() if (found := summarise(run)) is not None]
    runs = [*own, *map(summarise_bundled, bundled_names())]
    default = _default()
    records = [{**asdict(run), "default": _is(run, default)} for run in runs]
    if as_json:
        for record in records:
            output.record(record)
        return
    if not own:
        note(f"no runs in {RUNS}/; train one with: charrnn train CORPUS")
    width = terminal_width()
    if width is None:
        output.line("\t".join(KEYS))
        for record in records:
            output.line("\t".join(_field(record[key]) for key in KEYS))
    else:
        for line in table(_columns(runs, default), width):
            output.line(line)


def _default() -> Path | None:
    with suppress(CheckpointError):
        return find_checkpoint(None).resolve()
    return None


def _is(run: RunSummary, path: Path | None) -> bool:
    return path is not None and path == Path(run.checkpoint).resolve()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return one_line(f"{value:.6g}" if isinstance(value, float) else str(value))


def _columns(runs: list[RunSummary], default: Path | None) -> list[FullColumn]:
    names = [("* " if _is(run, default) else "  ") + _name(run.checkpoint) for run in runs]
    figures = [_shown(run.nats_per_character, "{:.4f}") for run in runs]
    saved = [(run.saved or "")[:16].replace("T", " ") for run in runs]
    columns = [
        FullColumn("  run", names),
        FullColumn("state", [_state(run) for run in runs], rank=1),
        FullColumn("nats", figures, numbers=True, rank=2),
        FullColumn("minutes", [_minutes(run) for run in runs], numbers=True, rank=4),
        FullColumn("saved (UTC)", saved, rank=3),
        FullColumn("MB", [_megabytes(run) for run in runs], numbers=True, rank=6),
        FullColumn("corpus", [one_line(run.corpus or "") for run in runs], rank=5),
    ]
    return [each for each in columns if any(each.cells)]


def _name(checkpoint: str) -> str:
    path = Path(checkpoint)
    if path.parent == RUNS:
        return one_line(path.name)
    if is_bundled(path):
        return path.stem
    with suppress(ValueError, RuntimeError):  # not there, or a user without a home directory
        path = Path("~") / path.relative_to(Path.home())
    return one_line(str(path))


def _state(run: RunSummary) -> str:
    return "running now" if run.state == "running" else run.state


def _minutes(run: RunSummary) -> str:
    return "" if run.seconds is None else f"{run.seconds / 60:.1f}"


def _megabytes(run: RunSummary) -> str:
    return "" if run.bytes is None else f"{run.bytes / 1e6:.1f}"


def _shown(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)
