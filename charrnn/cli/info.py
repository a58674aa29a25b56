"""`charrnn info`: show what is in a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from charrnn.cli.command import Command, RunName
from charrnn.cli.options import checkpoint_option, json_option
from charrnn.cli.terminal import Output, one_line
from charrnn.errors import SettingsError
from charrnn.models.checkpoint import load_checkpoint
from charrnn.models.ngram_counts import NgramCounts
from charrnn.storage.runs import find_checkpoint


@click.command(
    cls=Command,
    name="info",
    examples=(
        "charrnn info",
        "charrnn info shakespeare --json",
    ),
)
@click.argument("path", required=False, type=RunName(), metavar="[RUN]")
@checkpoint_option
@json_option
def command(path: str | None, checkpoint: str | None, as_json: bool) -> None:
    """Show what is in a checkpoint: RUN, or the one given with --checkpoint."""
    if path is not None and checkpoint is not None:
        raise SettingsError("give RUN or --checkpoint, not both")
    output = Output()
    found = find_checkpoint(path or checkpoint)
    loaded = load_checkpoint(found)
    training = dict(loaded.training)
    history = training.pop("history", [])
    facts: dict[str, Any] = {
        "checkpoint": str(found),
        "documents": "lines" if loaded.lines else "files",
        "vocabulary_size": len(loaded.vocabulary),
        "characters_known": "".join(map(chr, loaded.vocabulary.code_points)),
        "parameters": loaded.architecture.parameters if loaded.architecture else 0,
        "network": asdict(loaded.architecture) if loaded.architecture else None,
        "ngram": _ngram_facts(loaded.ngram),
        "corpus": loaded.corpus,
        "training": training,
    }
    if as_json:
        output.record({**facts, "history": history})
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            for inner, each in value.items():
                output.line(f"{name}.{inner}\t{one_line(_shown(each))}")
        else:
            output.line(f"{name}\t{one_line(_shown(value))}")


def _ngram_facts(counts: NgramCounts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {
        "order": counts.order,
        "ngrams": sum(counts.ngrams),
        "bytes": sum(array.nbytes for array in counts.arrays.values()),
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4f}" if isinstance(value, float) and value > 0.1 else str(value)
