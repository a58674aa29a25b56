"""The kinds of file that a model can be exported as, by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charrnn.errors import Parameter, SettingsError
from charrnn.export.smaller import Reduction, reduce_checkpoint
from charrnn.models.checkpoint import Checkpoint, save_checkpoint


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        description: what it is, for the help.
        write: (path, checkpoint) -> writes the file atomically.
    """

    description: str
    write: Callable[[Path, Checkpoint], None]


KINDS: dict[str, Kind] = {
    ".safetensors": Kind("a checkpoint, for every command of charrnn", save_checkpoint),
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
    checkpoint: Checkpoint, output: Path, reduction: Reduction, *, force: bool = False
) -> None:
    """Write `checkpoint` to `output` in the form that its suffix means.

    Raises:
        SettingsError: an unknown suffix, a reduction that the model does not allow, or a file that
            exists, unless `force`.
        CheckpointError: a weight is too large for float16.
        OutputError: the file cannot be written; an older one is intact.
    """
    kind = kind_of(output)
    if output.exists() and not force:
        raise SettingsError(f"{output} exists; replace it with ", Parameter("force"))
    kind.write(output, reduce_checkpoint(checkpoint, reduction))
