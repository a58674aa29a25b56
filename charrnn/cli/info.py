"""`charrnn info`: show what is in a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.command import Command, RunName
from charrnn.cli.options import checkpoint_option, json_option
from charrnn.cli.terminal import Output, one_line, terminal_width
from charrnn.errors import SettingsError
from charrnn.storage.runs import find_checkpoint

if TYPE_CHECKING:
    from charrnn.models.checkpoint import Checkpoint
    from charrnn.models.ngram import NgramSource


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
    from charrnn.models.checkpoint import load_checkpoint

    output = Output()
    found = find_checkpoint(path or checkpoint)
    loaded = load_checkpoint(found)
    width = terminal_width()
    if as_json:
        history = loaded.training.get("history", [])
        output.record({**_facts(found, loaded), "history": history})
    elif width is None:
        _print_rows(output, _facts(found, loaded))
    else:
        from charrnn.cli.card import card

        for line in card(found, loaded, width):
            output.line(line)


def _facts(path: Path, loaded: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": str(path),
        "documents": "lines" if loaded.lines else "files",
        "vocabulary_size": len(loaded.vocabulary),
        "characters_known": "".join(map(chr, loaded.vocabulary.code_points)),
        "parameters": loaded.parameters,
        "network": asdict(loaded.architecture) if loaded.architecture else None,
        "ngram": _ngram_facts(loaded.ngram),
        **({"networks": loaded.networks} if loaded.networks > 1 else {}),
        **_label_facts(loaded),
        "corpus": loaded.corpus,
        "training": {key: value for key, value in loaded.training.items() if key != "history"},
    }


def _label_facts(loaded: Checkpoint) -> dict[str, Any]:
    """How many lines each label had, and the n-grams that find them, if there are labels."""
    if loaded.labels is None:
        return {}
    return {
        "labels": dict(loaded.labels.description()),
        "label_ngrams": _ngram_facts(loaded.label_ngrams),
    }


def _ngram_facts(counts: NgramSource | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {
        "order": counts.order,
        "ngrams": sum(counts.ngrams),
        "bytes": sum(array.nbytes for array in counts.arrays.values()),
    }


def _print_rows(output: Output, facts: dict[str, Any]) -> None:
    """Print name and value, tab separated; what there is not is left out."""
    for name, value in facts.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, each in inner.items():
            if each is not None:
                output.line(f"{name}{key and '.' + key}\t{one_line(_shown(each))}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.4f}" if isinstance(value, float) and value > 0.1 else str(value)
