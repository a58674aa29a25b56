from __future__ import annotations

import pytest
import torch

from charrnn.training.adamw import AdamW


def test_the_first_update_by_hand() -> None:
    """Unbiased, the means are the gradient and its square: each weight moves by the rate."""
    matrix = torch.tensor([[1.0, -2.0]], requires_grad=True)
    vector = torch.tensor([3.0], requires_grad=True)
    matrix.grad, vector.grad = torch.tensor([[0.5, -4.0]]), torch.tensor([7.0])
    AdamW([matrix, vector], rate=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(matrix.detach(), torch.tensor([[0.95 - 0.1, -1.9 + 0.1]]))
    torch.testing.assert_close(vector.detach(), torch.tensor([3 - 0.1]))  # does not decay


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_is_torchs(decay: float) -> None:
    draw = torch.Generator().manual_seed(1)
    ours = torch.randn(4, 3, generator=draw).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    mine = AdamW([ours], rate=0.01, betas=(0.8, 0.95), weight_decay=decay)
    other = torch.optim.AdamW([theirs], lr=0.01, betas=(0.8, 0.95), weight_decay=decay)
    for rate in (0.01, 0.02, 0.005, 0.0):
        mine.rate = other.param_groups[0]["lr"] = rate
        ours.grad = torch.randn(4, 3, generator=draw)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()
    torch.testing.assert_close(ours, theirs)
