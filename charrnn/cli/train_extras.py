"""What `train` does on request only: print the plan of a run, write its events for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict

from charrnn.cli.terminal import Output
from charrnn.training.events import Event, OnEvent
from charrnn.training.request import TrainingRequest


def print_plan(request: TrainingRequest, as_json: bool) -> None:
    """Print the plan of a run: lines `name<TAB>value`, or one JSON object."""
    from charrnn.training.dry_run import dry_run

    output = Output()
    forecast = asdict(dry_run(request))
    if as_json:
        output.record(forecast)
        return
    for name, value in forecast.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, each in inner.items():
            output.line(f"{name}{key and '.' + key}\t{_shown(each)}")


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}" if value > 0.1 else f"{value:.3g}"


@contextmanager
def with_tensorboard(listener: OnEvent, wanted: bool) -> Iterator[OnEvent]:
    """`listener`, and one that writes the events for TensorBoard if that is `wanted`."""
    if not wanted:
        yield listener
        return
    from charrnn.training.tensorboard import TensorBoard

    with closing(TensorBoard()) as board:

        def both(event: Event) -> None:
            board(event)
            listener(event)

        yield both
