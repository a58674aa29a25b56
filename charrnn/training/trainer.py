"""Train a network by truncated back-propagation through time: a step, a validation.

Knows the network, its optimisers and the order of batches; not when to validate, save or stop, nor
any file.

The recipe, and the alternatives measured, are in tests/benchmarks/README.md: Muon for the hidden
layers' matrices and AdamW for the rest, linear warm-up and cosine decay, hidden state carried from
chunk to chunk. With bfloat16, matrix products use a rounded copy of the float32 weights.

Axes: B texts, T positions, V vocabulary entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from charrnn.arrays import Array
from charrnn.errors import Flag, Parameter, TrainingError
from charrnn.models.architecture import Architecture
from charrnn.models.torch_reader import network_of
from charrnn.models.torch_rnn import Network, TorchState
from charrnn.models.torch_threads import one_thread
from charrnn.text.documents import Documents
from charrnn.training.adamw import AdamW
from charrnn.training.batches import Batch, Batches
from charrnn.training.gradients import Gradients
from charrnn.training.muon import Muon
from charrnn.training.processes import Alone, Group
from charrnn.training.settings import Settings
from charrnn.training.validation import mean_loss

HIDDEN_LAYERS = ("rnn.weight", "output_layers.", "backward.weight", "reader_layers.")
FINAL_RATE = 0.02
"""The learning rates at the end, as a share of their peak."""

LOWER_RATES = (
    "the last good checkpoint is kept: lower ",
    Parameter("muon_rate"),
    " and ",
    Parameter("rate"),
)


@dataclass
class Schedule:
    """How far the run has come, from 0 to 1; the learning rates depend on nothing else.

    Progress is linear in steps from an anchor on, which moves only when the end is changed.
    """

    total: int
    anchor_step: int = 0
    anchor_progress: float = 0.0

    def progress(self, step: int) -> float:
        """The share of the run that is done after `step` updates, 0 to 1."""
        if step >= self.total:
            return 1.0
        share = (step - self.anchor_step) / (self.total - self.anchor_step)
        return self.anchor_progress + (1 - self.anchor_progress) * share

    def end_at(self, total: int, step: int) -> None:
        """Change the number of steps to `total`; progress up to `step` stays as it is."""
        self.anchor_progress = self.progress(step)
        self.anchor_step = step
        self.total = max(total, step + 1)


def rate_factor(progress: float, warmup: float) -> float:
    """Linear warm-up to 1, then half a cosine down to FINAL_RATE."""
    if progress < warmup:
        return progress / warmup
    decayed = (progress - warmup) / (1 - warmup) if warmup < 1 else 1.0
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * decayed))


@dataclass(frozen=True)
class StepResult:
    """The figures of one step.

    Attributes:
        loss: mean over its characters, in nats.
        gradient_norm: before clipping.
        rate_factor: learning rates as a share of their peak.
        characters: how many were predicted.
    """

    loss: float
    gradient_norm: float
    rate_factor: float
    characters: int


class Trainer:
    """A network, its optimisers and the state carried between batches.

    Args:
        settings: all hyperparameters.
        architecture: of the network, as `settings` describe it.
        batches: the training text.
        device: a torch device.
        group: the processes that train together; each has a Trainer of its own, and they call
            `train_step`, `gather` and `send` at the same time.

    Attributes:
        step: updates so far.
        schedule: of the learning rates.
        network, muon, adamw: the same in every process.
        state: carried to the next batch; in each process, only its own texts' rows count.
        signal: the number of a signal that another process has received.
    """

    def __init__(
        self,
        settings: Settings,
        architecture: Architecture,
        batches: Batches,
        device: str,
        group: Group | None = None,
    ) -> None:
        self.settings = settings
        self.step = 0
        self.schedule = Schedule(settings.steps)
        self._batches = batches
        self._device = device
        self._group = group or Alone()
        torch.manual_seed(settings.seed)
        with one_thread():  # orthogonal matrices depend on the number of threads
            self.network = network_of(architecture).to(device)
        precision = getattr(torch, settings.precision)
        self._gradients = Gradients(
            self.network, precision, self._group, settings.activation_penalty
        )
        self.muon, self.adamw = _optimisers(self.network, settings, self._group)
        self.state: TorchState | None = None
        self.signal: int | None = None

    @property
    def members(self) -> list[Trainer]:
        """The Trainer of each network: there is one."""
        return [self]

    def advance(self, most: int) -> list[StepResult]:
        """Do a step, of up to `most` -> its figures; errors as in `train_step`."""
        return [self.train_step()]

    def train_step(self) -> StepResult:
        """Update the weights by the next batch.

        Raises:
            TrainingError: the loss or gradient is not finite (the weights are unchanged), or the
                carried state does not fit the batch; in all processes alike.
            LostProcessError: another process has ended.
        """
        batch = self._batches[self.step]
        # With a seed for each step, no random state has to be saved for a resume.
        seed = (self.settings.seed, self.step)
        loss, state = self._gradients.compute(batch, self._carried(batch), seed)
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip))
        result = StepResult(loss, norm, self._set_rates(), batch.characters)
        if not (math.isfinite(result.loss) and math.isfinite(norm)):
            raise TrainingError(
                f"training diverged at step {self.step:,} (loss {result.loss}, gradient norm "
                f"{norm}); ",
                *LOWER_RATES,
            )
        self.muon.step()
        self.adamw.step()
        self.state = state
        self.step += 1
        return result

    def _carried(self, batch: Batch) -> TorchState:
        """The state before the batch: zero in fresh rows."""
        if self.state is None or batch.fresh.all():
            return self._gradients.initial_state(len(batch.fresh))
        if self.state[0].shape[1] != len(batch.fresh):
            raise TrainingError(
                "the saved state does not fit the corpus; start over with ", Flag("fresh")
            )
        if not batch.fresh.any():
            return self.state
        kept = torch.from_numpy(~batch.fresh).to(self._device)[None, :, None]
        return tuple(part * kept for part in self.state)

    def _set_rates(self) -> float:
        # Progress at the end of the step: else the first step would have a rate of 0.
        factor = rate_factor(self.schedule.progress(self.step + 1), self.settings.warmup)
        self.muon.rate = self.settings.muon_rate * factor
        self.adamw.rate = self.settings.rate * factor
        return factor

    @torch.no_grad()
    def gather(self) -> None:
        """Collect in every process what only one of them has computed, for the run to be saved.

        That is the carried state of each text, and Muon's memory of the matrices shared out.

        Raises:
            LostProcessError: another process has ended.
        """
        self.muon.gather()
        if self.state is None or len(self._group.threads) == 1:
            return
        own = self._gradients.own_rows(self.state[0].shape[1])
        for part in self.state:
            complete = torch.zeros(part.shape, dtype=torch.float32, device=part.device)
            complete[:, own] = part[:, own]
            self._group.sum(complete.view(torch.int32))  # as integers: a sum keeps -0.0, too
            part.copy_(complete)

    @torch.no_grad()
    def send(self) -> None:
        """Let every process go on from the leader's weights, optimisers and carried state.

        Raises:
            LostProcessError: another process has ended.
        """
        rows = 0 if self.state is None else self.state[0].shape[1]
        self.step, rows = self._group.share((self.step, rows))
        self.adamw.steps = self.step
        if rows and self.state is None:
            self.state = self._gradients.initial_state(rows)
        for tensor in (
            *self.network.state_dict().values(),
            *(*self.muon.means, *self.muon.row_squares, *self.adamw.means, *self.adamw.squares),
            *(self.state or ()),
        ):
            self._group.send(tensor)

    def validate(self, documents: Documents, check: Callable[[], None]) -> float:
        """Mean loss on `documents` in nats per character; `check` is called between batches.

        Raises:
            TrainingError: it is not finite.
        """
        return require_finite_loss(mean_loss([self.network], documents, check), self.step)

    def weights(self) -> dict[str, Array]:
        """A copy of the network's weights by name."""
        return {
            name: tensor.detach().cpu().numpy().copy()
            for name, tensor in self.network.state_dict().items()
        }


def require_finite_loss(loss: float, step: int) -> float:
    """A validation `loss` before `step`; raise TrainingError if it is not finite."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"training diverged before step {step:,} (validation loss {loss}); ", *LOWER_RATES
        )
    return loss


def trained_by_muon(name: str) -> bool:
    """Whether the parameter `name` is a recurrent or feed-forward layer's matrix."""
    return name.startswith(HIDDEN_LAYERS) and not name.endswith(".bias")


def _optimisers(network: Network, settings: Settings, group: Group) -> tuple[Muon, AdamW]:
    # Between machines, to send the updated matrices would take longer than to compute them in each
    # process (tests/benchmarks/README.md).
    sharing = group if group.on_one_machine else None
    named = dict(network.named_parameters())
    muon = Muon(
        [value for name, value in named.items() if trained_by_muon(name)],
        rate=settings.muon_rate,
        weight_decay=settings.weight_decay,
        precision=getattr(torch, settings.precision),
        group=sharing,
    )
    adamw = AdamW(
        [value for name, value in named.items() if not trained_by_muon(name)],
        rate=settings.rate,
        weight_decay=settings.weight_decay,
    )
    return muon, adamw
