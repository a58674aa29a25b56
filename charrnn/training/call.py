"""Train from Python: arguments into a TrainingRequest; errors and signals as Python has them."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from charrnn.errors import SettingsError, suggestion
from charrnn.platform import EXIT_STATUS, keep_freed_memory, wait_without_spinning
from charrnn.storage.runs import RUNS
from charrnn.text.reading import Reading
from charrnn.training.events import OnEvent
from charrnn.training.request import (
    DEFAULT_MINUTES,
    Budget,
    TrainingRequest,
    refuse_with_more_minutes,
)
from charrnn.training.settings import Settings
from charrnn.training.signals import Interrupted


def train_from_python(
    corpora: tuple[str, ...],
    output: Path | None,
    budget: Mapping[str, Any],
    reading: Mapping[str, Any],
    settings: Mapping[str, Any],
    on_event: OnEvent,
    more_minutes: float | None = None,
    **options: Any,
) -> Path:
    """Train, or go on with an unfinished run; see `charrnn.train` for arguments and errors.

    Args:
        corpora: files or directories.
        output: the run directory; None: named after the first corpus, in checkpoints/.
        budget: fields of Budget.
        reading: fields of Reading.
        settings: fields of Settings.
        on_event: receives the events.
        more_minutes: how much longer to go on with a finished run.
        options: other fields of TrainingRequest.

    Returns:
        The run directory.
    """
    started = time.monotonic()
    try:
        _refuse_unknown(settings)
        Settings(**settings)
        given = {name: value for name, value in budget.items() if value is not None}
        if more_minutes is not None:
            refuse_with_more_minutes(more_minutes, **given, fresh=options.get("fresh"))
            given = {"minutes": more_minutes}
        request = TrainingRequest(
            corpora=corpora,
            reading=Reading(**reading),
            budget=Budget(**(given or {"minutes": DEFAULT_MINUTES})),
            output=output or RUNS / (Path(corpora[0]).resolve().stem or "corpus"),
            requested=dict(settings),
            started=started,
            more_minutes=more_minutes,
            **options,
        )
        keep_freed_memory()
        wait_without_spinning()
        from charrnn.training.session import train

        train(request, on_event)
    except Interrupted as interruption:
        if interruption.status == EXIT_STATUS[signal.SIGINT]:
            raise KeyboardInterrupt(interruption.summary) from None
        raise SystemExit(interruption.status) from None
    return request.output


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    known = [each.name for each in fields(Settings)]
    for name in settings:
        if name not in known:
            raise SettingsError(f"there is no setting {name!r}{suggestion(name, known)}")
