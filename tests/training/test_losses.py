"""What is minimised, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from charrnn.models.architecture import Architecture
from charrnn.models.torch_rnn import Network
from charrnn.training.batches import IGNORED
from charrnn.training.losses import activation, summed_losses
from charrnn.training.settings import DEFAULTS
from tests.support import prose
from tests.training.support import prepare

TEXT = torch.tensor([[2, 3, 4, 2], [4, 3, 2, 2]])  # (B, T)
TARGETS = torch.tensor([[3, 4, 2, 3], [3, 2, 2, IGNORED]])


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([[7, 7]], 0.5 + 2 + 2.5),  # (1 + 0)/2, (0 + 4)/2; ((0 - 1)^2 + (2 - 0)^2)/2
        ([[7, IGNORED]], 0.5),
        ([[IGNORED, 7]], 2 + 2.5),
    ],
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_activation_by_hand(
    targets: list[list[int]], expected: float, precision: torch.dtype
) -> None:
    """The states (1, 0), then (0, 2), of one text."""
    hidden = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]], dtype=precision)  # (T, B, H)
    assert float(activation(hidden, torch.tensor(targets))) == expected


def small_network() -> Network:
    torch.manual_seed(1)
    return Network(Architecture("lstm", 5, 4, 6, 1, 0.0))


def losses(penalty: float) -> tuple[float, float, Tensor]:
    """Objective and figure of a small network, and the gradient of its recurrent matrix."""
    network = small_network()
    found = summed_losses(network, TEXT, TARGETS, network.initial_state(2), None, penalty)
    (gradient,) = torch.autograd.grad(found.objective, [network.rnn.weight_hh_l0])
    return found.objective.item(), found.reported.item(), gradient


def test_a_penalty_is_in_the_objective_and_not_in_the_figure() -> None:
    network = small_network()
    hidden, _ = network.hidden(TEXT, network.initial_state(2))
    plain, figure, gradient = losses(0.0)
    penalised, same_figure, other_gradient = losses(2.0)
    assert plain == figure == same_figure
    assert penalised == pytest.approx(figure + 2 * activation(hidden, TARGETS).item())
    assert not torch.allclose(gradient, other_gradient)


def test_a_penalty_makes_the_states_smaller() -> None:
    """The mean square of the last layer's states after six steps, with and without."""
    sizes = replace(DEFAULTS, layers=2, embedding=8, hidden=16, batch=4, chunk=8, steps=6)
    found = []
    for penalty in (0.0, 100.0):
        trainer = prepare(prose(60)).single_trainer(
            replace(sizes, activation_penalty=penalty), "cpu"
        )
        for _ in range(sizes.steps):
            trainer.train_step()
        assert trainer.state is not None
        found.append(float(trainer.state[0][-1].square().mean()))
    assert found[1] < found[0] / 2
