"""Muon, the optimiser of the recurrent matrices. Knows nothing of models or schedules.

Keller Jordan 2024 (https://kellerjordan.github.io/posts/muon/): momentum whose matrix is replaced
by the nearest (semi-)orthogonal one, found by Newton-Schulz iterations. Then NorMuon,
Li et al. 2025 (arXiv 2510.05491): updates are normalised row by row, so that in the long run the
weights of all units (rows) change by about the same amount.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from charrnn.training.parallel import parallel_map
from charrnn.training.processes import Alone, Group

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3
TINY = 1e-12


def orthogonalise(matrix: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """`matrix` (m, n) with its singular values brought near 1, in float32.

    The quintic Newton-Schulz iteration X <- (a + b XX' + c (XX')^2) X, done on the small Gram
    matrix XX' alone: the factors commute, so their product can be applied to X once. For a
    matrix four times as long as wide that is less than half the work.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    wide: Tensor = matrix.T if tall else matrix
    wide = (wide / (wide.norm() + 1e-7)).to(precision)
    first, second, third = COEFFICIENTS
    gram = wide @ wide.T
    product: Tensor | None = None
    for iteration in range(ITERATIONS):
        factor = torch.addmm(gram, gram, gram, beta=second, alpha=third)
        factor.diagonal().add_(first)
        product = factor if product is None else product @ factor
        if iteration < ITERATIONS - 1:
            gram = factor @ (gram @ factor)
    assert product is not None
    orthogonal: Tensor = (product @ wide).float()
    return orthogonal.T if tall else orthogonal


def share_out(sizes: list[int], processes: int) -> list[int]:
    """The process for each of some tasks: the largest first, each to who has least so far."""
    loads = [0] * processes
    owners = [0] * len(sizes)
    for at in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        owners[at] = loads.index(min(loads))
        loads[owners[at]] += sizes[at]
    return owners


class Muon:
    """Nesterov momentum, orthogonalised, with decoupled weight decay.

    An update's size is the rate times sqrt(rows / columns), so that it changes a layer's output by
    about the same amount whatever the layer's shape.

    Args:
        parameters: matrices.
        rate: learning rate; may be changed between steps.
        momentum: decay rate of the running mean of gradients.
        row_momentum: decay rate of the running mean of each row's squared updates.
        weight_decay: decoupled; multiplied by the learning rate.
        precision: of the matrix products in the iteration.
        group: processes that share out the matrices and send each other the updated ones.

    Attributes:
        owners: rank of the process that updates each matrix; only there `means` and
            `row_squares` are up to date.
        means: the running means of gradients, in the order of the parameters.
        row_squares: those of squared updates, one for each row.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        rate: float,
        momentum: float = 0.95,
        row_momentum: float = 0.95,
        weight_decay: float = 0.01,
        precision: torch.dtype = torch.float32,
        group: Group | None = None,
    ) -> None:
        self.parameters = list(parameters)
        self._group = group or Alone()
        sizes = [parameter.numel() for parameter in self.parameters]
        self.owners = share_out(sizes, len(self._group.threads))
        self.rate = rate
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.row_squares = [parameter.new_zeros(len(parameter)) for parameter in self.parameters]
        self._momentum = momentum
        self._row_momentum = row_momentum
        self._weight_decay = weight_decay
        self._precision = precision

    def step(self) -> None:
        """Update every parameter by its gradient, in parallel.

        Raises:
            LostProcessError: another process has ended.
        """
        own = [at for at, owner in enumerate(self.owners) if owner == self._group.rank]
        # The largest first: taken last, it would keep one thread busy while the others wait.
        order = sorted(own, key=lambda at: -self.parameters[at].numel())
        on_cpu = all(parameter.device.type == "cpu" for parameter in self.parameters)
        parallel_map(self._update, order, len(order) if on_cpu else 1)
        self._send(self.parameters)

    def gather(self) -> None:
        """Make `means` and `row_squares` up to date in every process; errors as in `step`."""
        self._send(self.means)
        self._send(self.row_squares)

    def _send(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by that of the process that owns its matrix."""
        for tensor, owner in zip(tensors, self.owners, strict=True):
            self._group.send(tensor.detach(), owner)

    @torch.no_grad()  # no_grad applies to the current thread only
    def _update(self, at: int) -> None:
        parameter, mean = self.parameters[at], self.means[at]
        gradient = parameter.grad
        assert gradient is not None
        mean.lerp_(gradient, 1 - self._momentum)
        update = orthogonalise(gradient.lerp(mean, self._momentum), self._precision)
        update = self._normalise_rows(update, self.row_squares[at])
        rows, columns = parameter.shape
        parameter.mul_(1 - self.rate * self._weight_decay)
        parameter.add_(update, alpha=-self.rate * (rows / columns) ** 0.5)

    def _normalise_rows(self, update: Tensor, row_squares: Tensor) -> Tensor:
        """Divide each row by its running root mean square; keep the norm of the matrix."""
        row_squares.lerp_(update.square().mean(1), 1 - self._row_momentum)
        even = update / row_squares.sqrt().clamp_min(TINY)[:, None]
        return even.mul_(update.norm() / even.norm().clamp_min(TINY))
