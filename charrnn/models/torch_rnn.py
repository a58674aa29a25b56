"""The recurrent network in torch: for training, and for inference on a GPU.

Knows nothing of losses, optimisers or text. Its parameters have the names and shapes that
`Architecture.shapes` gives, and its outputs agree with NumpyRNN's.

Axes: B texts, T positions, V vocabulary entries, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.backends.cudnn import rnn as cudnn_rnn
from torch.nn.functional import dropout

from charrnn.arrays import Floats
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.interface import LogProbabilities, Rows, Tokens

TorchState: TypeAlias = tuple[Tensor, ...]
"""As many (layers, B, H) tensors as the cell has states."""
BLOCK_CELLS = 1 << 20
"""Outputs computed at a time where only the probability of what follows is wanted."""


class Network(nn.Module):
    """Embedding, stacked recurrent layers, feed-forward layers, linear output.

    Initialisation, gate by gate: recurrent matrices orthogonal (or the identity, if the cell says
    so), input matrices as in Glorot & Bengio 2010, bias of a forget gate 1 (open). A feed-forward
    layer with a residual starts as the identity.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._states = CELLS[architecture.cell].states
        ids = architecture.vocabulary_size + architecture.labels
        self.embedding = nn.Embedding(ids, architecture.embedding)
        self.rnn = self._new_recurrent()
        self.output_layers, self.output = self._new_outputs(architecture.hidden)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self._initialise_outputs(self.output_layers, self.output)
        self._initialise_recurrent(self.rnn)

    def _new_recurrent(self) -> Any:
        """A stack of recurrent layers."""
        architecture, cell = self.architecture, CELLS[self.architecture.cell]
        return getattr(nn, cell.torch_module)(
            architecture.embedding,
            architecture.hidden,
            architecture.layers,
            dropout=architecture.dropout if architecture.layers > 1 else 0.0,
            **({"nonlinearity": cell.nonlinearity} if cell.nonlinearity else {}),
        )

    def _new_outputs(self, width: int) -> tuple[nn.ModuleList, nn.Linear]:
        """Feed-forward layers above `width` units, and the output above those."""
        architecture = self.architecture
        widths = [width, *[architecture.output_hidden] * architecture.output_layers]
        layers = nn.ModuleList(nn.Linear(*each) for each in pairwise(widths))
        return layers, nn.Linear(widths[-1], architecture.vocabulary_size)

    @torch.no_grad()
    def _initialise_outputs(self, layers: nn.ModuleList, output: nn.Linear) -> None:
        nn.init.normal_(output.weight, std=0.5 * output.in_features**-0.5)
        nn.init.zeros_(output.bias)
        for parameter in layers.parameters():
            is_bias = parameter.dim() == 1
            has_residual = is_bias or parameter.shape[0] == parameter.shape[1]
            (nn.init.zeros_ if has_residual else nn.init.xavier_uniform_)(parameter)

    @torch.no_grad()
    def _initialise_recurrent(self, rnn: nn.Module) -> None:
        hidden = self.architecture.hidden
        cell = CELLS[self.architecture.cell]
        for name, parameter in rnn.named_parameters():
            gates = parameter.split(hidden)
            for gate in gates:
                if name.startswith("weight_hh"):
                    (nn.init.eye_ if cell.identity else nn.init.orthogonal_)(gate)
                elif name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(gate)
                else:
                    nn.init.zeros_(gate)
            if cell.forget_gate is not None and name.startswith("bias_ih"):
                nn.init.ones_(gates[cell.forget_gate])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Network:
        """Move or convert everything, as `nn.Module` does; every `to` and `cuda` comes here."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for rnn in self._stacks():
            self._flatten_layers(rnn)
        return self

    def _stacks(self) -> list[Any]:
        """All stacks of recurrent layers."""
        return [self.rnn]

    @torch.no_grad()
    def _flatten_layers(self, rnn: Any) -> None:
        """Lay each layer's weights out in one piece of memory, where cuDNN reads them.

        Elsewhere it would copy them in every step, and warn. `nn.LSTM.flatten_parameters` puts all
        layers into one piece, which suits calls for all layers at once only.
        """
        if not torch.backends.cudnn.is_acceptable(rnn.weight_ih_l0):
            return
        mode = cudnn_rnn.get_cudnn_mode(rnn.mode)
        hidden = self.architecture.hidden
        for weights in rnn.all_weights:
            width = weights[0].shape[1]
            torch._cudnn_rnn_flatten_weight(  # what flatten_parameters calls
                weights, len(weights), width, mode, hidden, 0, 1, False, False
            )

    def initial_state(self, batch: int) -> TorchState:
        """Zeros (layers, B, H), on the network's device and in its precision."""
        size = (self.architecture.layers, batch, self.architecture.hidden)
        return tuple(self.output.weight.new_zeros(size) for _ in range(self._states))

    def forward(
        self, tokens: Tensor, state: TorchState, generator: torch.Generator | None = None
    ) -> tuple[Tensor, TorchState]:
        """Read `tokens` (B, T) -> logits (B, T, V) in float32, state.

        Args:
            tokens: ids.
            state: before the first one.
            generator: for dropout, on the network's device; None for torch's own. Threads that
                train in parallel need one each: with a shared one, results would depend on timing.
        """
        hidden, last = self.hidden(tokens, state, generator)
        return self.logits(hidden, generator).transpose(0, 1), last

    def hidden(
        self, tokens: Tensor, state: TorchState, generator: torch.Generator | None = None
    ) -> tuple[Tensor, TorchState]:
        """Read `tokens` (B, T) -> the last recurrent layer's states (T, B, H), state."""
        embedded = self.embedding(tokens.T)  # (T, B, E): time first, as the kernels expect
        return self._read(self.rnn, embedded, state, generator)

    def logits(self, hidden: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """From the last recurrent layer's states (T, B, H) to logits (T, B, V) in float32."""
        return self._predict(self.output_layers, self.output, hidden, generator)

    def _predict(
        self,
        layers: nn.ModuleList,
        output: nn.Linear,
        hidden: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The logits of `output` in float32, with feed-forward `layers` below it."""
        for layer in layers:
            above = torch.tanh(layer(self._drop(hidden, generator)))
            hidden = hidden + above if above.shape == hidden.shape else above
        logits: Tensor = output(self._drop(hidden, generator)).float()
        return logits

    def _read(
        self, rnn: Any, embedded: Tensor, state: TorchState, generator: torch.Generator | None
    ) -> tuple[Tensor, TorchState]:
        """Run `rnn` a layer at a time, with dropout of our own in between.

        The module itself cannot be given a generator, and cuDNN's dropout ignores the seed of
        torch's own (pytorch issues 74177, 104697).
        """
        function = getattr(torch, rnn.mode.lower())  # what the module itself calls
        hidden, last = embedded, []
        for layer, weights in enumerate(rnn.all_weights):
            before = [part[layer : layer + 1] for part in state]
            dropped = self._drop(hidden, generator) if layer else hidden
            hidden, *after = function(
                dropped,
                before if self._states > 1 else before[0],
                weights,
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=self.training,
                bidirectional=False,
                batch_first=False,
            )
            last.append(after)
        return hidden, tuple(torch.cat(parts) for parts in zip(*last, strict=True))

    def _drop(self, hidden: Tensor, generator: torch.Generator | None) -> Tensor:
        """In training, zero some units and scale the others up."""
        rate = self.architecture.dropout
        if not self.training or rate == 0:
            return hidden
        if generator is None:
            return dropout(hidden, rate)
        kept = torch.empty_like(hidden).bernoulli_(1 - rate, generator=generator)
        return hidden * kept.div_(1 - rate)


class TorchRNN:
    """A Network as a LanguageModel: NumPy in, NumPy out, no gradients, no dropout."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._device = network.output.weight.device

    @classmethod
    def from_weights(
        cls, architecture: Architecture, weights: dict[str, Floats], device: str
    ) -> TorchRNN:
        """A network on `device` with these weights."""
        network = Network(architecture.forward_part)
        names = network.state_dict()
        network.load_state_dict({name: torch.tensor(weights[name]) for name in names})
        return cls(network.to(device).eval())

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.network.architecture.vocabulary_size

    def initial_state(self, batch: int) -> TorchState:
        """Zeros for `batch` texts."""
        return self.network.initial_state(batch)

    def select(self, state: TorchState, rows: Rows) -> TorchState:
        """The state of the texts `rows` alone."""
        index = torch.from_numpy(rows).to(self._device)
        return tuple(part.index_select(1, index) for part in state)

    def forward(self, tokens: Tokens, state: TorchState) -> tuple[LogProbabilities, TorchState]:
        """Read `tokens` (B, T) -> log-probabilities (B, T, V), state."""
        log_probabilities, state = self._log_probabilities(tokens, state)
        return log_probabilities.cpu().numpy(), state

    def step(self, tokens: Tokens, state: TorchState) -> tuple[LogProbabilities, TorchState]:
        """Read `tokens` (B,) -> log-probabilities (B, V), state."""
        log_probabilities, state = self.forward(tokens[:, None], state)
        return log_probabilities[:, 0], state

    @torch.inference_mode()
    def score(
        self, tokens: Tokens, targets: Tokens, state: TorchState
    ) -> tuple[LogProbabilities, TorchState]:
        """Read `tokens` (B, T) -> log-probability of `targets` (B, T), state.

        BLOCK_CELLS values of the output are in memory at a time, so T may be large.
        """
        hidden, state = self.network.hidden(self._tensor(tokens), state)  # (T, B, H)
        wanted = self._tensor(targets).T[..., None]  # (T, B, 1)
        size = max(1, BLOCK_CELLS // (len(tokens) * self.vocabulary_size))
        pairs = zip(hidden.split(size), wanted.split(size), strict=True)
        chosen = [self._log_softmax(states).gather(-1, ids) for states, ids in pairs]
        return torch.cat(chosen)[..., 0].T.cpu().numpy(), state

    def _log_softmax(self, hidden: Tensor) -> Tensor:
        return self.network.logits(hidden).log_softmax(-1)

    def _tensor(self, tokens: Tokens) -> Tensor:
        return torch.from_numpy(tokens.astype(np.int64)).to(self._device)

    @torch.inference_mode()
    def _log_probabilities(self, tokens: Tokens, state: TorchState) -> tuple[Tensor, TorchState]:
        logits, state = self.network(self._tensor(tokens), state)
        return logits.log_softmax(-1), state
