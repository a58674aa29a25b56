"""Save and restore the exact state of a run, in `training.safetensors`.

Knows the state of a run and its file format; not how a run proceeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charrnn.arrays import Array
from charrnn.errors import CheckpointError, Flag
from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import network_specification, require_finite
from charrnn.models.members import joined, prefix
from charrnn.storage import runs, tensor_file
from charrnn.storage.header import Description
from charrnn.storage.tensor_file import Specification, check_version
from charrnn.training.ensemble_trainer import AnyTrainer
from charrnn.training.parsing import parse, parse_count
from charrnn.training.settings import ADDED, Settings, recorded
from charrnn.training.trainer import Schedule, Trainer, trained_by_muon

TRAINING_FILE = runs.TRAINING_FILE
KIND = "training"
DATA_VERSION = 2
"""Version of how a corpus is split and ordered; a file without it has version 1 (charrnn 0.1)."""


@dataclass
class Record:
    """The state of a run apart from the trainer's arrays.

    Attributes:
        requested: the options given by the user; to resume, they must be the same.
        corpus: digest of the training text.
        environment: device, threads and torch version; with others the last bits may differ.
        seconds: how long the run has taken so far, all sessions together.
        history: one entry per validation, with losses in nats per character.
        best: the lowest validation loss, or None before the first.
        best_step: the step of that validation.
        since_best: validations since then.
        loss_sum, loss_characters: sum of training losses in nats, and number of characters, since
            the last validation.
        finished: whether the run is finished.
        origin: SHA-256 of the model that it started from; "" if it did not.
        before: nats per character of that model on the held-out text.
        more_minutes: how much longer the finished run was to go on, the last time; 0: it was not.
        base_step, base_seconds: `step` and `seconds` when that began.
    """

    requested: dict[str, Any]
    corpus: str
    environment: dict[str, Any]
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    since_best: int = 0
    loss_sum: float = 0.0
    loss_characters: int = 0
    finished: bool = False
    origin: str = field(default="", metadata=ADDED)
    before: float | None = field(default=None, metadata=ADDED)
    more_minutes: float = field(default=0.0, metadata=ADDED)
    base_step: int = field(default=0, metadata=ADDED)
    base_seconds: float = field(default=0.0, metadata=ADDED)

    def facts(self) -> dict[str, Any]:
        """What a checkpoint says of a run that is not to be repeated by one command alone."""
        facts: dict[str, Any] = {}
        if self.before is not None:
            facts["before_nats_per_character"] = self.before
        if self.more_minutes:
            facts |= {"more_minutes": self.more_minutes, "flags": None}
        return facts

    @property
    def training_loss(self) -> float:
        """Mean training loss since the last validation, in nats per character."""
        return self.loss_sum / max(1, self.loss_characters)

    def add_step(self, loss: float, characters: int) -> None:
        """Add a step with mean `loss` in nats over `characters`."""
        self.loss_sum += loss * characters
        self.loss_characters += characters

    def add_validation(self, step: int, loss: float | None) -> bool:
        """Record a validation loss, None without held-out text -> whether it is the best so far."""
        entry = {"step": step, "training": self.training_loss}
        if loss is not None:
            entry["validation"] = loss
        self.history.append(entry)
        self.loss_sum, self.loss_characters = 0.0, 0
        improved = loss is None or self.best is None or loss < self.best
        self.since_best = 0 if improved else self.since_best + 1
        if improved:
            self.best, self.best_step = loss, step
        return improved


@dataclass(frozen=True)
class SavedRun:
    """A run as it was saved.

    Attributes:
        settings: of the run.
        record: see Record.
        step: number of updates so far.
        schedule: of the learning rates.
        best: weights of the best validation, or None before the first.
        arrays: all arrays of the trainer, by their names in the file.
        data_version: see DATA_VERSION.
    """

    settings: Settings
    record: Record
    step: int
    schedule: Schedule
    best: dict[str, Array] | None
    arrays: dict[str, Array]
    data_version: int


def save_run(
    path: Path, trainer: AnyTrainer, record: Record, best: Mapping[str, Array] | None
) -> None:
    """Write everything that is needed to resume the run, atomically.

    Raises:
        OutputError: the file cannot be written; an older one is intact.
        CheckpointError: a weight is not finite; an older file is intact.
    """
    arrays = joined([_trainer_arrays(member) for member in trainer.members])
    arrays.update({f"best.{name}": array for name, array in (best or {}).items()})
    require_finite(arrays)
    rows = [0 if each.state is None else each.state[0].shape[1] for each in trainer.members]
    architecture = trainer.network.architecture
    description = {
        "format_version": max(architecture.format_version, 2 if len(rows) > 1 else 1),
        "kind": KIND,
        "data_version": DATA_VERSION,
        "vocabulary_size": architecture.vocabulary_size,
        **({"labels": architecture.labels} if architecture.labels else {}),
        "settings": recorded(trainer.settings),
        "record": recorded(record),
        "step": trainer.step,
        "schedule": asdict(trainer.schedule),
        "rows": rows[0],
        **({"other_rows": rows[1:]} if len(rows) > 1 else {}),
        "has_best": best is not None,
    }
    tensor_file.write(path, description, arrays)


def load_run(path: Path) -> SavedRun:
    """Read a saved run.

    Raises:
        CheckpointError: it is damaged, inconsistent, or of a newer format.
    """
    description, arrays = tensor_file.read(path, _expected_arrays)
    require_finite(arrays)
    best = {
        name.removeprefix("best."): array
        for name, array in arrays.items()
        if name.startswith("best.")
    }
    return SavedRun(
        settings=parse(Settings, description.get("settings")),
        record=parse(Record, description.get("record")),
        step=parse_count(description, "step"),
        schedule=parse(Schedule, description.get("schedule")),
        best=best or None,
        arrays=arrays,
        data_version=_data_version(description),
    )


def _data_version(description: Description) -> int:
    version = parse_count({"data_version": 1, **description}, "data_version")
    if version > DATA_VERSION:
        raise CheckpointError("the run was started by a newer charrnn; upgrade to go on")
    return version


def restore(trainer: AnyTrainer, saved: SavedRun) -> None:
    """Restore the saved state of `trainer`, built from the same settings and corpus.

    Raises:
        CheckpointError: the vocabulary is not the saved run's.
    """
    if len(saved.arrays["network.output.bias"]) != len(trainer.network.output.bias):
        raise CheckpointError(
            "the saved run has another vocabulary; start over with ", Flag("fresh")
        )
    for number, member in enumerate(trainer.members):
        start = prefix(number)
        own = {
            name.removeprefix(start): torch.from_numpy(array)
            for name, array in saved.arrays.items()
            if name.startswith(start)
        }
        _restore(member, saved, own)


def _restore(trainer: Trainer, saved: SavedRun, arrays: Mapping[str, torch.Tensor]) -> None:
    trainer.step = saved.step
    trainer.schedule = saved.schedule
    device = trainer.network.output.weight.device
    weights = {name: arrays[f"network.{name}"] for name in trainer.network.state_dict()}
    trainer.network.load_state_dict(weights)
    for name, tensor in _optimiser_state(trainer).items():
        tensor.copy_(arrays[name])
    trainer.adamw.steps = saved.step
    carried = [arrays[name] for name in sorted(arrays) if name.startswith("state.")]
    if carried:
        precision = getattr(torch, trainer.settings.precision)
        trainer.state = tuple(part.to(device, precision) for part in carried)


def start_from(trainer: AnyTrainer, weights: Sequence[Mapping[str, Array]]) -> None:
    """Let `trainer`, before its first step, begin with the `weights` of another run's networks."""
    for member, own in zip(trainer.members, weights, strict=True):
        member.network.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in own.items()}
        )


