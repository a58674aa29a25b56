"""Measure this machine: how long a step takes, which number format is fast.

Knows clocks, devices and the trainer; not what is chosen from the figures.
"""

from __future__ import annotations

import math
import statistics
import time

import torch

from charrnn.models.torch_threads import one_thread
from charrnn.text.documents import Documents
from charrnn.training.data import TrainingData
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.settings import Settings

FEWEST_MEASURED = 5
MEASURED_TOGETHER = 4
"""Steps of several networks, at most, that are measured as one."""
LONGEST = 4.0
"""A measurement ends after this many times the seconds it should take, with fewer steps."""
MEASURED_VALIDATION = 16_384
MEASURED_CELLS = 1 << 24
"""Characters of a measured validation, at most; times vocabulary, at most."""
NATIVE_SPEED_UP = 1.3
"""bfloat16 is used if its matrix products are faster than float32's by this factor."""
PROBED_WIDTH, MEASURED_WIDTH, MEASURED_PRODUCTS = 128, 512, 7
TOO_SLOW = 8
"""A bfloat16 product slower than float32's by this factor ends the measurement: it is emulated, and
one of MEASURED_WIDTH would take a third of a second."""
BF16_TORCH, BF16_CUDNN = (2, 10), 91300
"""The first versions whose LSTM kernels on a GPU take bfloat16: of torch, of cuDNN."""


class Machine:
    """This machine, with a corpus to measure on.

    Args:
        data: to train on.
        device: a torch device.
    """

    def __init__(self, data: TrainingData, device: str) -> None:
        self._data = data
        self._device = device

    def precision(self) -> str:
        """bfloat16 if the device multiplies it clearly faster than float32, else float32."""
        if self._device != "cpu":
            return "bfloat16" if self._device == "cuda" and gpu_has_bfloat16() else "float32"
        return _fastest_on_cpu()

    def step(self, settings: Settings, seconds: float) -> float:
        """Seconds of a training step with `settings`, measured in about `seconds`."""
        return seconds_per_step(self._data.trainer(settings, self._device), seconds)

    def validation(self, settings: Settings) -> float:
        """Seconds of a validation with `settings`."""
        trainer = self._data.trainer(settings, self._device)
        return _seconds_per_validation(trainer, self._data.validation)


def gpu_has_bfloat16() -> bool:
    """Whether the GPU multiplies bfloat16 in hardware and its recurrent kernels take it.

    Before cuDNN 9.13 and torch 2.10 they do not (pytorch pull request 164411).
    """
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return (
        version >= BF16_TORCH
        and (torch.backends.cudnn.version() or 0) >= BF16_CUDNN
        and torch.cuda.is_bf16_supported(including_emulation=False)
    )


def seconds_per_step(trainer: AnyTrainer, seconds: float) -> float:
    """The median over about `seconds` of training; `trainer` cannot be used afterwards."""
    longest = time.monotonic() + LONGEST * seconds
    first = _seconds_of_a_step(trainer)  # also allocates and compiles
    durations: list[float] = []
    while sum(durations) < seconds or len(durations) < FEWEST_MEASURED:
        if time.monotonic() > longest:
            break
        durations.append(_seconds_of_a_step(trainer))
    # A median ignores moments in which the machine was busy with something else.
    return statistics.median(durations or [first])


def _seconds_of_a_step(trainer: AnyTrainer) -> float:
    started = time.monotonic()
    steps = trainer.advance(MEASURED_TOGETHER)  # losses are numbers, so that a GPU has finished
    return (time.monotonic() - started) / len(steps)


def _seconds_per_validation(trainer: AnyTrainer, documents: Documents) -> float:
    if not documents.characters:
        return 0.0
    vocabulary = trainer.network.architecture.vocabulary_size
    most = max(1, min(MEASURED_VALIDATION, MEASURED_CELLS // vocabulary))
    covered = documents.lengths.cumsum() <= most
    covered[0] = True
    sample = Documents(
        documents.ids, documents.starts[covered], documents.lengths[covered].clip(max=most)
    )
    started = time.monotonic()
    trainer.validate(sample, lambda: None)
    share = documents.characters / sample.characters
    # Segments of a longer text are read in one batch, so time grows less than length.
    return (time.monotonic() - started) * math.pow(share, 0.75)


def _fastest_on_cpu() -> str:
    single, half = _matrices(PROBED_WIDTH)
    with one_thread():  # threads of so short a product wait for each other on a busy machine
        if _fastest_product(half) > TOO_SLOW * _fastest_product(single):
            return "float32"
    single, half = _matrices(MEASURED_WIDTH)
    fastest = _fastest_product(single)
    slowest = TOO_SLOW * fastest
    for _ in range(MEASURED_PRODUCTS):
        seconds = _product_seconds(half)
        if seconds * NATIVE_SPEED_UP < fastest:
            return "bfloat16"
        if seconds > slowest:
            break
    return "float32"


def _matrices(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same matrix in float32 and in bfloat16."""
    ones = torch.ones(width, width)
    return ones, ones.bfloat16()


def _fastest_product(matrix: torch.Tensor) -> float:
    return min(_product_seconds(matrix) for _ in range(MEASURED_PRODUCTS))


def _product_seconds(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(matrix, matrix)
    return time.perf_counter() - started
