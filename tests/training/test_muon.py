from __future__ import annotations

import pytest
import torch
from torch import Tensor

from charrnn.training.muon import COEFFICIENTS, ITERATIONS, Muon, orthogonalise, share_out

SHAPES = [(4, 4), (3, 7), (7, 3), (1, 5), (5, 1), (32, 8), (8, 32), (1, 1)]


def matrix(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def textbook(gradient: Tensor) -> Tensor:
    """X <- a X + (b X X' + c (X X')^2) X on the full matrix, as in Keller Jordan's post."""
    a, b, c = COEFFICIENTS
    X: Tensor = gradient.double()
    X = X / (X.norm() + 1e-7)
    if gradient.shape[0] > gradient.shape[1]:
        X = X.T
    for _ in range(ITERATIONS):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if gradient.shape[0] > gradient.shape[1] else X


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_short_cut_is_the_textbook_loop(shape: tuple[int, int], scale: float) -> None:
    gradient = scale * matrix(*shape)
    found = orthogonalise(gradient)
    assert found.shape == gradient.shape
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, textbook(gradient).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 16), (64, 16), (16, 64)], ids=str)
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    left, _, right = torch.linalg.svd(matrix(*shape), full_matrices=False)
    values = torch.linspace(0.3, 1.0, 16)
    found = orthogonalise(left @ torch.diag(values) @ right)
    singular = torch.linalg.svdvals(found)
    assert singular.min() > 0.5
    assert singular.max() < 1.3
    # the directions stay as they were
    turned = left.T @ found @ right.T
    torch.testing.assert_close(turned, torch.diag(turned.diagonal()), rtol=0, atol=1e-4)


def test_a_gradient_of_zero_stays_zero() -> None:
    assert torch.equal(orthogonalise(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_lower_precision_is_near_enough() -> None:
    gradient = matrix(16, 24)
    rounded = orthogonalise(gradient, torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert (rounded - orthogonalise(gradient)).norm() < 0.1 * rounded.norm()


@pytest.mark.parametrize("shape", [(8, 2), (2, 8)], ids=str)
def test_two_updates_by_hand(shape: tuple[int, int]) -> None:
    start, gradients = matrix(*shape), (matrix(*shape, seed=1), matrix(*shape, seed=2))
    parameter = start.clone().requires_grad_()
    optimiser = Muon([parameter], rate=0.1, momentum=0.9, row_momentum=0.8, weight_decay=0.5)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
    expected, mean, squares = start.clone(), torch.zeros(shape), torch.zeros(shape[0])
    for gradient in gradients:
        mean = 0.9 * mean + 0.1 * gradient
        nesterov = 0.1 * gradient + 0.9 * mean
        size = 0.1 * (shape[0] / shape[1]) ** 0.5
        found = orthogonalise(nesterov)
        squares = 0.8 * squares + 0.2 * (found**2).mean(1)
        even = found / squares.sqrt()[:, None]
        even = even * found.norm() / even.norm()
        expected = expected * (1 - 0.1 * 0.5) - size * even
    torch.testing.assert_close(parameter.detach(), expected)
    torch.testing.assert_close(optimiser.means[0], mean)


def test_no_row_moves_farther_than_another_in_the_long_run() -> None:
    """Gradients of one column: an orthogonal update would be as uneven as they are."""
    parameter = torch.zeros(4, 1, requires_grad=True)
    gradient = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    optimiser = Muon([parameter], rate=0.1, weight_decay=0)
    for _ in range(20):
        parameter.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(parameter.detach(), parameter[:1].detach().expand(4, 1))
    assert not torch.allclose(orthogonalise(gradient), orthogonalise(gradient)[:1])


def test_a_zero_gradient_moves_nothing() -> None:
    parameter = matrix(3, 2).requires_grad_()
    before = parameter.detach().clone()
    parameter.grad = torch.zeros(3, 2)
    Muon([parameter], rate=0.1, weight_decay=0).step()
    assert torch.equal(parameter.detach(), before)


@pytest.mark.parametrize(
    ("sizes", "processes", "expected"),
    [
        ([4, 8, 4], 1, [0, 0, 0]),
        ([64, 256, 256, 256], 2, [1, 0, 1, 0]),
        ([1, 2], 4, [1, 0]),
    ],
)
def test_the_largest_matrices_go_to_different_processes(
    sizes: list[int], processes: int, expected: list[int]
) -> None:
    assert share_out(sizes, processes) == expected