def _trainer_arrays(trainer: Trainer) -> dict[str, Array]:
    arrays = {f"network.{name}": array for name, array in trainer.weights().items()}
    arrays.update({name: _array(tensor) for name, tensor in _optimiser_state(trainer).items()})
    for number, part in enumerate(trainer.state or ()):
        arrays[f"state.{number}"] = _array(part)
    return arrays


def _optimiser_state(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The optimisers' state tensors, by their names in the file."""
    muon, adamw = trainer.muon, trainer.adamw
    names = [name for name, _ in trainer.network.named_parameters()]
    of_muon = [name for name in names if trained_by_muon(name)]
    of_adamw = [name for name in names if not trained_by_muon(name)]
    found: dict[str, torch.Tensor] = {}
    for kind, owners, tensors in (
        ("muon.mean", of_muon, muon.means),
        ("muon.rows", of_muon, muon.row_squares),
        ("adamw.mean", of_adamw, adamw.means),
        ("adamw.square", of_adamw, adamw.squares),
    ):
        found.update(
            {f"{kind}.{name}": each for name, each in zip(owners, tensors, strict=True)}
        )
    return found


def _array(tensor: torch.Tensor) -> Array:
    # float32 holds every bfloat16 exactly, so the carried state is restored exactly.
    array: Array = tensor.detach().float().cpu().numpy().astype(np.float32)
    return array


def _expected_arrays(description: Description) -> dict[str, Specification]:
    check_version(description, KIND)
    parse(Record, description.get("record"))
    schedule = parse(Schedule, description.get("schedule"))
    if parse_count(description, "step") > schedule.total:
        raise CheckpointError("its step is beyond the end of the run")
    settings = parse(Settings, description.get("settings"))
    size, labels = parse_count(description, "vocabulary_size"), {"labels": 0, **description}
    architecture = settings.architecture(size, parse_count(labels, "labels"))
    rows = _rows(description, settings.networks)
    expected = joined([_expected_of_one(architecture, each) for each in rows])
    if description.get("has_best") is True:
        best = network_specification(architecture, settings.networks)
        expected.update({f"best.{name}": spec for name, spec in best.items()})
    return expected


def _rows(description: Description, networks: int) -> list[int]:
    """The rows of each network's carried state."""
    others = description.get("other_rows", [])
    if not isinstance(others, list) or len(others) != networks - 1:
        raise CheckpointError("its rows are not those of its networks")
    return [parse_count({"rows": rows}, "rows") for rows in (description.get("rows"), *others)]


def _expected_of_one(architecture: Architecture, rows: int) -> dict[str, Specification]:
    """The arrays of one network's trainer."""
    network = network_specification(architecture)
    expected = {f"network.{name}": spec for name, spec in network.items()}
    for name, spec in network.items():
        if trained_by_muon(name):
            expected[f"muon.mean.{name}"] = spec
            expected[f"muon.rows.{name}"] = ("float32", spec[1][:1])
        else:
            expected[f"adamw.mean.{name}"] = expected[f"adamw.square.{name}"] = spec
    if rows:
        shape = (architecture.layers, rows, architecture.hidden)
        for number in range(CELLS[architecture.cell].states):
            expected[f"state.{number}"] = ("float32", shape)
    return expected
