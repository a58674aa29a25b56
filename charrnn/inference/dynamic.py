"""A network that learns from what it reads: dynamic evaluation, Krause et al. 2018 (1709.07432).

After each segment of text, which it has predicted, the weights take a step down its gradient g:
theta += pull (theta_0 - theta) - rate g / (RMS + eps). RMS is the root of the mean square that each
weight's gradient has had so far; the pull leads back to the weights as trained. That is Adagrad
(Duchi et al. 2011) with a rate that grows as the root of the number of steps.

Needs torch, and is imported only to adapt. Axes: T positions, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn.functional import nll_loss
from torch.nn.utils import parameters_to_vector

from charrnn.arrays import Array, Floats
from charrnn.models.architecture import Architecture
from charrnn.models.interface import Tokens
from charrnn.models.torch_rnn import Network
from charrnn.models.torch_threads import one_thread

EPSILON = 1e-4


class DynamicNetwork:
    """Predicts a segment of a text, then learns from it.

    Args:
        architecture, weights: of the network as trained; they are copied.
        rate: of learning from a segment; the step of a weight whose gradient is as large as usual.
        pull: the share of the way back to the weights as trained, for each segment.
        segment: characters of a whole segment; a shorter one counts in proportion.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Mapping[str, Array],
        rate: float,
        pull: float,
        segment: int,
    ) -> None:
        forward = architecture.forward_part
        self._network = Network(forward).eval()
        own = {name: torch.tensor(weights[name]) for name in forward.shapes()}
        self._network.load_state_dict(own)
        self._weights = parameters_to_vector(self._network.parameters()).detach()
        self._start = self._weights.clone()
        self._gradient = torch.zeros_like(self._start)
        self._share_memory()
        together = torch.nn.Parameter(self._weights)
        together.grad = self._gradient
        self._optimizer = torch.optim.Adagrad([together], fused=True)
        self._read = 0.0
        self._rate, self._pull, self._segment = rate, pull, segment
        self.begin()

    def begin(self) -> None:
        """A new text begins: the state is what it is before EOS, the weights stay."""
        self._state = self._network.initial_state(1)

    @one_thread()  # for so little work, others take longer to wait for than they save
    def predict(self, tokens: Tokens) -> Floats:
        """Read `tokens` (T,) -> log-probabilities (T, V) in nats of what follows each."""
        inputs = torch.as_tensor(tokens.astype("int64"))[None]
        logits, after = self._network(inputs, self._state)
        self._predicted = logits[0].log_softmax(-1)  # (T, V)
        self._state = tuple(part.detach() for part in after)
        predicted: Floats = self._predicted.detach().numpy()
        return predicted

    @one_thread()
    def learn(self, targets: Tokens) -> None:
        """Learn from what followed: `targets` (T,) of the tokens predicted last."""
        followed = torch.as_tensor(targets.astype("int64"))
        self._gradient.zero_()
        loss = nll_loss(self._predicted, followed, reduction="sum") / self._segment
        loss.backward()
        share = len(targets) / self._segment
        self._read += share
        (group,) = self._optimizer.param_groups
        group["lr"], group["eps"] = self._rate * self._read**0.5, EPSILON * self._read**0.5
        with torch.no_grad():
            self._weights.lerp_(self._start, min(1.0, self._pull * share))
        self._optimizer.step()

    def _share_memory(self) -> None:
        """Lay all weights, and all gradients, out as one vector: one pass for each operation."""
        at = 0
        for parameter in self._network.parameters():
            end = at + parameter.numel()
            parameter.data = self._weights[at:end].view_as(parameter)
            parameter.grad = self._gradient[at:end].view_as(parameter)
            at = end

    def weights(self) -> dict[str, Floats]:
        """The weights as they are now, by name: copies."""
        return {name: each.numpy().copy() for name, each in self._network.state_dict().items()}
