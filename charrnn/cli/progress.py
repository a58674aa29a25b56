"""Show the progress of training on stderr: curves on a terminal, plain lines elsewhere.

rich never interprets text from a model.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from charrnn.cli.bar import DelayedBar
from charrnn.cli.dashboard import Dashboard
from charrnn.cli.layout import wrap
from charrnn.cli.terminal import has_cursor, note, one_line, shows_blocks, visible
from charrnn.training.events import (
    CountingEvent,
    DoneEvent,
    Event,
    InterruptedEvent,
    NetworkStartEvent,
    OriginEvent,
    ReadingEvent,
    SampleEvent,
    StartEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
)

MAX_SHOWN = 20
"""New characters shown, at most."""
PLAIN_SECONDS = 5.0
"""Minimum time between progress lines if stderr is not a terminal."""


class TrainingDisplay:
    """Shows a run's events: a dashboard on a terminal, plain lines elsewhere.

    Args:
        raw: leave control characters in live samples as they are.
    """

    def __init__(self, raw: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False, markup=False)
        self._raw = raw
        self._live: Live | None = None
        self._dashboard: Dashboard | None = None
        self._last_line = 0.0
        self._validation = ""
        self._handlers: dict[type, Callable[[Any], None]] = {
            StartEvent: self._show_start,
            NetworkStartEvent: self._show_network_start,
            OriginEvent: self._show_origin,
            CountingEvent: self._show_counting,
            StepEvent: self._show_step,
            ValidationEvent: self._show_validation,
            SampleEvent: self._show_sample,
            WarningEvent: self._show_warning,
            DoneEvent: self._show_done,
            InterruptedEvent: self._show_interrupted,
            ReadingEvent: self._show_reading,
        }
        self._reading = DelayedBar("reading")

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

    def _show_reading(self, event: ReadingEvent) -> None:
        if event.done < event.total:
            self._reading.update(event.done, event.total)
        else:
            self._reading.stop()

    def _stop(self) -> None:
        self._reading.stop()
        live, self._live = self._live, None
        self._dashboard = None
        if live is not None:
            with suppress(OSError):  # a closed terminal must not hide why a run ends
                live.stop()

    def _print(self, message: str) -> None:
        if self._live is None:
            self._note(message)
        else:
            self._console.print(Text(one_line(message)))

    def _note(self, message: str) -> None:
        """Write a line; on a terminal, broken between words."""
        fitting = has_cursor(sys.stderr)
        for line in wrap(one_line(message), self._console.width) if fitting else [message]:
            note(line)

    def _draw(self) -> None:
        if self._live is not None and self._dashboard is not None:
            frame = self._dashboard.frame(self._console.width, self._console.height)
            text = Text(no_wrap=True, overflow="crop", end="")
            text.append_text(Text("\n").join(Text(line, style) for line, style in frame))
            self._live.update(text, refresh=True)

    def _show_start(self, event: StartEvent) -> None:
        self._print_corpus("training", event, event.device)
        self._print(f"an n-gram model of order {event.settings['ngram_order']}, no network")
        self._print_unknown(event)

    def _show_network_start(self, event: NetworkStartEvent) -> None:
        settings = event.settings
        verb = f"resuming at step {event.step:,}" if event.resumed else "training"
        each = f"{event.processes} processes of " if event.processes > 1 else ""
        self._print_corpus(verb, event, f"{event.device}, {each}{event.threads} threads")
        several = f"{settings['networks']} times " if settings["networks"] > 1 else ""
        recent = settings["recent"]
        of = f" of the last {recent:,} characters" if 0 < recent < event.characters else ""
        readings = f"{event.epochs:.1f} epochs{of}"
        self._print(
            f"{several}{settings['cell'].upper()} {settings['layers']} x {settings['hidden']}, "
            f"{event.parameters:,} parameters, {event.steps:,} steps ({readings})"
        )
        if event.ngram_nats_per_character is not None:
            self._print(
                f"a plain {settings['ngram_order']}-gram model: "
                f"{event.ngram_nats_per_character:.4f} nats per character on the held-out text"
            )
        self._print_unknown(event)
        if has_cursor(sys.stderr):
            self._start_live(event)

    def _print_corpus(self, verb: str, event: StartEvent, machine: str) -> None:
        self._print(
            f"{verb}: {event.characters:,} characters, {event.vocabulary_size:,} in the "
            f"vocabulary, {event.validation_characters:,} held out; {machine}"
        )

    def _print_unknown(self, event: StartEvent) -> None:
        if event.unknown_characters:
            self._print(f"{event.unknown_characters:,} rare characters count as unknown")

    def _show_origin(self, event: OriginEvent) -> None:
        parts = [f"starting from {event.checkpoint}"]
        if event.nats_per_character is not None:
            parts.append(f"{event.nats_per_character:.4f} nats per character before training")
        if new := event.new_characters:
            what = "character" if len(new) == 1 else "characters"
            parts.append(f"{len(new):,} new {what}: {' '.join(new[:MAX_SHOWN])}")
        if event.earlier_share is not None:
            share = f" and {event.earlier_share:.0%} of the earlier one"
            parts.append(f"n-grams of this text{share if event.earlier_share else ' alone'}")
        self._print("; ".join(parts))

    def _show_counting(self, event: CountingEvent) -> None:
        if time.monotonic() - self._last_line >= PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self._print(f"counting n-grams: {event.characters:,} of {event.total:,} characters")

    def _start_live(self, event: NetworkStartEvent) -> None:
        blocks = shows_blocks(sys.stderr)
        self._dashboard = Dashboard(event.step, event.steps, blocks, self._raw)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()
        self._draw()

    def _show_step(self, event: StepEvent) -> None:
        if self._dashboard is not None:
            self._dashboard.add_step(event)
            self._draw()
        elif time.monotonic() - self._last_line >= PLAIN_SECONDS:
            self._last_line = time.monotonic()
            note(
                f"step {event.step:,}/{event.steps:,}  {event.seconds:.0f} s  "
                f"{event.nats_per_character:.3f} {_unit(event)}{self._validation}  "
                f"{event.characters_per_second:,.0f} char/s  "
                f"|g| {event.gradient_norm:.2f}  rate {event.rate:.1e}"
            )

    def _show_validation(self, event: ValidationEvent) -> None:
        if self._dashboard is not None:
            self._dashboard.add_validation(event)
            self._draw()
            return
        loss = event.nats_per_character
        if loss is None:
            return
        self._validation = f", validation {loss:.3f}"
        self._print(
            f"step {event.step:,}: training {event.training_nats_per_character:.4f}, "
            f"validation {loss:.4f} {_unit(event)} per character"
            f"{' (best so far)' if event.best else ''}"
        )

    def _show_sample(self, event: SampleEvent) -> None:
        if self._dashboard is not None:
            self._dashboard.add_sample(event)
            self._draw()
            return
        text = event.text if self._raw else visible(event.text)
        lines = ["  | " + line for line in text.split("\n")]
        self._console.file.write("\n".join(lines) + "\n")
        self._console.file.flush()

    def _show_interrupted(self, event: InterruptedEvent) -> None:
        self._stop()

    def _show_warning(self, event: WarningEvent) -> None:
        self._print(f"warning: {event.message}")

    def _show_done(self, event: DoneEvent) -> None:
        self._stop()
        self._note(
            f"done in {event.seconds:.1f} s: {_reached(event)}{_recognised(event)}"
            f"model in {event.checkpoint}"
        )


def _recognised(event: DoneEvent) -> str:
    """How well a model with labels recognises them."""
    if event.accuracy is None:
        return ""
    return f"recognises the label of {event.accuracy:.1%} of the held-out lines; "


def _unit(event: StepEvent | ValidationEvent) -> str:
    return "pseudo-nats" if event.pseudo else "nats"


def _reached(event: DoneEvent) -> str:
    """The figure of the saved model; of a mixture also those of its parts, as shown before."""
    pseudo = event.pseudo_nats_per_character
    if pseudo is not None:
        alone = replace(event, pseudo_nats_per_character=None, best_step=0)
        return (
            f"reader {pseudo:.4f} pseudo-nats per character at step {event.best_step:,}; the next "
            f"character: {_reached(alone)}"
        )
    best, network = event.nats_per_character, event.network_nats_per_character
    if best is None:
        return ""
    figure = f"validation {best:.4f} nats ({best / math.log(2):.4f} bits) per character"
    step = f" at step {event.best_step:,}" if event.best_step else ""
    earlier = event.before_nats_per_character
    before = "" if earlier is None else f", {earlier:.4f} before"
    each = ", ".join(f"{value:.4f}" for value in event.each_nats_per_character or ())
    several = "networks" if each else "network"
    step = f" ({each} each){step}" if each else step
    if network is None or network == best:
        return f"{figure}{step}{before}; "
    return (
        f"{figure}, {several} and n-gram model together; {several} alone {network:.4f}{step}, "
        f"n-gram model alone {event.ngram_nats_per_character or math.nan:.4f}{before}; "
    )
