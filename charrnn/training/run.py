"""A training run in its directory: started or resumed, validated, saved, stopped, finished.

Knows the order of things and the run's files; not how a step is computed, nor how anything looks.
What happens is told as events, plain dictionaries, to whoever listens and to `log.jsonl`.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import torch

from charrnn.checkpoint import MODEL_FILE, Checkpoint, remember_latest, save_checkpoint
from charrnn.corpus import Reading, load_corpus
from charrnn.errors import TrainingError
from charrnn.files import exclusive, explain, make_directory, remove_stale_temporaries
from charrnn.models.cells import Array
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.sampling import check_decoding, generate
from charrnn.training.plan import (
    CLOSING_SECONDS,
    Budget,
    Text,
    choose_device,
    choose_settings,
    describe,
    prepare_text,
)
from charrnn.training.settings import DEFAULTS, Settings
from charrnn.training.state import (
    TRAINING_FILE,
    Record,
    SavedRun,
    load_run,
    restore,
    save_run,
)
from charrnn.training.trainer import Trainer

Event: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[Event], None]

LOG_FILE = "log.jsonl"
STEP_EVENT_SECONDS = 0.5
SAVE_SECONDS = 60.0
SAMPLE_LENGTH = 160
EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interrupted(BaseException):
    """The run was asked to stop by a signal, and is saved as far as it had come."""

    def __init__(self, status: int, directory: Path) -> None:
        super().__init__(status)
        self.status = status
        self.directory = directory


@dataclass(frozen=True)
class Order:
    """What `charrnn train` is asked for.

    Attributes:
        corpora: files, directories, or `-`.
        reading: how they are read.
        budget: how long to train.
        output: the run directory.
        requested: the fields of Settings given by hand.
        fresh: start over whatever is there.
        device: auto, cpu or cuda.
        samples: whether to show live samples.
        begun: `time.monotonic()` when the command began.
    """

    corpora: tuple[str, ...]
    reading: Reading
    budget: Budget
    output: Path
    requested: Mapping[str, Any]
    fresh: bool = False
    device: str = "auto"
    samples: bool = True
    begun: float = 0.0

    def as_requested(self) -> dict[str, Any]:
        """The options that decide the run, for comparison at a resume."""
        budget = {name: value for name, value in asdict(self.budget).items() if value is not None}
        return {**asdict(self.reading), **budget, **self.requested}


def train(order: Order, listen: Listener) -> None:
    """Train as ordered, or go on with an unfinished run in the same directory.

    Raises:
        CharRNNError: the order, the corpus or the run directory does not allow it.
        Interrupted: a signal stopped it; it is saved.
    """
    make_directory(order.output)
    with ExitStack() as stack:
        stack.enter_context(exclusive(order.output))
        remove_stale_temporaries(order.output)
        saved = _find_saved(order)
        corpus = load_corpus(
            order.corpora, order.reading, order.requested.get("min_count", DEFAULTS.min_count)
        )
        if saved is not None:
            _require_same(order, saved, corpus.digest)
        text = prepare_text(corpus, order.requested.get("validation", DEFAULTS.validation))
        device = choose_device(order.device)
        log = stack.enter_context(_open_log(order.output / LOG_FILE, resume=saved is not None))

        def tell(event: Event) -> None:
            log(event)
            listen(event)

        _Run(order, text, device, saved, tell).go()


def _find_saved(order: Order) -> SavedRun | None:
    """The unfinished run in the directory, if any.

    Raises:
        TrainingError: there is a finished one.
    """
    model, training = order.output / MODEL_FILE, order.output / TRAINING_FILE
    if order.fresh or not (model.exists() or training.exists()):
        return None
    saved = load_run(training) if training.exists() else None
    if saved is None or saved.record.finished:
        raise TrainingError(
            f"{order.output} holds a finished run; start over with --fresh, or choose another "
            "place with --output"
        )
    return saved


def _require_same(order: Order, saved: SavedRun, digest: str) -> None:
    there, here = saved.record.requested, order.as_requested()
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise TrainingError(
                f"{order.output} holds an unfinished run with {_option(name, there)}, not "
                f"{_option(name, here)}; repeat its options to go on, or start over with --fresh"
            )
    if saved.record.corpus != digest:
        raise TrainingError(
            f"the corpus has changed since {order.output} was begun; restore it to go on, or "
            "start over with --fresh"
        )


def _option(name: str, values: Mapping[str, Any]) -> str:
    value = values.get(name)
    return f"--{name.replace('_', '-')} {'not given' if value is None else value}"


@contextmanager
def _open_log(path: Path, resume: bool) -> Iterator[Listener]:
    try:
        file = path.open("a" if resume else "w", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {explain(error)}; see to it") from None
    with file:

        def log(event: Event) -> None:
            file.write(json.dumps(event) + "\n")
            file.flush()

        yield log


class _Run:
    """One session of a run: from its start or resume to its end or interruption."""

    def __init__(
        self, order: Order, text: Text, device: str, saved: SavedRun | None, listen: Listener
    ) -> None:
        self._order = order
        self._text = text
        self._listen = listen
        self._signal: int | None = None
        self._record = saved.record if saved else self._new_record(device)
        self._earlier = self._record.seconds
        self._best: Mapping[str, Array] | None = saved.best if saved else None
        settings = saved.settings if saved else self._choose(device)
        self._trainer: Trainer = text.trainer(settings, device)
        if saved is not None:
            restore(self._trainer, saved)
            self._warn_of_other_environment(device)
        self._tell_start(resumed=saved is not None)

    @property
    def _settings(self) -> Settings:
        return self._trainer.settings

    def _new_record(self, device: str) -> Record:
        return Record(
            requested=self._order.as_requested(),
            corpus=self._text.corpus.digest,
            environment=_environment(device),
        )

    def _choose(self, device: str) -> Settings:
        order = self._order
        return choose_settings(
            order.requested, order.budget, self._text, device, self._elapsed()
        )

    def _elapsed(self) -> float:
        """Seconds of the whole run, earlier sessions included."""
        return self._earlier + time.monotonic() - self._order.begun

    def _warn_of_other_environment(self, device: str) -> None:
        there, here = self._record.environment, _environment(device)
        for name in sorted(here):
            if there.get(name) != here[name]:
                self._listen(
                    {
                        "event": "warning",
                        "message": f"resumed with {name} {here[name]}, begun with "
                        f"{there.get(name)}: the last bits may differ",
                    }
                )

    def _tell_start(self, resumed: bool) -> None:
        corpus = self._text.corpus
        total = self._trainer.schedule.total
        self._listen(
            {
                "event": "start",
                "checkpoint": str(self._order.output),
                "resumed": resumed,
                "step": self._trainer.step,
                "steps": total,
                "epochs": total / self._text.batches(self._settings).per_epoch,
                "settings": asdict(self._settings),
                "flags": describe(self._settings),
                "parameters": self._trainer.network.architecture.parameters,
                "characters": corpus.characters,
                "unknown_characters": corpus.unknown_characters,
                "vocabulary_size": len(corpus.vocabulary),
                "validation_characters": self._text.validation.characters,
                "seed": self._settings.seed,
                **self._record.environment,
            }
        )

    def go(self) -> None:
        """Train to the end.

        Raises:
            Interrupted: a signal came; everything is saved.
        """
        with _signals(self._on_signal):
            try:
                self._save()
                self._loop()
            except Interrupted:
                self._save()
                if self._best is None:
                    self._save_model(self._trainer.weights())
                raise
            self._finish()

    def _on_signal(self, number: int) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        self._listen({"event": "interrupted", "message": "stopping; saving the run"})

    def _check(self) -> None:
        if self._signal is not None:
            raise Interrupted(EXIT_STATUS[signal.Signals(self._signal)], self._order.output)

    def _loop(self) -> None:
        trainer = self._trainer
        pulse = _Pulse(self._listen, trainer)
        last_save = time.monotonic()
        while True:
            self._check()
            if self._validation_is_due():
                pulse.flush(self._elapsed())
                self._validate()
                self._keep_budget(pulse)
                pulse.restart()
                last_save = time.monotonic()
            if self._is_over():
                return
            result = trainer.train_step()
            self._record.loss_sum += result.loss * result.characters
            self._record.loss_characters += result.characters
            pulse.add(result, self._elapsed)
            if time.monotonic() - last_save > SAVE_SECONDS:
                self._save()
                last_save = time.monotonic()

    def _is_over(self) -> bool:
        if self._trainer.step >= self._trainer.schedule.total:
            return True
        patience = self._settings.patience
        return bool(patience) and self._record.since_best >= patience

    def _validation_is_due(self) -> bool:
        step, history = self._trainer.step, self._record.history
        if step == 0 or (history and history[-1]["step"] == step):
            return False
        return step % self._settings.validate_every == 0 or step >= self._trainer.schedule.total

    def _validate(self) -> None:
        """Measure the loss on the held-out text; keep the weights if they are the best so far."""
        record, trainer = self._record, self._trainer
        entry = {
            "step": trainer.step,
            "training": record.loss_sum / max(1, record.loss_characters),
        }
        if self._text.validation.characters:
            entry["validation"] = trainer.validate(self._text.validation, self._check)
        record.loss_sum, record.loss_characters = 0.0, 0
        record.history.append(entry)
        loss = entry.get("validation")
        improved = loss is None or record.best is None or loss < record.best
        record.since_best = 0 if improved else record.since_best + 1
        self._listen(
            {
                "event": "validation",
                "step": trainer.step,
                "training_nats_per_character": entry["training"],
                "nats_per_character": loss,
                "best": improved,
                "seconds": self._elapsed(),
            }
        )
        if improved:
            record.best, record.best_step = loss, trainer.step
            self._best = trainer.weights()
            self._save_model(self._best)
        self._save()
        if self._order.samples:
            self._show_sample()

    def _keep_budget(self, pulse: _Pulse) -> None:
        """Bring the end forward if the machine has become slower than it was measured."""
        if self._order.budget.minutes is None:
            return
        trainer = self._trainer
        per_step = pulse.seconds_per_step()
        left = self._order.budget.minutes * 60 - self._elapsed() - CLOSING_SECONDS
        possible = trainer.step + max(1, int(left / per_step)) if per_step else 0
        if per_step and possible < trainer.schedule.total:
            trainer.schedule.end_at(possible, trainer.step)
            self._listen(
                {
                    "event": "warning",
                    "message": f"the machine is slower than at the start: ending after "
                    f"{possible:,} steps to keep within --minutes",
                }
            )

    def _show_sample(self) -> None:
        corpus = self._text.corpus
        model = NumpyRNN(self._trainer.network.architecture, self._trainer.weights())
        seeds = [(self._settings.seed, self._trainer.step)]
        unprimed = corpus.vocabulary.encode("")
        chosen = generate(model, unprimed, check_decoding({}), seeds, SAMPLE_LENGTH)
        text = corpus.vocabulary.decode(int(ids[0]) for ids in chosen)
        self._listen({"event": "sample", "step": self._trainer.step, "text": text})

    def _save(self) -> None:
        self._record.seconds = self._elapsed()
        save_run(self._order.output / TRAINING_FILE, self._trainer, self._record, self._best)

    def _save_model(self, weights: Mapping[str, Array]) -> None:
        path = self._order.output / MODEL_FILE
        corpus = self._text.corpus
        record = self._record
        save_checkpoint(
            path,
            Checkpoint(
                vocabulary=corpus.vocabulary,
                lines=corpus.reading.lines,
                architecture=self._trainer.network.architecture,
                weights=weights,
                training={
                    "settings": asdict(self._settings),
                    "requested": record.requested,
                    "step": record.best_step,
                    "nats_per_character": record.best,
                    "history": record.history,
                },
                corpus={
                    "names": list(corpus.names),
                    "digest": corpus.digest,
                    "characters": corpus.characters,
                    "unknown_characters": corpus.unknown_characters,
                    "validation_characters": self._text.validation.characters,
                },
            ),
        )
        remember_latest(self._order.output)
        self._listen({"event": "checkpoint", "step": self._trainer.step, "checkpoint": str(path)})

    def _finish(self) -> None:
        record = self._record
        if self._best is None:
            raise TrainingError("the run ended before its first validation")
        record.finished = True
        self._save_model(self._best)
        self._save()
        self._listen(
            {
                "event": "done",
                "checkpoint": str(self._order.output),
                "step": self._trainer.step,
                "best_step": record.best_step,
                "nats_per_character": record.best,
                "seconds": self._elapsed(),
            }
        )


class _Pulse:
    """Step events at a bearable rate, with means since the last one."""

    def __init__(self, listen: Listener, trainer: Trainer) -> None:
        self._listen = listen
        self._trainer = trainer
        self.restart()

    def restart(self) -> None:
        self._begun = self._told = time.monotonic()
        self._first_step = self._trainer.step
        self._loss = 0.0
        self._characters = 0
        self._last: Any = None

    def seconds_per_step(self) -> float:
        """Since the last restart, validation included; 0 if there was no step."""
        steps = self._trainer.step - self._first_step
        return (time.monotonic() - self._begun) / steps if steps else 0.0

    def add(self, result: Any, elapsed: Callable[[], float]) -> None:
        self._loss += result.loss * result.characters
        self._characters += result.characters
        self._last = result
        if time.monotonic() - self._told >= STEP_EVENT_SECONDS:
            self.flush(elapsed())

    def flush(self, elapsed: float) -> None:
        if not self._characters:
            return
        now = time.monotonic()
        self._listen(
            {
                "event": "step",
                "step": self._trainer.step,
                "steps": self._trainer.schedule.total,
                "nats_per_character": self._loss / self._characters,
                "gradient_norm": self._last.gradient_norm,
                "rate": self._last.rate_factor * self._trainer.settings.rate,
                "muon_rate": self._last.rate_factor * self._trainer.settings.muon_rate,
                "characters_per_second": self._characters / max(1e-9, now - self._told),
                "seconds": elapsed,
            }
        )
        self._told = now
        self._loss = 0.0
        self._characters = 0


def _environment(device: str) -> dict[str, Any]:
    return {"device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}


@contextmanager
def _signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Let `handle` receive SIGINT and SIGTERM."""

    def receive(number: int, frame: FrameType | None) -> None:
        handle(number)

    before = {number: signal.signal(number, receive) for number in EXIT_STATUS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
