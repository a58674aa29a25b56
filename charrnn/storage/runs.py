"""Find runs and checkpoints on disk. Knows names and paths; not what a model is."""

from __future__ import annotations

import os
from pathlib import Path

from charrnn.errors import CheckpointError, Parameter, suggestion
from charrnn.storage.files import write_atomically

MODEL_FILE = "model.safetensors"
RUNS = Path("checkpoints")
LATEST = ".latest"
"""In RUNS: the name of the run trained last. A file, because modification times are unreliable:
clocks jump and copies change them."""
ENVIRONMENT_VARIABLE = "CHARRNN_CHECKPOINT"


def find_checkpoint(given: str | None) -> Path:
    """The checkpoint to use: `given`, else $CHARRNN_CHECKPOINT, else the run trained last.

    A name that is neither a model nor a run directory may be that of a run in RUNS.

    Raises:
        CheckpointError: nothing is at that path, or several runs could be meant.
    """
    named = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return _named(named)
    latest = _latest_run()
    if latest is not None:
        return latest
    runs = [RUNS / name for name in run_names()]
    if not runs:
        raise CheckpointError(
            f"there is no trained model in {RUNS}/; train one with: charrnn train CORPUS"
        )
    if len(runs) > 1:
        names = ", ".join(str(run) for run in runs)
        raise CheckpointError(
            f"there are several models ({names}); name one with ", Parameter("checkpoint")
        )
    return runs[0]


def run_names() -> list[str]:
    """The runs in RUNS that have a model, in alphabetical order."""
    return sorted(path.parent.name for path in RUNS.glob(f"*/{MODEL_FILE}"))


def _named(name: str) -> Path:
    path = Path(name)
    if not path.exists() or (path.is_dir() and not (path / MODEL_FILE).exists()):
        run = RUNS / name
        if path.name == name and (run / MODEL_FILE).exists():
            return run
    if path.exists():
        return path
    hint = suggestion(name, run_names())
    if hint:
        raise CheckpointError(f"there is no checkpoint {name}{hint}")
    from charrnn.storage.tensor_file import REMEDY  # needs NumPy, which completion does without

    raise CheckpointError(f"there is no checkpoint {name}; {REMEDY}")


def remember_latest(run: Path) -> None:
    """Make `run` the default checkpoint, if it is in RUNS."""
    if run.parent.resolve() == RUNS.resolve():
        write_atomically(RUNS / LATEST, os.fsencode(f"{run.name}\n"))


def _latest_run() -> Path | None:
    try:
        name = os.fsdecode((RUNS / LATEST).read_bytes()).strip()
    except OSError:
        return None
    run = RUNS / Path(name).name
    return run if (run / MODEL_FILE).exists() else None
