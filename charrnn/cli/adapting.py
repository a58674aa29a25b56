"""Options of commands that let a model adapt to what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charrnn.cli.command import PathName
from charrnn.cli.terminal import note
from charrnn.errors import SettingsError

if TYPE_CHECKING:
    from charrnn.api import TrainedModel

ADAPTIVE_OPTIONS = ("adaptive", "adaptive-rate", "save")
SUFFIX = ".safetensors"


def adaptive_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--adaptive, --adaptive-rate and --save."""
    for option in reversed(
        (
            click.option(
                "--adaptive",
                is_flag=True,
                help="Learn from the text while it is read: each character is scored first, then "
                "learnt. The model on disk stays as it is.",
            ),
            click.option(
                "--adaptive-rate",
                type=click.FloatRange(0, 10),
                metavar="N",
                show_default="1",
                help="How fast to learn with --adaptive: 2 is twice as fast, 0 learns nothing.",
            ),
            click.option(
                "--save",
                type=PathName(),
                metavar=f"FILE{SUFFIX}",
                help="Write what the network has become to a new file; its n-gram model is the old "
                "one.",
            ),
        )
    ):
        function = option(function)
    return function


class Adaptation:
    """What the options say.

    Raises:
        SettingsError: they contradict each other or --device, or FILE exists.
    """

    def __init__(
        self, adaptive: bool, rate: float | None, save: str | None, device: str, models: int = 1
    ) -> None:
        self._adaptive = adaptive
        self._rate = 1.0 if rate is None else rate
        self._save = None if save is None else Path(save)
        if not adaptive and (rate, save) != (None, None):
            raise SettingsError("--adaptive-rate and --save are for --adaptive; give that too")
        if adaptive and device != "cpu":
            raise SettingsError(f"--adaptive computes on a processor; leave out --device {device}")
        if self._save is not None:
            self._check(self._save, models)

    def _check(self, path: Path, models: int) -> None:
        if models > 1:
            raise SettingsError("--save writes one model; give one --checkpoint")
        if path.suffix != SUFFIX:
            raise SettingsError(f"--save writes a checkpoint; let {str(path)!r} end with {SUFFIX}")
        if path.exists():
            raise SettingsError(f"{path} exists; give --save another name")

    def begin(self, models: Sequence[TrainedModel]) -> list[TrainedModel]:
        """`models`, which adapt from now on if that is wanted."""
        return [model.adapting(self._rate) if self._adaptive else model for model in models]

    def finish(self, models: Sequence[TrainedModel]) -> None:
        """Write what a model has become, if that is wanted."""
        if self._save is None:
            return
        from charrnn.models.checkpoint import save_checkpoint

        save_checkpoint(self._save, models[0].adapted_checkpoint)
        note(f"adapted network saved in {self._save}")
