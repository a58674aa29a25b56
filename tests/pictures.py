"""Draw the README's pictures with the program itself: python -m tests.pictures RUN TEXT."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

import charrnn
from charrnn.cli.dashboard import Dashboard
from charrnn.cli.heat_map import print_heat_map
from charrnn.training.events import SampleEvent, StepEvent, ValidationEvent
from tests.support import REPOSITORY

WIDTH, HEIGHT = 80, 24
SHARE = 0.7
"""How far the run has come in the picture."""
KINDS: dict[str, type[Any]] = {
    "step": StepEvent,
    "validation": ValidationEvent,
    "sample": SampleEvent,
}


def training(log: Path, console: Console) -> None:
    """What a terminal showed at SHARE of the run with this log."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    start = events[0]
    dashboard = Dashboard(0, start["steps"])
    receive: dict[str, Callable[[Any], None]] = {
        "step": dashboard.add_step,
        "validation": dashboard.add_validation,
        "sample": dashboard.add_sample,
    }
    for event in events:
        kind = event.pop("event")
        if kind in KINDS and event["step"] <= SHARE * start["steps"]:
            known = {each.name for each in fields(KINDS[kind])}
            receive[kind](KINDS[kind](**{key: event[key] for key in known & event.keys()}))
    for line, style in dashboard.frame(WIDTH, HEIGHT):
        console.print(Text(line, style))


def main() -> None:
    """Write the pictures."""
    run, text = Path(sys.argv[1]), sys.argv[2]
    for name, title in (("training", "charrnn train"), ("heat-map", "charrnn score")):
        with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
            console = Console(
                record=True, width=WIDTH, file=nowhere, force_terminal=True,
                color_system="truecolor", highlight=False, emoji=False, markup=False,
            )
            if name == "training":
                training(run / "log.jsonl", console)
            else:
                (scores,) = charrnn.load(run).score_characters([text])
                print_heat_map(scores.characters, scores.log_probabilities, console)
            picture = console.export_svg(title=title, unique_id=name)
        (REPOSITORY / f".github/{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
