"""Summarise run directories from the headers of their files; arrays are neither read nor checked.

A run that is being trained is recognised by its lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from charrnn.errors import CharRNNError, CheckpointError
from charrnn.storage.bundled import bundled_file
from charrnn.storage.files import is_locked
from charrnn.storage.header import read_description
from charrnn.storage.runs import MODEL_FILE, TRAINING_FILE, find_checkpoint

State: TypeAlias = Literal["finished", "unfinished", "running", "damaged", "bundled"]


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs shows of one.

    Attributes:
        checkpoint: the run directory, or the file of a model that comes with the package.
        state: "running" if a process trains it now, "bundled" of such a file.
        problem: why it counts as damaged.
        saved: when its model was saved last, in ISO 8601.
        corpus: names of the training text.
        seconds: that it was trained for.
        bytes: size of the model's file.
        nats_per_character, network_nats_per_character, ngram_nats_per_character,
        pseudo_nats_per_character: what was reached
            on held-out text: by the model that is saved, and by each part of a mixture alone.
    """

    checkpoint: str
    state: State
    problem: str | None = None
    saved: str | None = None
    corpus: str | None = None
    seconds: float | None = None
    bytes: int | None = None
    nats_per_character: float | None = None
    network_nats_per_character: float | None = None
    ngram_nats_per_character: float | None = None
    pseudo_nats_per_character: float | None = None


def summarise(run: Path) -> RunSummary | None:
    """The summary of the run in the directory `run`; None if there is none."""
    model, training = run / MODEL_FILE, run / TRAINING_FILE
    locked = is_locked(run)
    if not (locked or model.exists() or training.exists()):
        return None
    facts: dict[str, Any] = {}
    try:
        if model.exists():
            facts = _model_facts(read_description(model)) | {"bytes": model.stat().st_size}
        finished = model.exists() and (not training.exists() or _is_finished(training))
    except (CheckpointError, OSError) as error:
        state: State = "running" if locked else "damaged"
        return RunSummary(str(run), state, None if locked else str(error))
    ended: State = "finished" if finished else "unfinished"
    return RunSummary(str(run), "running" if locked else ended, **facts)


def label_names(checkpoint: str | None) -> list[str]:
    """The labels of a checkpoint, or of the one that None means; none of one that is unreadable."""
    try:
        path = find_checkpoint(checkpoint)
        labels = read_description(path / MODEL_FILE if path.is_dir() else path).get("labels")
        return [name for name, _ in labels or [] if isinstance(name, str) and name.isprintable()]
    except (CharRNNError, TypeError, ValueError):
        return []


def summarise_bundled(name: str) -> RunSummary:
    """The summary of the model `name` that comes with the package."""
    file = bundled_file(name)
    try:
        facts = _model_facts(read_description(file)) | {"bytes": file.stat().st_size}
    except (CheckpointError, OSError) as error:
        return RunSummary(str(file), "damaged", str(error))
    return RunSummary(str(file), "bundled", **facts)


def _is_finished(training: Path) -> bool:
    return _table(read_description(training), "record").get("finished") is True


def _model_facts(description: Mapping[str, Any]) -> dict[str, Any]:
    training = _table(description, "training")
    names = _table(description, "corpus").get("names")
    figures = (
        *("nats_per_character", "network_nats_per_character", "ngram_nats_per_character"),
        "pseudo_nats_per_character",
    )
    return {
        "saved": training["saved"] if isinstance(training.get("saved"), str) else None,
        "corpus": ", ".join(map(str, names)) if isinstance(names, list) else None,
        **{name: _number(training.get(name)) for name in ("seconds", *figures)},
    }


def _table(description: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = description.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
