"""Options of `fill` and `proofread`, and the models that they use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charrnn.cli.command import RunName
from charrnn.cli.options import open_model
from charrnn.errors import SettingsError
from charrnn.inference.fill_options import USING

if TYPE_CHECKING:
    from charrnn.api import TrainedModel

Command = TypeVar("Command", bound=Callable[..., Any])


def using_options(function: Command) -> Command:
    """--using and --with-forward."""
    function = click.option(
        "--with-forward",
        type=RunName(),
        metavar="RUN",
        help="Take the forward model from this run, which must have the same characters.",
    )(function)
    return click.option(
        "--using",
        type=click.Choice(USING),
        default=USING[0],
        show_default=True,
        help="The reader, the forward model, or both of them, as far as RUN has them.",
    )(function)


def open_both(
    checkpoint: str | None, with_forward: str | None, device: str, no_ngram: bool
) -> TrainedModel:
    """The model of `checkpoint`, with the forward model of another run if one is named.

    Raises:
        SettingsError: the other run has another vocabulary, or ends its texts otherwise.
    """
    from dataclasses import replace

    model = open_model(checkpoint, device, no_ngram)
    if with_forward is None:
        return model
    other = open_model(with_forward, device, no_ngram)
    same = other.vocabulary == model.vocabulary
    if not same or other.checkpoint.lines != model.checkpoint.lines:
        raise SettingsError(
            f"--with-forward {with_forward}: that model has other characters or texts; train both "
            "on the same corpus"
        )
    return replace(model, model=other.model)
