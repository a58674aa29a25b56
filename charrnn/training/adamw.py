"""AdamW, the optimiser of the parameters that Muon does not train. Knows no models or schedules.

Loshchilov & Hutter 2019, algorithm 2. Implemented here because creating a `torch.optim` optimiser
imports torch's compiler: 2 s of processor time before the first step (tests/benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay of matrices; vectors do not decay.

    Args:
        parameters: to train.
        rate: learning rate; may be changed between steps.
        betas: decay rates of the running means of gradients and of their squares.
        weight_decay: decoupled; multiplied by the learning rate.

    Attributes:
        steps: updates so far.
        means, squares: the running means, in the order of the parameters.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        rate: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        self.parameters = list(parameters)
        self.rate = rate
        self.steps = 0
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._betas = betas
        self._weight_decay = weight_decay

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter by its gradient."""
        self.steps += 1
        first, second = self._betas
        size = self.rate / (1 - first**self.steps)
        unbiased = 1 - second**self.steps
        for parameter, mean, square in zip(
            self.parameters, self.means, self.squares, strict=True
        ):
            gradient = parameter.grad
            assert gradient is not None
            mean.lerp_(gradient, 1 - first)
            square.lerp_(gradient.square(), 1 - second)
            if parameter.dim() > 1:
                parameter.mul_(1 - self.rate * self._weight_decay)
            parameter.addcdiv_(mean, (square / unbiased).sqrt_().add_(EPSILON), value=-size)
