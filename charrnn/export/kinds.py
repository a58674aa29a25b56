"""The kinds of file that a model can be exported as, by their suffix.

What writes them is imported when it is called: help needs the descriptions alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.errors import Parameter, SettingsError

if TYPE_CHECKING:
    from charrnn.export.reduction import Reduction
    from charrnn.models.checkpoint import Checkpoint

CARD = ".md"


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        description: what it is, for the help.
        write: (path, checkpoint) -> writes the file atomically.
        labels: whether it can hold a model with labels.
    """

    description: str
    write: Callable[[Path, Checkpoint], None]
    labels: bool = False


def _write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    from charrnn.models.checkpoint import save_checkpoint

    save_checkpoint(path, checkpoint)


def _write_page(path: Path, checkpoint: Checkpoint) -> None:
    from charrnn.export.web_page import write_page
    from charrnn.models.checkpoint import without_reader

    write_page(path, without_reader(checkpoint))


def _write_onnx(path: Path, checkpoint: Checkpoint) -> None:
    from charrnn.export.onnx_file import write_onnx
    from charrnn.models.checkpoint import without_reader

    write_onnx(path, without_reader(checkpoint))


KINDS: dict[str, Kind] = {
    ".safetensors": Kind(
        "a checkpoint, for every command of charrnn", _write_checkpoint, labels=True
    ),
    ".html": Kind("one web page that writes and reads text, offline", _write_page),
    ".onnx": Kind("the network alone, for ONNX (pip install 'charrnn[onnx]')", _write_onnx),
}


def kind_of(output: Path) -> Kind:
    """The kind of file that the suffix of `output` means.

    Raises:
        SettingsError: none has that suffix.
    """
    kind = KINDS.get(output.suffix.lower())
    if kind is None:
        raise SettingsError(
            f"{str(output)!r} does not end with {', '.join(KINDS)}: the suffix says what to write"
        )
    return kind


def export(
    checkpoint: Checkpoint,
    output: Path,
    reduction: Reduction,
    *,
    with_card: bool = False,
    force: bool = False,
) -> list[Path]:
    """Write `checkpoint` to `output` in the form that its suffix means -> the files written.

    Args:
        checkpoint: the model.
        output: the file.
        reduction: what to leave out.
        with_card: write a model card, too: beside `output`, with the suffix CARD.
        force: replace files that exist.

    Raises:
        SettingsError: an unknown suffix, a reduction that the model does not allow, or a file that
            exists, unless `force`.
        CheckpointError: a weight is too large for float16.
        OutputError: the file cannot be written; an older one is intact.
    """
    from charrnn.export.card import write_card
    from charrnn.export.smaller import reduce_checkpoint

    kind = kind_of(output)
    if checkpoint.labels is not None and not kind.labels:
        raise SettingsError(
            f"a model with labels is exported as .safetensors only, not as {output.suffix}"
        )
    files = [output, output.with_suffix(CARD)] if with_card else [output]
    for path in files:
        if path.exists() and not force:
            raise SettingsError(f"{path} exists; replace it with ", Parameter("force"))
    reduced = reduce_checkpoint(checkpoint, reduction)
    kind.write(output, reduced)
    if with_card:
        write_card(files[1], reduced, output.name)
    return files
