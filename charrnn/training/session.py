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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from charrnn.arrays import Array
from charrnn.errors import SettingsError, TrainingError
from charrnn.inference.sampling import check_decoding, generate
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.checkpoint import Checkpoint, save_checkpoint
from charrnn.models.ngram import NgramModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import TorchRNN
from charrnn.platform import EXIT_STATUS, received_by
from charrnn.storage.files import exclusive, explain, make_directory, remove_stale_temporaries
from charrnn.storage.runs import MODEL_FILE, remember_latest
from charrnn.text.corpus import load_corpus
from charrnn.training.data import TrainingData, prepare_data
from charrnn.training.mixing import Fit, fit_mixture
from charrnn.training.plan import (
    choose_device,
    choose_settings,
    closing_seconds,
    describe,
)
from charrnn.training.request import TrainingRequest
from charrnn.training.settings import DEFAULTS, NO_NETWORK, Settings
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
MAX_COUNTED = 20_000_000
"""Characters at the end of the training text that the n-gram model is made of."""
MAX_NAMES = 100
"""Names of corpora that a checkpoint tells."""
NOTABLE_CHANGE = 0.03
"""Of the steps that are left: a smaller change of speed does not move the end."""
LARGE_CHANGE = 0.1
"""Of all steps: a larger one is told."""
SAME_SIGNAL_SECONDS = 0.2
"""`timeout` and others signal a process and then its group: a process is told twice at once."""


class Interrupted(BaseException):
    """The run was asked to stop by a signal, and is saved as far as it had come."""

    def __init__(self, status: int, directory: Path) -> None:
        super().__init__(status)
        self.status = status
        self.directory = directory


def train(request: TrainingRequest, listen: Listener) -> None:
    """Train as ordered, or go on with an unfinished run in the same directory.

    Raises:
        CharRNNError: the order, the corpus or the run directory does not allow it.
        Interrupted: a signal stopped it; it is saved.
    """
    # A mistyped corpus must leave no run directory behind.
    corpus = load_corpus(
        request.corpora, request.reading, request.requested.get("min_count", DEFAULTS.min_count)
    )
    seed = request.requested.get("seed", DEFAULTS.seed)
    data = prepare_data(corpus, request.requested.get("validation"), seed)
    device = choose_device(request.device)
    make_directory(request.output)
    with ExitStack() as stack:
        stack.enter_context(exclusive(request.output))
        remove_stale_temporaries(request.output, (MODEL_FILE, TRAINING_FILE))
        saved = _find_saved(request)
        if saved is not None:
            _require_same(request, saved, corpus.digest)
        log = stack.enter_context(_open_log(request.output / LOG_FILE, resume=saved is not None))

        def tell(event: Event) -> None:
            log(event)
            listen(event)

        if request.requested.get("cell") == NO_NETWORK:
            _train_ngram_alone(request, data, tell)
        else:
            _Run(request, data, device, saved, tell).go()


def _train_ngram_alone(request: TrainingRequest, data: TrainingData, listen: Listener) -> None:
    settings = replace(DEFAULTS, **{"validation": data.held_out, **request.requested})
    if not settings.ngram_order:
        raise SettingsError("--cell none leaves the n-gram model alone; give it an --ngram-order")
    _tell_start(request, data, listen, settings, {"steps": 0, "device": "cpu"})
    ngram, loss = _build_ngram(data, settings.ngram_order)
    checkpoint = Checkpoint(
        vocabulary=data.corpus.vocabulary,
        lines=data.corpus.reading.lines,
        architecture=None,
        weights={},
        ngram=ngram.counts,
        training={
            "settings": asdict(settings),
            "requested": request.as_requested(),
            "nats_per_character": loss,
            "ngram_nats_per_character": loss,
        },
        corpus=_corpus_facts(data),
    )
    _save_checkpoint(request, checkpoint, listen, step=0)
    (request.output / TRAINING_FILE).unlink(missing_ok=True)  # of a run that --fresh gave up
    listen(
        {
            "event": "done",
            "checkpoint": str(request.output),
            "step": 0,
            "best_step": 0,
            "nats_per_character": loss,
            "ngram_nats_per_character": loss,
            "seconds": time.monotonic() - request.started,
        }
    )


def _build_ngram(data: TrainingData, order: int) -> tuple[NgramModel, float | None]:
    """The n-gram model of the training text, and its nats per character on what is held out."""
    # Counting takes 60 bytes of memory a character; more text would not fit MAX_NGRAMS anyway.
    last = data.training[-MAX_COUNTED:]
    whole = len(last) == len(data.training)
    ngram = NgramModel.build(last, order, len(data.corpus.vocabulary), sentence_start=whole)
    if not data.validation.characters:
        return ngram, None
    return ngram, evaluate_documents(ngram, data.validation).nats_per_character


