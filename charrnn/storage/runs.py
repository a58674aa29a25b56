"""Find runs and checkpoints on disk. Knows names and paths; not what a model is."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from charrnn.errors import CharRNNError, CheckpointError, Parameter, suggestion
from charrnn.storage.bundled import DEFAULT, bundled_file, bundled_names
from charrnn.storage.files import write_atomically
from charrnn.storage.header import REMEDY
from charrnn.storage.places import data_directory

MODEL_FILE = "model.safetensors"
TRAINING_FILE = "training.safetensors"
RUNS = Path("checkpoints")
LATEST = ".latest"
"""In RUNS: the name of the run trained last. A file, because modification times are unreliable:
clocks jump and copies change them."""
ENVIRONMENT_VARIABLE = "CHARRNN_CHECKPOINT"
REMEMBERED = "runs"
"""In the user's data directory: a file for each run outside RUNS, with its path. Separate files, so
that runs that are trained at the same time do not overwrite each other's."""
MAX_REMEMBERED = 200


def find_checkpoint(given: str | None) -> Path:
    """The checkpoint to use: `given`, else $CHARRNN_CHECKPOINT, else the run trained last.

    A name that is neither a model nor a run directory may be that of a run in RUNS, or else of a
    model that comes with the package. Without any run it is the DEFAULT one of these.

    Raises:
        CheckpointError: nothing is at that path, or several runs could be meant.
    """
    if given == "":
        raise CheckpointError("the name of the checkpoint is empty; name a run directory")
    named = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return _named(named)
    latest = _latest_run()
    if latest is not None:
        return latest
    runs = [RUNS / name for name in run_names()]
    if not runs:
        return bundled_file(DEFAULT)
    if len(runs) > 1:
        names = ", ".join(str(run) for run in runs)
        raise CheckpointError(
            f"there are several models ({names}); name one with ", Parameter("checkpoint")
        )
    return runs[0]


def model_file(path: Path) -> Path:
    """The file of the model in a run directory, or the file `path` itself.

    Raises:
        CheckpointError: the directory has none.
    """
    if not path.is_dir():
        return path
    if not (path / MODEL_FILE).exists():
        raise CheckpointError(f"{path} has no {MODEL_FILE}; {REMEDY}")
    return path / MODEL_FILE


def model_names() -> list[str]:
    """What a model can be called: the runs in RUNS, and those that come with the package."""
    return sorted({*run_names(), *bundled_names()})


def run_names() -> list[str]:
    """The runs in RUNS that have a model, in alphabetical order."""
    return sorted(path.parent.name for path in RUNS.glob(f"*/{MODEL_FILE}"))


def _named(name: str) -> Path:
    path = Path(name)
    if not path.exists() or (path.is_dir() and not (path / MODEL_FILE).exists()):
        run = RUNS / name
        if path.name == name and (run / MODEL_FILE).exists():
            return run
        if name in bundled_names():
            return bundled_file(name)
    if path.exists():
        return path
    hint = suggestion(name, model_names())
    if hint:
        raise CheckpointError(f"there is no checkpoint {name}{hint}")
    raise CheckpointError(f"there is no checkpoint {name}; {REMEDY}")


def remember_latest(run: Path) -> None:
    """Make `run` the default checkpoint, if it is in RUNS."""
    if run.parent.resolve() == RUNS.resolve():
        write_atomically(RUNS / LATEST, os.fsencode(f"{run.name}\n"))
    with suppress(OSError, CharRNNError):  # the list of runs is a convenience
        _remember(run.resolve())


def known_runs() -> list[Path]:
    """The directories in RUNS, then the remembered ones elsewhere that still exist."""
    own = sorted(path for path in RUNS.glob("*") if path.is_dir())
    present = {path.resolve() for path in own}
    elsewhere = []
    for entry in _remembered():
        with suppress(OSError):
            path = Path(os.fsdecode(entry.read_bytes()))
            if path.is_dir() and path not in present:
                elsewhere.append(path)
    return [*own, *sorted(elsewhere)]


def _remember(run: Path) -> None:
    """Add `run` to the remembered ones, and forget the oldest beyond MAX_REMEMBERED."""
    path = os.fsencode(run)
    directory = data_directory() / REMEMBERED
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    entry = directory / hashlib.sha256(path).hexdigest()[:32]
    if entry.exists():
        return
    for oldest in _remembered()[MAX_REMEMBERED - 1 :]:
        oldest.unlink(missing_ok=True)
    write_atomically(entry, path)


def _remembered() -> list[Path]:
    """The files that remember a run, the newest first."""
    entries = (data_directory() / REMEMBERED).glob("*")
    return sorted(entries, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _latest_run() -> Path | None:
    try:
        name = os.fsdecode((RUNS / LATEST).read_bytes()).strip()
    except OSError:
        return None
    run = RUNS / Path(name).name
    return run if (run / MODEL_FILE).exists() else None
