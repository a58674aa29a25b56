"""Checkpoints as arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Trained


@pytest.fixture
def prose_c(prose_model: Trained) -> tuple[str, Path]:
    return "-c", prose_model.run


@pytest.fixture
def names_c(names_model: Trained) -> tuple[str, Path]:
    return "-c", names_model.run
