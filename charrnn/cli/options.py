"""Options that several commands share, and how they are applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charrnn.cli.command import LabelName, RunName
from charrnn.cli.terminal import note
from charrnn.errors import VocabularyError
from charrnn.platform import keep_freed_memory
from charrnn.storage.bundled import is_bundled
from charrnn.text.reading import ERRORS

if TYPE_CHECKING:
    from charrnn.api import TrainedModel

DEFAULT_CHECKPOINT = (
    "$CHARRNN_CHECKPOINT, else the run trained last in checkpoints/, else shakespeare, which comes "
    "with charrnn"
)
Command = TypeVar("Command", bound=Callable[..., Any])


def all_of(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """A decorator that adds `options`, in the order of the help."""

    def add(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def checkpoint_option(function: Command) -> Command:
    """-c/--checkpoint."""
    return click.option(
        "-c",
        "--checkpoint",
        type=RunName(),
        metavar="RUN",
        show_default=DEFAULT_CHECKPOINT,
        help="A run in checkpoints/, a run directory, a model file, or shakespeare.",
    )(function)


def checkpoints_option(function: Command) -> Command:
    """-c/--checkpoint, which can be given several times to compare models."""
    return click.option(
        "-c",
        "--checkpoint",
        type=RunName(),
        multiple=True,
        metavar="RUN",
        show_default=DEFAULT_CHECKPOINT,
        help="A run in checkpoints/, a run directory, a model file, or shakespeare; give several "
        "to compare them.",
    )(function)


def label_option(multiple: bool) -> Callable[[Command], Command]:
    """--label, which can be given several times if `multiple`."""
    return click.option(
        "--label",
        type=LabelName(),
        multiple=multiple,
        metavar="LABEL",
        help="Texts of this label, of a model trained with --labelled"
        + ("; give several for several in turn." if multiple else "."),
    )


def device_option(function: Command) -> Command:
    """--device for inference."""
    return click.option(
        "--device",
        type=click.Choice(["cpu", "cuda"]),
        default="cpu",
        show_default=True,
        help="Where to compute.",
    )(function)


def json_option(function: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(function)


def raw_option(function: Command) -> Command:
    """--raw."""
    return click.option(
        "--raw", is_flag=True, help="Do not escape control characters, even on a terminal."
    )(function)


def encoding_options(function: Command) -> Command:
    """--encoding and --errors."""
    function = click.option(
        "--errors",
        type=click.Choice(ERRORS),
        default=ERRORS[0],
        show_default=True,
        help="Refuse bytes that are not text, or replace each by U+FFFD.",
    )(function)
    return click.option(
        "--encoding", default="utf-8", show_default=True, help="Encoding of the text files."
    )(function)


def strict_option(function: Command) -> Command:
    """--strict."""
    return click.option(
        "--strict", is_flag=True, help="Refuse characters that the model does not know."
    )(function)


def ngram_option(function: Command) -> Command:
    """--no-ngram."""
    return click.option(
        "--no-ngram", is_flag=True, help="Use the network alone, without the n-gram model."
    )(function)


def open_model(checkpoint: str | None, device: str, no_ngram: bool) -> TrainedModel:
    """Open the model; name it on stderr if the user did not."""
    from charrnn.storage.runs import find_checkpoint, model_file  # not needed for help
    from charrnn.storage.sealed_file import SealedFile

    keep_freed_memory()
    path = find_checkpoint(checkpoint)
    file = SealedFile(model_file(path))  # a large one is read while NumPy is being imported
    from charrnn.api import TrainedModel

    model = TrainedModel.read(path, file, device, not no_ngram)
    if checkpoint is None:
        note_chosen(model.path)
    if model.checkpoint.training.get("history") == []:
        note("warning: this model is untrained or nearly so: saved before its first validation")
    return model


def note_chosen(path: Path) -> None:
    """Name on stderr the model that is used because the user named none."""
    if is_bundled(path):
        note(f"checkpoint: {path.stem}, which comes with charrnn; train one: charrnn train FILE")
    else:
        note(f"checkpoint: {path}")


def open_models(
    checkpoints: Sequence[str], device: str, no_ngram: bool
) -> list[TrainedModel]:
    """Open the models named, or the one that is meant if none is."""
    return [open_model(each, device, no_ngram) for each in checkpoints or (None,)]


def check_characters(model: TrainedModel, text: str, strict: bool) -> None:
    """Refuse characters outside the vocabulary if `strict`, else report their number on stderr.

    Raises:
        VocabularyError: `strict`, and there are such characters.
    """
    if strict:
        try:
            model.require_known(text)
        except VocabularyError as error:
            raise VocabularyError(f"{error}, or drop --strict to count them as unknown") from None
        return
    unknown = set(model.vocabulary.unknown(text))
    if unknown:
        count = sum(character in unknown for character in text)
        what = "character" if count == 1 else "characters"
        note(f"{count:,} unknown {what}, read as UNK: {' '.join(sorted(unknown)[:20])}")
