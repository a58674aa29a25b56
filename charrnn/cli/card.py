"""What `charrnn info` shows on a terminal: one screen about a checkpoint."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.cli.charts import sparkline
from charrnn.cli.layout import facts
from charrnn.cli.terminal import one_line, shows_blocks
from charrnn.models.checkpoint import Checkpoint
from charrnn.storage.runs import MODEL_FILE

MAX_CHARACTERS = 240
"""So many characters of the vocabulary are shown."""
MAX_LABELS = 24
MAX_BARS = 60
WIDEST = 100


def card(path: Path, checkpoint: Checkpoint, width: int) -> list[str]:
    """The lines of the screen, at most `width` columns wide."""
    width = min(width, WIDEST)
    rows = [
        ("model", _model(checkpoint)),
        ("reached", _reached(checkpoint)),
        ("history", _history(checkpoint.training, width)),
        ("vocabulary", _vocabulary(checkpoint)),
        ("labels", _labels(checkpoint)),
        ("corpus", _corpus(checkpoint)),
        ("trained", _trained(checkpoint.training)),
        ("file", _file(path)),
        ("repeat with", _command(checkpoint)),
    ]
    return facts([(label, text) for label, text in rows if text], width)


def _model(checkpoint: Checkpoint) -> str:
    parts = []
    if network := checkpoint.architecture:
        parts.append(
            f"{f'{checkpoint.networks} times ' if checkpoint.networks > 1 else ''}"
            f"{network.cell.upper()}, {network.layers} x {network.hidden}"
            f"{' in both directions' if network.bidirectional else ''}, "
            f"{checkpoint.parameters:,} parameters"
        )
    for counts, use in (
        (checkpoint.ngram, ""),
        (checkpoint.label_ngrams, ", counted label by label to find labels"),
    ):
        if counts is not None:
            size = sum(array.nbytes for array in counts.arrays.values())
            grams = f"{sum(counts.ngrams):,} n-grams, {_bytes(size)}"
            parts.append(f"{counts.order}-gram model, {grams}{use}")
    return "\n".join(parts)


def _reached(checkpoint: Checkpoint) -> str:
    """The figures, which of them is the saved model's, and what they were measured on."""
    training = checkpoint.training
    pseudo = training.get("pseudo_nats_per_character")
    reader = [f"reader {pseudo:.4f} pseudo-nats per character"] if _is_float(pseudo) else []
    best = training.get("nats_per_character")
    if not isinstance(best, float):
        return "\n".join(reader) or "not validated"
    mixed = checkpoint.architecture is not None and checkpoint.ngram is not None
    networks = "network" if checkpoint.networks == 1 else "networks"
    together = f", {networks} and n-gram model together" if mixed else ""
    bits = best / math.log(2)
    lines = [f"{best:.4f} nats ({bits:.4f} bits) per character of held-out text{together}"]
    alone = [
        f"{what} alone {value:.4f}"
        for what, key in ((networks, "network"), ("n-gram model", "ngram"))
        if isinstance(value := training.get(f"{key}_nats_per_character"), float) and value != best
    ]
    each = training.get("each_nats_per_character")
    if isinstance(each, list) and all(map(_is_float, each)):
        alone.append(f"each of them {', '.join(f'{value:.4f}' for value in each)}")
    if isinstance(accuracy := training.get("accuracy"), float):
        alone.append(f"recognises the label of {accuracy:.1%} of the held-out lines")
    if _is_float(temperature := training.get("temperature")):
        alone.append(f"temperature fitted to the network {temperature:.3f}")
    before = training.get("before_nats_per_character")
    if _is_float(before):
        alone.append(f"the model that it started from {before:.4f}")
    return "\n".join([*lines, *([", ".join(alone)] if alone else []), *reader])


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _history(training: Mapping[str, Any], width: int) -> str:
    history = [entry for entry in training.get("history", []) if isinstance(entry, dict)]
    curves = {
        name: [entry[name] for entry in history if isinstance(entry.get(name), float)]
        for name in ("training", "validation")
    }
    values = [value for each in curves.values() for value in each]
    if not values:
        return ""
    bars = min(MAX_BARS, width - 44) if shows_blocks(sys.stdout) else 0
    low, high = min(values), max(values)
    lines = []
    for name, each in curves.items():
        if each:
            drawn = f"{sparkline(each, bars, low, high)}  " if bars >= 8 else ""
            lines.append(f"{name:<10}  {drawn}{each[0]:.3f} to {each[-1]:.3f}")
    return "\n".join(lines)


def _vocabulary(checkpoint: Checkpoint) -> str:
    known = "".join(map(chr, checkpoint.vocabulary.code_points))
    more = len(known) - MAX_CHARACTERS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{len(known):,} characters: {one_line(known[:MAX_CHARACTERS]).strip()}{rest}"


def _labels(checkpoint: Checkpoint) -> str:
    labels = checkpoint.labels
    if labels is None:
        return ""
    pairs = sorted(labels.description(), key=lambda pair: -pair[1])
    more = len(pairs) - MAX_LABELS
    rest = f" and {more:,} more" if more > 0 else ""
    shown = ", ".join(f"{one_line(name)} {count:,}" for name, count in pairs[:MAX_LABELS])
    return f"{len(labels):,} with their lines: {shown}{rest}"


def _corpus(checkpoint: Checkpoint) -> str:
    corpus = checkpoint.corpus
    names = [one_line(str(name)) for name in corpus.get("names", [])]
    parts = [", ".join([*names[:5], *(["..."] if len(names) > 5 else [])])]
    for key, what in (("characters", "characters"), ("validation_characters", "held out")):
        if isinstance(corpus.get(key), int):
            parts.append(f"{corpus[key]:,} {what}")
    parts.append("each line a text" if checkpoint.lines else "each file a text")
    return ", ".join(part for part in parts if part)


def _trained(training: Mapping[str, Any]) -> str:
    parts = []
    if isinstance(training.get("saved"), str):
        parts.append(f"{training['saved'][:16].replace('T', ' ')} UTC")
    if isinstance(training.get("seconds"), int | float):
        parts.append(f"{training['seconds'] / 60:.1f} minutes")
    settings = training.get("settings")
    steps = settings.get("steps") if isinstance(settings, dict) else None
    if isinstance(training.get("step"), int) and isinstance(steps, int):
        parts.append(f"{steps:,} steps, the best after {training['step']:,}")
    return ", ".join(parts)


def _file(path: Path) -> str:
    file = path / MODEL_FILE if path.is_dir() else path
    return f"{one_line(str(file))}, {_bytes(file.stat().st_size)}"


def _command(checkpoint: Checkpoint) -> str:
    flags = checkpoint.training.get("flags")
    if not isinstance(flags, str):
        return ""
    names = " ".join(map(_quoted, checkpoint.corpus.get("names", [])))
    return one_line(f"charrnn train {names} {flags}")


def _quoted(name: object) -> str:
    import shlex

    return shlex.quote(str(name))


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
