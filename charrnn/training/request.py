"""The request that `charrnn train` makes. Knows neither torch nor how a run proceeds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from charrnn.errors import Parameter, SettingsError
from charrnn.text.reading import Reading

DEFAULT_MINUTES = 5.0
LONGER = Parameter("more_minutes")


@dataclass(frozen=True)
class Budget:
    """How long to train: exactly one of three.

    Attributes:
        minutes: of the whole command.
        epochs: passes through the training text.
        steps: updates of the weights.

    Raises:
        SettingsError: more or less than one is given, or it is not a positive number.
    """

    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if len(given) != 1:
            raise SettingsError(
                "give one of ",
                Parameter("minutes"),
                ", ",
                Parameter("epochs"),
                " and ",
                Parameter("steps"),
            )
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(Parameter(name), f" must be a positive number, not {value:g}")


def refuse_with_more_minutes(more_minutes: float, **others: object) -> None:
    """Raise SettingsError if `more_minutes` is no time, or one of the options `others` is given."""
    if not (math.isfinite(more_minutes) and more_minutes > 0):
        raise SettingsError(LONGER, f" must be a positive number, not {more_minutes:g}")
    for name, value in others.items():
        if value:
            raise SettingsError(
                LONGER, " goes on with a finished run; leave out ", Parameter(name)
            )


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, on what, for how long and where to save it.

    Attributes:
        corpora: files, directories, or `-`.
        reading: how they are read.
        budget: how long to train.
        output: the run directory.
        requested: the fields of Settings given by the user.
        fresh: start over, even if the directory contains a run.
        device: a member of DEVICES.
        samples: whether to show live samples.
        origin: the run to start from: a path, or the name of a run in checkpoints/.
        more_minutes: how much longer to go on with a finished run.
        continued: what was requested of that run; it is requested again.
        started: `time.monotonic()` when the command started; its minutes count from there.
    """

    corpora: tuple[str, ...]
    reading: Reading
    budget: Budget
    output: Path
    requested: Mapping[str, Any]
    fresh: bool = False
    device: str = "auto"
    samples: bool = True
    origin: str | None = None
    more_minutes: float | None = None
    continued: Mapping[str, Any] | None = None
    started: float = field(default_factory=time.monotonic)

    def as_requested(self) -> dict[str, Any]:
        """The options that determine the run; to resume it, they must be the same."""
        if self.continued is not None:
            return dict(self.continued)
        budget = {name: value for name, value in asdict(self.budget).items() if value is not None}
        reading = asdict(self.reading)
        if not self.reading.labelled:  # as charrnn 0.1 has it
            del reading["labelled"]
        origin = {} if self.origin is None else {"from": self.origin}
        return {**reading, **budget, **origin, **self.requested}