def _tell_start(
    request: TrainingRequest,
    data: TrainingData,
    listen: Listener,
    settings: Settings,
    facts: Event,
) -> None:
    corpus = data.corpus
    listen(
        {
            "event": "start",
            "checkpoint": str(request.output),
            "settings": asdict(settings),
            "flags": describe(settings, corpus.reading),
            "characters": corpus.characters,
            "unknown_characters": corpus.unknown_characters,
            "vocabulary_size": len(corpus.vocabulary),
            "validation_characters": data.validation.characters,
            "seed": settings.seed,
            **facts,
        }
    )


def _corpus_facts(data: TrainingData) -> dict[str, Any]:
    corpus = data.corpus
    return {
        "names": list(corpus.names[:MAX_NAMES]),
        "digest": corpus.digest,
        "characters": corpus.characters,
        "unknown_characters": corpus.unknown_characters,
        "validation_characters": data.validation.characters,
    }


def _save_checkpoint(
    request: TrainingRequest, checkpoint: Checkpoint, listen: Listener, step: int
) -> None:
    path = request.output / MODEL_FILE
    save_checkpoint(path, checkpoint)
    remember_latest(request.output)
    listen({"event": "checkpoint", "step": step, "checkpoint": str(path)})


def _find_saved(request: TrainingRequest) -> SavedRun | None:
    """The unfinished run in the directory, if any.

    Raises:
        TrainingError: there is a finished one.
    """
    model, training = request.output / MODEL_FILE, request.output / TRAINING_FILE
    if request.fresh or not (model.exists() or training.exists()):
        return None
    saved = load_run(training) if training.exists() else None
    if saved is None or saved.record.finished:
        raise TrainingError(
            f"{request.output} holds a finished run; start over with --fresh, or choose another "
            "place with --output"
        )
    return saved


