"""Choose the settings of a run: sizes from the budget, number of steps from measured speed.

Knows clocks and the corpus's size; nothing of files or of how a run proceeds. The result is plain
Settings, so that the same options repeat the run.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch

from charrnn.errors import Parameter, SettingsError
from charrnn.text.documents import Documents
from charrnn.text.reading import Reading
from charrnn.training.data import TrainingData
from charrnn.training.request import Budget
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.sizes import choose_sizes, default_steps, most_epochs
from charrnn.training.trainer import Trainer

MEASURED_SHARE = 0.005
"""Share of the budget for each measurement of speed, within MEASURED_LIMITS (seconds)."""
MEASURED_LIMITS = (0.3, 3.0)
MAX_ROUNDS, FASTER = 3, 2.0
"""A GPU does so many times more work per second on a wider network that the sizes are chosen again
with the speed of the wider one."""
VALIDATION_SHARE = 0.01
"""Share of the budget for all validations; saving takes half as long again."""
VALIDATIONS = (3, 20)
FEWEST_MEASURED = 5
MEASURED_VALIDATION = 16_384
CLOSING_SECONDS = 0.4
"""For saving and exiting, after the last step."""
MIXING_SECONDS = 0.6
"""For fitting the mixture, in addition."""
NATIVE_SPEED_UP = 1.3
"""bfloat16 is used if its matrix products are faster than float32's by this factor."""
MEASURED_WIDTH, MEASURED_PRODUCTS = 512, 7
TOO_SLOW = 8
"""A bfloat16 product slower than float32's by this factor ends the measurement."""


def choose_device(wanted: str) -> str:
    """The torch device for --device `wanted`.

    Raises:
        SettingsError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise SettingsError("--device cuda: torch finds no GPU here; use --device cpu")
    return "cuda" if available and wanted != "cpu" else "cpu"


def choose_settings(
    requested: Mapping[str, Any], budget: Budget, data: TrainingData, device: str, elapsed: float
) -> Settings:
    """Fill what was not `requested` from the budget, the corpus and the device's speed.

    Args:
        requested: fields of Settings given by the user.
        budget: how long to train.
        data: to train on.
        device: a torch device.
        elapsed: seconds that the command has taken so far.
    """
    started = time.monotonic()
    precision = requested.get("precision") or _native_precision(device)
    chosen = {"precision": precision, "validation": data.held_out}
    settings = replace(DEFAULTS, **{**chosen, **requested})
    if budget.minutes is None:
        per_epoch = data.batches(settings).per_epoch
        steps = budget.steps or max(1, round((budget.epochs or 0) * per_epoch))
        every = max(1, steps // VALIDATIONS[1])
        return replace(settings, **{"steps": steps, "validate_every": every, **requested})
    seconds = budget.minutes * 60
    settings, per_step = _sized(settings, requested, data, device, seconds)
    per_validation = _seconds_per_validation(data.trainer(settings, device), data.validation)
    left = seconds - elapsed - (time.monotonic() - started) - closing_seconds(settings)
    fewest, most = VALIDATIONS
    validations = round(VALIDATION_SHARE * seconds / max(per_validation, 1e-3))
    validations = min(most, max(fewest, validations))
    possible = int((left - validations * per_validation) / per_step)
    steps = max(1, min(possible, most_steps(settings, data)))
    every = math.ceil(steps / validations)
    return replace(settings, **{"steps": steps, "validate_every": every, **requested})


def most_steps(settings: Settings, data: TrainingData) -> int:
    """How long a run by the clock may be: more readings of its text would make it worse."""
    epochs = most_epochs(len(data.training), len(data.corpus.vocabulary))
    return math.ceil(epochs * data.batches(settings).per_epoch)


def _sized(
    settings: Settings,
    requested: Mapping[str, Any],
    data: TrainingData,
    device: str,
    seconds: float,
) -> tuple[Settings, float]:
    """`settings` with the sizes that suit a budget of `seconds`, and the seconds of a step."""
    vocabulary = len(data.corpus.vocabulary)
    low, high = MEASURED_LIMITS
    measured = min(high, max(low, seconds * MEASURED_SHARE))
    per_step = _seconds_per_step(data.trainer(settings, device), measured)
    for _ in range(MAX_ROUNDS):
        possible = default_steps(seconds / per_step, settings, vocabulary)
        sizes = choose_sizes(possible, len(data.training), vocabulary)
        settings = replace(settings, **{**sizes.settings(), **requested})
        per_step = _seconds_per_step(data.trainer(settings, device), measured)
        if default_steps(seconds / per_step, settings, vocabulary) < FASTER * possible:
            break
    return settings, per_step


def _seconds_per_step(trainer: Trainer, seconds: float) -> float:
    """The median over about `seconds` of training; `trainer` cannot be used afterwards."""
    trainer.train_step()  # the first one also allocates and compiles
    durations: list[float] = []
    while sum(durations) < seconds or len(durations) < FEWEST_MEASURED:
        started = time.monotonic()
        trainer.train_step()
        durations.append(time.monotonic() - started)
    # A median ignores moments in which the machine was busy with something else.
    return statistics.median(durations)


def _seconds_per_validation(trainer: Trainer, documents: Documents) -> float:
    if not documents.characters:
        return 0.0
    covered = documents.lengths.cumsum() <= MEASURED_VALIDATION
    covered[0] = True
    sample = Documents(
        documents.ids, documents.starts[covered], documents.lengths[covered].clip(
            max=MEASURED_VALIDATION
        )
    )
    started = time.monotonic()
    trainer.validate(sample, lambda: None)
    share = documents.characters / sample.characters
    # Segments of a longer text are read in one batch, so time grows less than length.
    return (time.monotonic() - started) * math.pow(share, 0.75)


def _native_precision(device: str) -> str:
    """bfloat16 if the device multiplies it clearly faster than float32, else float32."""
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    single, half = (
        torch.ones(MEASURED_WIDTH, MEASURED_WIDTH, dtype=each)
        for each in (torch.float32, torch.bfloat16)
    )
    fastest = min(_product_seconds(single) for _ in range(MEASURED_PRODUCTS))
    slowest = TOO_SLOW * fastest
    for _ in range(MEASURED_PRODUCTS):
        seconds = _product_seconds(half)
        if seconds * NATIVE_SPEED_UP < fastest:
            return "bfloat16"
        if seconds > slowest:
            break
    return "float32"


def _product_seconds(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(matrix, matrix)
    return time.perf_counter() - started


def closing_seconds(settings: Settings) -> float:
    """Seconds needed after the last step."""
    return CLOSING_SECONDS + (MIXING_SECONDS if settings.ngram_order else 0.0)


def describe(settings: Settings, reading: Reading) -> str:
    """The options that repeat a run with `settings` exactly on the same machine."""
    shown = {"encoding": reading.encoding, "errors": reading.errors, **asdict(settings)}
    flags = [f"{Parameter(name).option} {value}" for name, value in shown.items()]
    return " ".join(["--lines", *flags] if reading.lines else flags)
