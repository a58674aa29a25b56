"""What each regulariser of the search changes: nothing with zero, training only, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from charrnn.models.torch_rnn import Network
from charrnn.training import gradients
from charrnn.training.settings import DEFAULTS
from tests.benchmarks.regularisers import REGULARISERS
from tests.support import prose
from tests.training.support import prepare

SETTINGS = replace(
    DEFAULTS, layers=2, embedding=8, hidden=16, batch=4, chunk=8, steps=6, dropout=0.0
)


@pytest.fixture(autouse=True)
def the_package_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore, after each test, what regularisers replace."""
    for name in ("_read", "_drop"):
        monkeypatch.setattr(Network, name, getattr(Network, name))
    monkeypatch.setitem(vars(gradients), "summed_losses", vars(gradients)["summed_losses"])


def train() -> tuple[list[float], float]:
    """The loss of each step, and of the held-out text after them."""
    data = prepare(prose(60))
    trainer = data.single_trainer(SETTINGS, "cpu")
    losses = [trainer.train_step().loss for _ in range(SETTINGS.steps)]
    return losses, trainer.validate(data.validation, lambda: None)


@pytest.mark.parametrize("name", REGULARISERS)
def test_with_zero_it_changes_nothing(name: str) -> None:
    plain = train()
    REGULARISERS[name](0.0)
    assert train() == plain


@pytest.mark.parametrize("name", REGULARISERS)
def test_it_changes_training_and_every_run_in_the_same_way(name: str) -> None:
    plain, _ = train()
    REGULARISERS[name](0.3)
    losses, held_out = train()
    assert losses[1:] != plain[1:]
    assert train() == (losses, held_out)
