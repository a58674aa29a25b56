"""Measure how far back a network's gradient reaches: the norm of d loss(t) / d hidden(t - k).

The one module of inference that needs torch; imported only when asked for. Where the norm falls
with k, gradients vanish (Hochreiter 1991; Bengio, Simard & Frasconi 1994): the network cannot learn
from what is k characters back. Where it grows, they explode.

Axes: B texts in a batch, T positions, K distances, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.arrays import Array
from charrnn.inference.contexts import contexts_before, longest_context, sample_positions
from charrnn.models.architecture import Architecture
from charrnn.models.torch_rnn import TorchRNN
from charrnn.text.documents import Documents

REACH = 200
CONTEXT = 256
"""Characters read before each position; the first of them only prepare the state."""
ROWS = 64


def gradient_reach(
    architecture: Architecture,
    weights: Mapping[str, Array],
    documents: Documents,
    positions: int,
    seed: int,
) -> npt.NDArray[np.float64]:
    """The norm (K,) of the gradient of a character's loss by the hidden states k steps before.

    For k = 0, 1, ..., REACH, or fewer where the documents are too short; the mean over positions.
    The hidden states of all layers together; those at k = 0 are the ones that the prediction is
    made from.

    Args:
        architecture, weights: of the network.
        documents: more than one character.
        positions: the number of characters whose loss is taken, at most.
        seed: chooses them.
    """
    network = TorchRNN.from_weights(architecture, dict(weights), "cpu")
    network.network.requires_grad_(requires_grad=False)
    context = longest_context(documents, CONTEXT)
    reach = max(0, min(REACH, context - context // 5 - 1))
    chosen = sample_positions(documents, context, positions, seed)
    total = np.zeros(reach + 1)
    for at in range(0, len(chosen), ROWS):
        batch = chosen[at : at + ROWS]
        inputs = torch.from_numpy(contexts_before(documents, batch, context).astype(np.int64))
        targets = torch.from_numpy(documents.ids[batch].astype(np.int64))
        total += _norms(network, inputs, targets, reach).sum(1).double().numpy()
    return total / len(chosen)


def _norms(model: TorchRNN, inputs: Tensor, targets: Tensor, reach: int) -> Tensor:
    """The norms (K, B) for `inputs` (B, T) and the ids that follow them, `targets` (B,)."""
    network = model.network
    prepared = inputs.shape[1] - reach  # the last of these is read at distance `reach`
    with torch.no_grad():
        _, state = network(inputs[:, :prepared], network.initial_state(len(inputs)))
    hidden = [state[0].requires_grad_()]
    for time in range(prepared, inputs.shape[1]):
        _, state = network(inputs[:, time : time + 1], state)
        hidden.append(state[0])
    logits = network.logits(state[0][-1:])[0]  # (B, V)
    loss = cross_entropy(logits, targets, reduction="sum")
    gradients = torch.stack(torch.autograd.grad(loss, hidden))  # (K, layers, B, H)
    return gradients.square().sum((1, 3)).sqrt().flip(0)
