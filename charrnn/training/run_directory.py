"""Inspect a run directory: an unfinished run, a finished one, or foreign files.

A log counts as charrnn's if it is empty or its first line is a start event; a model or training
file does if such a log is in the same directory, or if its header is charrnn's. No other file is
ever changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from charrnn.errors import (
    CharRNNError,
    CheckpointError,
    Flag,
    Parameter,
    ShortOption,
    TrainingError,
)
from charrnn.models.checkpoint import Checkpoint, load_checkpoint
from charrnn.storage.header import METADATA_KEY, foreign_kind
from charrnn.storage.header import REMEDY as ANOTHER_CHECKPOINT
from charrnn.storage.runs import MODEL_FILE
from charrnn.text.corpus import MAX_NAMES
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData, changed_since_v1
from charrnn.training.request import DEFAULT_MINUTES, LONGER, TrainingRequest
from charrnn.training.state import DATA_VERSION, TRAINING_FILE, SavedRun, load_run

LOG_FILE = "log.jsonl"
NGRAM_FILE = "ngram.safetensors"
"""What an unfinished run has counted of a long text,"""
FITTED_FILE = "ngram-fit.safetensors"
"""and the same without what is beside the held-out part: for the fit of the mixture."""
SEALED_FILES = (MODEL_FILE, TRAINING_FILE, NGRAM_FILE, FITTED_FILE)
MARK = f'{{"__metadata__":{{"{METADATA_KEY}":'.encode()
"""How the header of a sealed file begins, after 8 bytes of its length."""
MAX_FIRST_LINE = 1 << 16
ELSEWHERE = ("choose another place with ", Parameter("output"))
OUTPUT = ShortOption("output")
REMEDY = ("start over with ", Flag("fresh"), ", or ", *ELSEWHERE)


def refuse_foreign_files(directory: Path) -> None:
    """Raise TrainingError if training in `directory` would overwrite a file of another program."""
    log = directory / LOG_FILE
    if log.exists():
        if not _is_log(log):
            _refuse_foreign(log)
        if log.stat().st_size:
            return
    for path in (directory / name for name in SEALED_FILES):
        if path.exists():
            beginning = _beginning(path)
            if beginning[8:] != MARK:
                _refuse_foreign(path, foreign_kind(beginning))


def _refuse_foreign(path: Path, kind: str | None = None) -> None:
    raise TrainingError(
        f"{path} was not written by charrnn train{f' (it is {kind})' if kind else ''}; "
        "move it away, or ",
        *ELSEWHERE,
    )


def _is_log(path: Path) -> bool:
    if not path.is_file():
        return False
    with suppress(OSError, ValueError, RecursionError):
        with path.open("rb") as file:
            line = file.readline(MAX_FIRST_LINE)
        event = json.loads(line or '{"event": "start"}')
        return isinstance(event, dict) and event.get("event") == "start"
    return False


def _beginning(path: Path) -> bytes:
    """The first bytes of a file: in a sealed one, the length of its header, then MARK."""
    if path.is_file():
        with suppress(OSError), path.open("rb") as file:
            return file.read(8 + len(MARK))
    return b""


def find_unfinished(request: TrainingRequest, data: TrainingData) -> SavedRun | None:
    """The unfinished run to resume; None if there is none, or with --fresh.

    Raises:
        TrainingError: there is a finished run, or one with other options or another corpus.
        CheckpointError: the training file is damaged.
    """
    model, training = request.output / MODEL_FILE, request.output / TRAINING_FILE
    if request.fresh or not (model.exists() or training.exists()):
        return None
    saved = _load_run(training) if training.exists() else None
    if saved is None or saved.record.finished:
        other = "" if _digest(model, saved) in {data.corpus.digest, None} else " of another corpus"
        if request.more_minutes is None or saved is None or other:
            raise TrainingError(*_finished(request, model, saved, other))
    _require_same_run(request, saved, data)
    return saved


def finished_request(request: TrainingRequest) -> dict[str, Any]:
    """What was requested of the run that --more-minutes goes on with.

    Raises:
        TrainingError: there is none, or an option contradicts it.
    """
    training = request.output / TRAINING_FILE
    if not training.exists():
        raise TrainingError(
            f"{request.output} holds no run to go on with; leave out ", LONGER
        )
    requested = _load_run(training).record.requested
    given = {**request.requested, **asdict(request.reading)}
    if request.origin is not None:
        given["from"] = request.origin
    there = _distinctive(requested)
    for name, here in _distinctive(given).items():
        if there.get(name) != here:
            difference = _difference(name, there.get(name), here)
            raise TrainingError(f"the run in {request.output} was started ", *difference)
    return requested


def _finished(
    request: TrainingRequest, model: Path, saved: SavedRun | None, other: str
) -> list[str]:
    """What may be done about a finished run."""
    ways = ["; elsewhere: ", OUTPUT, " DIR; discard: ", Flag("fresh")]
    if saved is not None and not other:
        ways = ["; longer: ", LONGER, f" {DEFAULT_MINUTES:g}", *ways]
    known = ""
    with suppress(CharRNNError):
        known = _summary(load_checkpoint(model), saved)
    return [f"{request.output} holds a finished run{other}{known}", *ways]


def _summary(checkpoint: Checkpoint, saved: SavedRun | None) -> str:
    """How long a model was trained, and on what; "" if that is not known."""
    seconds = saved.record.seconds if saved else checkpoint.training.get("seconds")
    names = checkpoint.corpus.get("names")
    if not isinstance(seconds, int | float) or not isinstance(names, list):
        return ""
    time = f"{seconds / 60:.1f}".removesuffix(".0") + " minutes"
    shown = ", ".join(map(str, names[:MAX_NAMES])) + (" ..." if len(names) > MAX_NAMES else "")
    return f" ({time if seconds >= 60 else f'{seconds:.1f} seconds'} on {shown})"


def _load_run(training: Path) -> SavedRun:
    """A saved run; what to do about a damaged one is not what to do about a damaged model."""
    try:
        return load_run(training)
    except CheckpointError as error:
        reason = str(error).removesuffix(f"; {ANOTHER_CHECKPOINT}")
        joint = ", or " if "; " in reason else "; "
        raise CheckpointError(reason, joint, *REMEDY) from error


def _digest(model: Path, saved: SavedRun | None) -> Any:
    """The digest of the corpus that a finished run was trained on; None if unknown."""
    if saved is not None:
        return saved.record.corpus
    with suppress(CharRNNError):
        return load_checkpoint(model).corpus.get("digest")
    return None


def _require_same_run(request: TrainingRequest, saved: SavedRun, data: TrainingData) -> None:
    there, here = _distinctive(saved.record.requested), _distinctive(request.as_requested())
    reading = asdict(Reading()).keys()
    _require_same_options(request, there, here, reading)  # first, as the digest depends on them
    if saved.data_version < DATA_VERSION:
        reason = changed_since_v1(data, saved.settings)
        if reason is not None:
            raise TrainingError(
                f"{request.output} holds an unfinished run of charrnn 0.1 that cannot go on: "
                f"{reason}; ",
                *REMEDY,
            )
    there_more = saved.record.more_minutes or None
    if not saved.record.finished and there_more != request.more_minutes:
        _refuse(request, "more_minutes", there_more, request.more_minutes)
    if saved.record.corpus != data.corpus.digest:
        raise TrainingError(
            f"{request.output} holds an unfinished run of another corpus, or the corpus has "
            "changed since; restore it to go on, or ",
            *REMEDY,
        )
    _require_same_options(request, there, here, there.keys() | here.keys())
    if saved.record.origin != (data.origin.digest if data.origin else ""):
        raise TrainingError(
            f"{request.output} holds an unfinished run that started from another model than "
            f"{request.origin} is now; restore it to go on, or ",
            *REMEDY,
        )


def _distinctive(requested: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults: giving a default changes nothing."""
    defaults = {**asdict(Reading()), "minutes": DEFAULT_MINUTES}
    return {
        name: value
        for name, value in requested.items()
        if name not in defaults or defaults[name] != value
    }


def _require_same_options(
    request: TrainingRequest,
    there: Mapping[str, Any],
    here: Mapping[str, Any],
    names: Any,
) -> None:
    for name in sorted(names):
        if there.get(name) != here.get(name):
            _refuse(request, name, there.get(name), here.get(name))


def _refuse(request: TrainingRequest, name: str, there: Any, here: Any) -> NoReturn:
    raise TrainingError(
        f"the unfinished run in {request.output} was started ",
        *_difference(name, there, here),
        " to go on, or ",
        *REMEDY,
    )


def _difference(name: str, there: Any, here: Any) -> tuple[str, ...]:
    if there is None:
        return "without ", Parameter(name), "; leave it out"
    given = (Flag(name),) if there is True else (Parameter(name), f" {_shown(there)}")
    if here is None:
        return "with ", *given, "; give it too"
    return "with ", *given, f", not {_shown(here)}; repeat that"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def holds_validated_model(directory: Path) -> bool:
    """Whether `directory` has a model that was validated, or an n-gram model alone."""
    try:
        found = load_checkpoint(directory)
    except CharRNNError:
        return False
    return found.architecture is None or bool(found.training.get("history"))
