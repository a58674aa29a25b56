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
from charrnn.training.trainer import Trainer

SIZES = (
    (250, {"hidden": 96, "chunk": 24}),
    (1_000, {"hidden": 128, "chunk": 32}),
    (2_000, {"hidden": 192, "chunk": 32}),
    (6_000, {"hidden": 256, "chunk": 48}),
    (40_000, {"hidden": 384, "chunk": 64}),
    (math.inf, {"hidden": 512, "chunk": 64}),
)
"""(limit, sizes): the sizes if there is time for fewer steps of the default network than that."""
DROPOUTS = ((2.0, 0.0), (8.0, 0.05), (16.0, 0.1), (40.0, 0.2), (math.inf, 0.3))
"""(limit, dropout): the dropout if the default network would read the text for fewer epochs."""
MEASURED_SHARE = 0.005
"""Share of the budget for each measurement of speed, within MEASURED_LIMITS (seconds)."""
MEASURED_LIMITS = (0.3, 3.0)
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
    low, high = MEASURED_LIMITS
    measured = min(high, max(low, seconds * MEASURED_SHARE))
    possible = seconds / _seconds_per_step(data.trainer(settings, device), measured)
    settings = replace(settings, **{**sizes_for(possible, data), **requested})
    trainer = data.trainer(settings, device)
    per_step = _seconds_per_step(trainer, measured)
    per_validation = _seconds_per_validation(trainer, data.validation)
    left = seconds - elapsed - (time.monotonic() - started)
    left -= closing_seconds(settings)
    fewest, most = VALIDATIONS
    validations = round(VALIDATION_SHARE * seconds / max(per_validation, 1e-3))
    validations = min(most, max(fewest, validations))
    steps = max(1, int((left - validations * per_validation) / per_step))
    every = math.ceil(steps / validations)
    return replace(settings, **{"steps": steps, "validate_every": every, **requested})


def sizes_for(steps: float, data: TrainingData) -> dict[str, Any]:
    """Width, chunk and dropout, if there is time for `steps` of the default network."""
    sizes = next(sizes for limit, sizes in SIZES if steps < limit)
    epochs = steps * DEFAULTS.batch * DEFAULTS.chunk / len(data.training)
    dropout = next(dropout for limit, dropout in DROPOUTS if epochs < limit)
    return {**sizes, "dropout": dropout}


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
