"""What the machine can do, asked and measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from charrnn.errors import SettingsError
from charrnn.training import machine
from charrnn.training.machine import gpu_has_bfloat16, seconds_per_step
from charrnn.training.plan import choose_device
from tests.training.support import prepare


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(SettingsError, match="finds no GPU here; use device cpu"):
        choose_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


def test_apple_s_gpu_is_used_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(SettingsError, match="finds no Apple GPU here; use device cpu"):
        choose_device("mps")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert choose_device("mps") == "mps"
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("torch_version", "cudnn", "native", "expected"),
    [
        ("2.10.0+cu128", 91300, True, True),
        ("2.13.0", 92000, True, True),
        ("3.0.0", 91300, True, True),
        ("2.9.1", 91300, True, False),
        ("2.10.0", 91200, True, False),
        ("2.10.0", None, True, False),
        ("2.10.0", 91300, False, False),
    ],
)
def test_bfloat16_needs_the_kernels_and_the_hardware(
    torch_version: str,
    cudnn: int | None,
    native: bool,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def supported(*, including_emulation: bool) -> bool:
        return native or including_emulation

    monkeypatch.setattr("torch.__version__", torch_version)
    monkeypatch.setattr("torch.backends.cudnn.version", lambda: cudnn)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", supported)
    assert gpu_has_bfloat16() is expected


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        (30.0, 100.0, "float32"),  # emulated
        (2.0, 100.0, "float32"),  # emulated, which shows in large products only
        (2.0, 0.5, "bfloat16"),  # a small product is too small for a gain
        (1.0, 0.9, "float32"),  # no clear gain
    ],
)
def test_bfloat16_is_used_where_it_is_clearly_faster(
    small: float, large: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds of a bfloat16 product, where one of float32 takes 1."""
    products: list[tuple[int, torch.dtype]] = []

    def seconds(matrix: torch.Tensor) -> float:
        products.append((len(matrix), matrix.dtype))
        if matrix.dtype == torch.float32:
            return 1.0
        return small if len(matrix) == machine.PROBED_WIDTH else large

    monkeypatch.setattr(machine, "_product_seconds", seconds)
    assert machine.Machine(prepare("a text of some length"), "cpu").precision() == expected
    large_ones = products.count((machine.MEASURED_WIDTH, torch.bfloat16))
    assert large_ones == (0 if small > machine.TOO_SLOW else 7 if large == 0.9 else 1)


class SlowTrainer:
    """Each step takes its seconds of a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: float, others: float) -> None:
        self.steps = 0
        self._durations = first, others
        self._now = 0.0
        clock = SimpleNamespace(monotonic=lambda: self._now)
        monkeypatch.setattr("charrnn.training.machine.time", clock)

    def advance(self, most: int) -> list[None]:
        self._now += self._durations[self.steps > 0]
        self.steps += 1
        return [None]


@pytest.mark.parametrize(
    ("first", "others", "steps", "measured"),
    [
        (0.5, 0.125, 9, 0.125),  # a second's worth, the first not counted
        (0.5, 0.375, 6, 0.375),  # five at least
        (2.0, 1.5, 3, 1.5),  # but no more than four seconds
        (10.0, 9.0, 1, 10.0),
    ],
)
def test_a_measurement_ends(
    first: float, others: float, steps: int, measured: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer: Any = SlowTrainer(monkeypatch, first, others)
    assert seconds_per_step(trainer, 1.0) == measured
    assert trainer.steps == steps
