"""charrnn: a character-level language model. `train` makes one, `load` opens a trained one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.api import TrainedModel
    from charrnn.errors import (
        CharRNNError,
        CheckpointError,
        CorpusError,
        SettingsError,
        TrainingError,
        VocabularyError,
    )
    from charrnn.training.events import OnEvent

__version__ = "0.1.0"
__all__ = [
    "CharRNNError",
    "CheckpointError",
    "CorpusError",
    "SettingsError",
    "TrainedModel",
    "TrainingError",
    "VocabularyError",
    "__version__",
    "load",
    "train",
]


def load(
    checkpoint: str | Path | None = None, device: str = "cpu", use_ngram: bool = True
) -> TrainedModel:
    """Open a trained model.

    Args:
        checkpoint: a run directory or a model.safetensors; without it $CHARRNN_CHECKPOINT, else
            the run trained last in checkpoints/.
        device: "cpu" computes in NumPy, "cuda" in torch.
        use_ngram: False for the network alone, without the n-gram model it is mixed with.

    Raises:
        CheckpointError: there is none, or it is damaged, inconsistent, or of a newer format.
        SettingsError: the device is not available, or there is no network and `use_ngram` is
            False.
    """
    from charrnn.api import TrainedModel

    return TrainedModel.open(checkpoint, device, use_ngram)


def train(  # noqa: PLR0913 - arguments are what the command has as options
    corpora: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    lines: bool = False,
    labelled: bool = False,
    encoding: str = "utf-8",
    errors: str = "strict",
    device: str = "auto",
    fresh: bool = False,
    from_: str | Path | None = None,
    more_minutes: float | None = None,
    on_event: OnEvent | None = None,
    **settings: Any,
) -> TrainedModel:
    """Train a model on text, or go on with an unfinished run in the same directory.

    Args:
        corpora: a file or directory of *.txt, or several.
        output: the run directory; None: named after the first corpus, in checkpoints/.
        minutes, epochs, steps: how long, one of them; minutes=5 if none is given.
        lines: whether each line is a text of its own.
        labelled: whether each line is a label, a tab and a text.
        encoding, errors: how the files are read.
        device: "auto", "cpu" or "cuda".
        fresh: start over, even if there is a run in the directory.
        from_: a run whose network to start from.
        more_minutes: go on with a finished run for so long; its options are taken from it.
        on_event: is called with every event of the run, see charrnn.training.events.
        settings: hyperparameters, see charrnn.training.settings.Settings.

    Raises:
        CharRNNError: an argument, the text or the run directory does not allow it; the message
            names arguments.
        KeyboardInterrupt: it was interrupted; the run is saved, and the same call goes on with it.
    """
    from charrnn.training.call import train_from_python

    given = [corpora] if isinstance(corpora, str | Path) else corpora
    run = train_from_python(
        tuple(str(corpus) for corpus in given),
        None if output is None else Path(output),
        {"minutes": minutes, "epochs": epochs, "steps": steps},
        {"lines": lines or labelled, "encoding": encoding, "errors": errors, "labelled": labelled},
        settings,
        on_event or (lambda event: None),
        device=device,
        fresh=fresh,
        origin=None if from_ is None else str(from_),
        more_minutes=more_minutes,
    )
    return load(run)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package alone is fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "TrainedModel":
        from charrnn.api import TrainedModel

        return TrainedModel
    from charrnn import errors

    return getattr(errors, name)
