"""Show the progress of training on stderr: a bar on a terminal, plain lines elsewhere.

rich never interprets text from a model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from charrnn.cli.terminal import note, one_line, visible
from charrnn.training.events import (
    DoneEvent,
    Event,
    NetworkStartEvent,
    SampleEvent,
    StartEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
)

PLAIN_SECONDS = 5.0
"""Minimum time between progress lines if stderr is not a terminal."""


class TrainingDisplay:
    """Shows a run's events: a bar on a terminal, plain lines elsewhere.

    Args:
        raw: leave control characters in live samples as they are.
    """

    def __init__(self, raw: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False, markup=False)
        self._raw = raw
        self._progress: Progress | None = None
        self._task: Any = None
        self._last_line = 0.0
        self._validation = ""
        self._handlers: dict[type, Callable[[Any], None]] = {
            StartEvent: self._show_start,
            NetworkStartEvent: self._show_network_start,
            StepEvent: self._show_step,
            ValidationEvent: self._show_validation,
            SampleEvent: self._show_sample,
            WarningEvent: self._show_warning,
            DoneEvent: self._show_done,
        }

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __call__(self, event: Event) -> None:
        """Show `event`, if its type is shown."""
        show = self._handlers.get(type(event))
        if show is not None:
            show(event)

    def _stop(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            with suppress(OSError):  # a closed terminal must not hide why a run ends
                progress.stop()

    def _print(self, message: str) -> None:
        if self._progress is None:
            note(message)
        else:
            self._console.print(Text(one_line(message)))

    def _show_start(self, event: StartEvent) -> None:
        self._print_corpus("training", event, event.device)
        self._print(f"an n-gram model of order {event.settings['ngram_order']}, no network")
        self._print_repeat_flags(event)

    def _show_network_start(self, event: NetworkStartEvent) -> None:
        settings = event.settings
        verb = f"resuming at step {event.step:,}" if event.resumed else "training"
        self._print_corpus(verb, event, f"{event.device}, {event.threads} threads")
        self._print(
            f"{settings['cell'].upper()} {settings['layers']} x {settings['hidden']}, "
            f"{event.parameters:,} parameters, {event.steps:,} steps ({event.epochs:.1f} epochs)"
        )
        if event.ngram_nats_per_character is not None:
            self._print(
                f"a plain {settings['ngram_order']}-gram model: "
                f"{event.ngram_nats_per_character:.4f} nats per character on the held-out text"
            )
        self._print_repeat_flags(event)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._start_bar(event.steps)

    def _print_corpus(self, verb: str, event: StartEvent, machine: str) -> None:
        self._print(
            f"{verb}: {event.characters:,} characters, {event.vocabulary_size:,} in the "
            f"vocabulary, {event.validation_characters:,} held out; {machine}"
        )

    def _print_repeat_flags(self, event: StartEvent) -> None:
        self._print(f"to repeat: {event.flags}")
        if event.unknown_characters:
            self._print(f"{event.unknown_characters:,} rare characters count as unknown")

    def _start_bar(self, steps: int) -> None:
        self._progress = Progress(
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=steps, figures="")
        self._progress.start()

    def _show_step(self, event: StepEvent) -> None:
        figures = (
            f"{event.nats_per_character:.3f} nats{self._validation}  "
            f"{event.characters_per_second:,.0f} char/s  "
            f"|g| {event.gradient_norm:.2f}  rate {event.rate:.1e}"
        )
        if self._progress is not None:
            self._progress.update(
                self._task, completed=event.step, total=event.steps, figures=figures
            )
        elif time.monotonic() - self._last_line >= PLAIN_SECONDS:
            self._last_line = time.monotonic()
            note(f"step {event.step:,}/{event.steps:,}  {event.seconds:.0f} s  {figures}")

    def _show_validation(self, event: ValidationEvent) -> None:
        loss = event.nats_per_character
        if loss is None:
            return
        self._validation = f", validation {loss:.3f}"
        self._print(
            f"step {event.step:,}: training {event.training_nats_per_character:.4f}, "
            f"validation {loss:.4f} nats per character{' (best so far)' if event.best else ''}"
        )

    def _show_sample(self, event: SampleEvent) -> None:
        text = event.text if self._raw else visible(event.text)
        lines = ["  | " + line for line in text.split("\n")]
        if self._progress is None:
            self._console.file.write("\n".join(lines) + "\n")
            self._console.file.flush()
        else:
            self._console.print(Text("\n".join(lines), style="dim"))

    def _show_warning(self, event: WarningEvent) -> None:
        self._print(f"warning: {event.message}")

    def _show_done(self, event: DoneEvent) -> None:
        self._stop()
        best = event.nats_per_character
        reached = "" if best is None else (
            f"validation {best:.4f} nats ({best / math.log(2):.4f} bits) per character at step "
            f"{event.best_step:,}; "
        )
        note(f"done in {event.seconds:.1f} s: {reached}model in {event.checkpoint}")