def _require_same(request: TrainingRequest, saved: SavedRun, digest: str) -> None:
    there, here = saved.record.requested, request.as_requested()
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise TrainingError(
                f"{request.output} holds an unfinished run with {_option(name, there)}, not "
                f"{_option(name, here)}; repeat its options to go on, or start over with --fresh"
            )
    if saved.record.corpus != digest:
        raise TrainingError(
            f"the corpus has changed since {request.output} was begun; restore it to go on, or "
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
        self,
        request: TrainingRequest,
        data: TrainingData,
        device: str,
        saved: SavedRun | None,
        listen: Listener,
    ) -> None:
        self._request = request
        self._data = data
        self._device = device
        self._listen = listen
        self._signal: int | None = None
        self._signalled = 0.0
        self._stops_at_once = False
        self._record = saved.record if saved else self._new_record(device)
        self._earlier = self._record.seconds
        self._best: Mapping[str, Array] | None = saved.best if saved else None
        ngram_order = request.requested.get("ngram_order", DEFAULTS.ngram_order)
        self._ngram: NgramModel | None = None
        self._ngram_loss: float | None = None
        if ngram_order and data.validation.characters:
            self._ngram, self._ngram_loss = _build_ngram(data, ngram_order)
        settings = saved.settings if saved else self._choose(device)
        self._trainer: Trainer = data.trainer(settings, device)
        if saved is not None:
            restore(self._trainer, saved)
            self._warn_of_other_environment(device)
        self._tell_start(resumed=saved is not None)
        if ngram_order and self._ngram is None:
            self._warn("without held-out text the n-gram model's share cannot be fitted: left out")

    @property
    def _settings(self) -> Settings:
        return self._trainer.settings

    def _new_record(self, device: str) -> Record:
        return Record(
            requested=self._request.as_requested(),
            corpus=self._data.corpus.digest,
            environment=_environment(device),
        )

    def _choose(self, device: str) -> Settings:
        request = self._request
        return choose_settings(
            request.requested, request.budget, self._data, device, self._elapsed()
        )

    def _elapsed(self) -> float:
        """Seconds of the whole run, earlier sessions included."""
        return self._earlier + time.monotonic() - self._request.started

    def _warn_of_other_environment(self, device: str) -> None:
        there, here = self._record.environment, _environment(device)
        for name in sorted(here):
            if there.get(name) != here[name]:
                self._warn(
                    f"resumed with {name} {here[name]}, begun with {there.get(name)}: "
                    "the last bits may differ"
                )

    def _tell_start(self, resumed: bool) -> None:
        total = self._trainer.schedule.total
        facts = {
            "resumed": resumed,
            "step": self._trainer.step,
            "steps": total,
            "epochs": total / self._data.batches(self._settings).per_epoch,
            "parameters": self._trainer.network.architecture.parameters,
            "ngram_nats_per_character": self._ngram_loss,
            **self._record.environment,
        }
        _tell_start(self._request, self._data, self._listen, self._settings, facts)

    def _warn(self, message: str) -> None:
        self._listen({"event": "warning", "message": message})

    def go(self) -> None:
        """Train to the end.

        Raises:
            Interrupted: a signal came; everything is saved.
            TrainingError: nobody takes the events any more; everything is saved.
        """
        with received_by(self._on_signal):
            try:
                self._save()
                self._loop()
                self._finish()
            except Interrupted:
                self._listen({"event": "interrupted", "message": "stopping; saving the run"})
                self._save_unfinished()
                raise
            except OSError as error:
                self._listen = lambda event: None
                self._save_unfinished()
                raise TrainingError(
                    f"cannot report progress: {explain(error)}; the run is saved in "
                    f"{self._request.output}, and the same command goes on from there"
                ) from error

    def _save_unfinished(self) -> None:
        self._save()
        if self._best is None:
            self._save_model(self._trainer.weights())

    def _on_signal(self, number: int) -> None:
        # Tells nobody: the signal may have come in the middle of a write to the same stream.
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._signalled = number, now
        elif now - self._signalled > SAME_SIGNAL_SECONDS:
            raise KeyboardInterrupt
        if self._stops_at_once:
            self._check()

    def _check(self) -> None:
        if self._signal is not None:
            raise Interrupted(EXIT_STATUS[signal.Signals(self._signal)], self._request.output)

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
        if self._data.validation.characters:
            entry["validation"] = trainer.validate(self._data.validation, self._check)
        record.loss_sum, record.loss_characters = 0.0, 0
        record.history.append(entry)
        loss = entry.get("validation")
        improved = loss is None or record.best is None or loss < record.best
        record.since_best = 0 if improved else record.since_best + 1
        if improved:
            record.best, record.best_step = loss, trainer.step
            self._best = trainer.weights()
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
        if improved and self._best is not None:
            self._save_model(self._best)
        self._save()
        if self._request.samples:
            self._show_sample()

    def _keep_budget(self, pulse: _Pulse) -> None:
        """Move the end if the machine is slower than it was measured, or no longer is."""
        if self._request.budget.minutes is None or not pulse.seconds_per_step():
            return
        schedule, step = self._trainer.schedule, self._trainer.step
        left = self._request.budget.minutes * 60 - self._elapsed() - closing_seconds(self._settings)
        possible = step + int(left / pulse.seconds_per_step())
        total = max(step + 1, possible)
        change = abs(total - schedule.total)
        if step < schedule.total and change > NOTABLE_CHANGE * (total - step):
            large = change > LARGE_CHANGE * schedule.total
            schedule.end_at(total, step)
            if large:
                self._warn(f"the machine's speed has changed: now {total:,} steps within --minutes")

    def _show_sample(self) -> None:
        corpus = self._data.corpus
        model = NumpyRNN(self._trainer.network.architecture, self._trainer.weights())
        seeds = [(self._settings.seed, self._trainer.step)]
        unprimed = corpus.vocabulary.encode("")
        chosen = generate(model, unprimed, check_decoding({}), seeds, SAMPLE_LENGTH)
        text = corpus.vocabulary.decode(int(ids[0]) for ids in chosen)
        self._listen({"event": "sample", "step": self._trainer.step, "text": text})

    def _save(self) -> None:
        self._record.seconds = self._elapsed()
        save_run(self._request.output / TRAINING_FILE, self._trainer, self._record, self._best)

    def _save_model(self, weights: Mapping[str, Array], fit: Fit | None = None) -> None:
        record, corpus = self._record, self._data.corpus
        training = {
            "settings": asdict(self._settings),
            "requested": record.requested,
            "step": record.best_step,
            "nats_per_character": record.best,
            "history": record.history,
        }
        if fit is not None:
            training.update(fit.figures())
        partner = self._ngram if fit is not None and fit.helps else None
        checkpoint = Checkpoint(
            vocabulary=corpus.vocabulary,
            lines=corpus.reading.lines,
            architecture=self._trainer.network.architecture,
            weights=weights,
            ngram=None if partner is None else partner.counts,
            exponents=None if fit is None or partner is None else fit.exponents,
            training=training,
            corpus=_corpus_facts(self._data),
        )
        _save_checkpoint(self._request, checkpoint, self._listen, self._trainer.step)

    def _finish(self) -> None:
        record = self._record
        assert self._best is not None
        self._stops_at_once = True  # a fit takes seconds and changes nothing of the run
        self._check()
        fit = None if self._ngram is None else self._fit(self._best, self._ngram)
        self._stops_at_once = False
        record.finished = True
        self._save_model(self._best, fit)
        self._save()
        self._listen(
            {
                "event": "done",
                "checkpoint": str(self._request.output),
                "step": self._trainer.step,
                "best_step": record.best_step,
                "nats_per_character": record.best,
                **({} if fit is None else fit.figures()),
                "seconds": self._elapsed(),
            }
        )

    def _fit(self, weights: Mapping[str, Array], ngram: NgramModel) -> Fit:
        """Mix the best network with the n-gram model."""
        architecture = self._trainer.network.architecture
        network = TorchRNN.from_weights(architecture, dict(weights), self._device)
        fit = fit_mixture(network, ngram, self._data.validation)
        if not fit.helps:
            self._warn("the n-gram model does not help on the held-out text: left out")
        return fit


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
