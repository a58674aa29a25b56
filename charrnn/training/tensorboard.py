"""Write the events of a run for TensorBoard. Knows events, not how a run proceeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from charrnn.errors import Parameter, SettingsError
from charrnn.training.events import (
    DoneEvent,
    Event,
    NetworkStartEvent,
    SampleEvent,
    StartEvent,
    StepEvent,
    ValidationEvent,
)

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

DIRECTORY = "tensorboard"
"""Of the event files, in the run directory."""
LOSSES = {
    "nats_per_character": "loss/validation",
    "network_nats_per_character": "loss/network",
    "ngram_nats_per_character": "loss/ngram",
    "pseudo_nats_per_character": "pseudo_loss/validation",
}


class TensorBoard:
    """A listener that writes a run's events to files that TensorBoard shows.

    Of a resumed run the steps continue; those after the step it resumes from are replaced.

    Raises:
        SettingsError: the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise SettingsError(
                Parameter("tensorboard"),
                " needs a package that is not installed; pip install 'charrnn[tensorboard]'"
            ) from None
        self._open: Callable[..., SummaryWriter] = SummaryWriter
        self._writer: SummaryWriter | None = None
        self._settings: dict[str, Any] = {}
        self._handlers: dict[type, Callable[[SummaryWriter, Any], None]] = {
            StepEvent: _add_step,
            ValidationEvent: _add_validation,
            SampleEvent: _add_sample,
            DoneEvent: self._add_done,
        }

    def __call__(self, event: Event) -> None:
        """Write `event`, if its type is shown.

        Raises:
            OSError: it cannot be written.
        """
        if isinstance(event, StartEvent):
            self._start(event)
        handler = self._handlers.get(type(event))
        if handler is not None and self._writer is not None:
            handler(self._writer, event)
            self._writer.flush()

    def close(self) -> None:
        """Finish the files."""
        if self._writer is not None:
            self._writer.close()

    def _start(self, event: StartEvent) -> None:
        step = event.step if isinstance(event, NetworkStartEvent) else 0
        # Without purge_step, TensorBoard would show both what an older run and this one did.
        self._writer = self._open(f"{event.checkpoint}/{DIRECTORY}", purge_step=step + 1)
        self._settings = dict(event.settings)
        self._writer.add_text("flags", _verbatim(event.flags), step + 1)

    def _add_done(self, writer: SummaryWriter, event: DoneEvent) -> None:
        figures = {
            name: getattr(event, field)
            for field, name in LOSSES.items()
            if getattr(event, field) is not None
        }
        writer.add_hparams(self._settings, figures, run_name=".", global_step=event.step)


def _loss(event: StepEvent | ValidationEvent) -> str:
    return "pseudo_loss" if event.pseudo else "loss"


def _add_step(writer: SummaryWriter, event: StepEvent) -> None:
    writer.add_scalar(f"{_loss(event)}/training", event.nats_per_character, event.step)
    writer.add_scalar("rate/adamw", event.rate, event.step)
    writer.add_scalar("rate/muon", event.muon_rate, event.step)
    writer.add_scalar("gradient_norm", event.gradient_norm, event.step)
    writer.add_scalar("clipped", event.clipped, event.step)
    writer.add_scalar("characters_per_second", event.characters_per_second, event.step)


def _add_validation(writer: SummaryWriter, event: ValidationEvent) -> None:
    if event.nats_per_character is not None:
        writer.add_scalar(f"{_loss(event)}/validation", event.nats_per_character, event.step)


def _add_sample(writer: SummaryWriter, event: SampleEvent) -> None:
    writer.add_text("sample", _verbatim(event.text), event.step)


def _verbatim(text: str) -> str:
    """`text` as a block of Markdown code, which TensorBoard shows as it is."""
    return "".join(f"    {line}\n" for line in text.split("\n"))
