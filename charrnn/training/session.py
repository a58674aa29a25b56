"""Run one session of training: from start or resume to end or interruption.

Knows the order of steps, validations and saves; not how a step is computed, how run directories are
inspected, or how events are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import NoReturn

from charrnn.arrays import Array
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import torch_network
from charrnn.models.torch_threads import one_thread
from charrnn.platform import handle_signals
from charrnn.storage.files import exclusive, make_directory, remove_stale_temporaries
from charrnn.storage.runs import MODEL_FILE
from charrnn.training.beginning import begin, continued
from charrnn.training.clock import Clock
from charrnn.training.closing import Closing, measure
from charrnn.training.context import Context
from charrnn.training.data import TrainingData
from charrnn.training.emitter import Emitter, ListenerError, open_log, reporting_error
from charrnn.training.environment import differences, environment
from charrnn.training.events import (
    InterruptedEvent,
    OnEvent,
    SampleEvent,
    ValidationEvent,
    WarningEvent,
)
from charrnn.training.figures import Figures, figures_of_each, figures_so_far
from charrnn.training.following import follow, leading
from charrnn.training.live_sample import live_sample
from charrnn.training.ngram_run import build_ngram, forget_counted, train_ngram_alone
from charrnn.training.opening import start_event, warnings
from charrnn.training.pace import Pace
from charrnn.training.plan import ClosingWork, most_steps
from charrnn.training.preparation import prepare, split_for
from charrnn.training.processes import joined, restarted
from charrnn.training.reporter import StepReporter
from charrnn.training.request import TrainingRequest
from charrnn.training.run_directory import (
    LOG_FILE,
    SEALED_FILES,
    find_unfinished,
    holds_validated_model,
    refuse_foreign_files,
)
from charrnn.training.settings import NO_NETWORK, Settings, recorded
from charrnn.training.signals import Interrupted, StopRequest, StopRequested
from charrnn.training.state import TRAINING_FILE, SavedRun, save_run

SAVE_SECONDS = 60.0
"""Maximum seconds between saves."""


def train(request: TrainingRequest, on_event: OnEvent) -> None:
    """Train as requested, or go on with an unfinished run in the same directory.

    Raises:
        CharRNNError: the request, the corpus or the run directory does not allow it, or an event
            could not be logged or shown.
        Interrupted: a signal stopped it; it is saved.
        Dismissed: in all processes but the first, the run has ended before its time.
    """
    if restarted():  # to go on from the last save is what torchrun restarts it for
        request = replace(request, fresh=False)
    with joined(request.device) as group:
        request = continued(request, group)
        # A mistyped corpus must leave no run directory behind.
        data, device = prepare(request, group, on_event)
        if group.rank:
            follow(group, lambda given: split_for(data, given).single_trainer(given, device))
            return
        with leading(group):
            _lead(request, data, device, on_event)


def _lead(request: TrainingRequest, data: TrainingData, device: str, on_event: OnEvent) -> None:
    """Train, in the process that leads: it alone decides, writes and reports."""
    refuse_foreign_files(request.output)
    make_directory(request.output)
    with ExitStack() as stack:
        stack.enter_context(exclusive(request.output))
        remove_stale_temporaries(request.output, SEALED_FILES)
        saved = find_unfinished(request, data)
        if saved is not None:
            data = split_for(data, saved.settings)
        log = stack.enter_context(open_log(request.output / LOG_FILE, replace=saved is None))
        clock = Clock(request.started, saved.record.seconds if saved else 0.0)
        context = Context(request, data, clock, Emitter(log, on_event))
        if request.requested.get("cell") == NO_NETWORK:
            try:
                train_ngram_alone(context)
            except ListenerError as error:
                state = f"see whether {request.output} holds the model"
                raise reporting_error(error, state) from error.__cause__
        else:
            _Session(context, device, saved).run()


class _Session:
    """One session of a run that trains a network."""

    def __init__(self, context: Context, device: str, saved: SavedRun | None) -> None:
        self._request, self._data = context.request, context.data
        self._clock, self._emit = context.clock, context.emit
        self._context = context
        self._device = device
        self._environment = environment(device, context.data.group)
        self._resumed = saved is not None
        self._stop = StopRequest()
        self._best: Mapping[str, Array] | None = saved.best if saved else None
        self._counted = build_ngram(context, saved.settings.ngram_order if saved else None)
        self._ngram = self._counted.model if self._counted else None
        order = self._counted.plan.order if self._counted else None
        self._record, self._trainer = begin(context, device, self._environment, order, saved)
        self._trainer.send()
        # The first save follows the first step: before, a new run must not replace an older one.
        self._saved_at: float | None = None
        self._reporter = StepReporter(self._emit, self._trainer, self._clock)
        minutes, self._pace = self._request.budget.minutes, None
        self._gives_time_back = False
        if minutes is not None:
            most = self._record.base_step + most_steps(self._settings, self._data)
            self._gives_time_back = self._settings.steps >= most
            seconds = self._record.base_seconds + minutes * 60
            pace = seconds, self._trainer, self._clock, self._emit, most
            self._pace = Pace(*pace, ClosingWork.of(self._data))

    @property
    def _settings(self) -> Settings:
        return self._trainer.settings

    def run(self) -> None:
        """Train to the end.

        Raises:
            Interrupted: a signal came; everything is saved.
            TrainingError: an event could not be logged or shown; everything is saved.
        """
        with handle_signals(self._stop.receive):
            try:
                self._measure_origin()
                self._emit_start()
                self._loop()
                self._finish()
            except StopRequested:
                self._interrupt()
            except ListenerError as error:
                if self._saved_at is None and self._stop.status is None:  # nothing to save yet
                    raise reporting_error(error, "nothing was trained") from error.__cause__
                summary = self._save_unfinished()
                if self._stop.status is not None:  # the listener was stopped by the same signal
                    raise Interrupted(self._stop.status, summary) from None
                raise reporting_error(error, f"the run is {summary}") from error.__cause__

    def _measure_origin(self) -> None:
        """Measure the model that the run starts from; it is the best one so far."""
        origin, held_out = self._data.origin, self._data.validation
        if origin is None or self._resumed or not held_out.characters:
            return
        self._record.before = origin.measure(held_out, self._data.corpus.vocabulary)
        self._record.best = self._trainer.validate(held_out, self._stop.check)
        self._best = self._trainer.weights()

    def _emit_start(self) -> None:
        context, counted = self._context, self._counted
        self._emit(start_event(context, self._trainer, self._environment, counted, self._resumed))
        if self._data.origin is not None:
            share = counted.earlier_share if counted else None
            self._emit(self._context.started_from(self._data.origin, self._record.before, share))
        for difference in differences(self._record.environment, self._environment):
            self._warn(difference)
        for warning in warnings(
            self._data,
            self._settings,
            counted,
            resumed=self._resumed,
            gives_time_back=self._gives_time_back,
        ):
            self._emit(warning)

    def _warn(self, message: str) -> None:
        self._emit(WarningEvent(message))

    def _loop(self) -> None:
        while True:
            self._stop.check()
            if self._validation_is_due():
                self._reporter.flush()
                self._validate()
                self._reporter.restart()
            if self._is_over():
                return
            self._train()

    def _is_over(self) -> bool:
        if self._trainer.step >= self._trainer.schedule.total:
            return True
        patience = self._settings.patience
        return bool(patience) and self._record.since_best >= patience

    def _train(self) -> None:
        """Do a step or, of several networks, some steps until the next validation."""
        step, every = self._trainer.step, self._settings.validate_every
        most = min(every - step % every, self._trainer.schedule.total - step)
        results = self._trainer.advance(most)
        if self._trainer.signal is not None and self._stop.number is None:
            self._stop.receive(self._trainer.signal)
        for result in results:
            self._record.add_step(result.loss, result.characters)
        if self._saved_at is None:
            self._emit.commit()
        if self._saved_at is None or self._clock.elapsed() - self._saved_at > SAVE_SECONDS:
            self._save()
        if self._pace is not None:
            self._pace.add_step()
        for result in results:
            self._reporter.add(result)

    def _validation_is_due(self) -> bool:
        step, history = self._trainer.step, self._record.history
        if step == 0 or (history and history[-1]["step"] == step):
            return False
        return step % self._settings.validate_every == 0 or step >= self._trainer.schedule.total

    def _validate(self) -> None:
        """Measure the loss on the held-out text; keep the weights if they are the best so far."""
        started = self._clock.elapsed()
        trainer, held_out = self._trainer, self._data.validation
        loss = trainer.validate(held_out, self._stop.check) if held_out.characters else None
        training_loss = self._record.training_loss
        improved = self._record.add_validation(trainer.step, loss)
        if improved:
            self._best = trainer.weights()
            self._save_model(self._best, figures_so_far(self._settings, loss))
        self._save()
        elapsed = self._clock.elapsed()
        pseudo = self._settings.bidirectional
        self._emit(ValidationEvent(trainer.step, training_loss, loss, improved, elapsed, pseudo))
        if improved:
            self._emit(self._context.saved(trainer.step))
        if self._request.samples:
            sample = live_sample(trainer, self._data.corpus)
            self._emit(SampleEvent(trainer.step, sample))
        if self._pace is not None:
            self._pace.add_validation(self._clock.elapsed() - started)

    def _save(self) -> None:
        """Write everything needed to resume."""
        self._trainer.gather()
        self._record.seconds = self._saved_at = self._clock.elapsed()
        save_run(self._request.output / TRAINING_FILE, self._trainer, self._record, self._best)

    def _save_model(
        self, weights: Mapping[str, Array], figures: Figures, closing: Closing | None = None
    ) -> None:
        """Write the network, calibrated, and the n-gram model if the fitted mixture is better."""
        closing = closing or Closing()
        self._context.save_model(
            {
                "settings": recorded(self._settings),
                "requested": self._record.requested,
                "step": self._record.best_step,
                "history": self._record.history,
                **self._record.facts(),
                **figures,
            },
            architecture=self._trainer.network.architecture,
            weights=closing.weights(weights),
            ngram=None if closing.exponents is None else self._ngram,
            exponents=closing.exponents, labelling=closing.labelling,
        )

    def _finish(self) -> None:
        record = self._record
        assert self._best is not None
        closing = self._measure(self._best)
        record.finished = True
        figures = figures_so_far(self._settings, record.best)
        figures |= closing.figures()
        figures |= figures_of_each(self._trainer, self._best, self._data.validation)
        self._save_model(self._best, figures, closing)
        self._save()
        forget_counted(self._context)
        step = self._trainer.step
        if closing.fit is not None and not closing.fit.helps:
            self._warn("the n-gram model does not help on the held-out text: left out")
        self._emit(self._context.saved(step))
        figures["before_nats_per_character"] = record.before
        self._emit(self._context.done(step, record.best_step, figures))

    def _measure(self, best: Mapping[str, Array]) -> Closing:
        """Calibrate the best network, mix it with the n-gram model, see which labels it knows."""
        ngrams = self._counted.versions if self._counted else ()
        self._stop.at_once = True  # takes seconds and can be repeated
        try:
            self._stop.check()
            with one_thread():  # the last bits depend on the number of threads
                return measure(self._build, best, ngrams, self._data)
        finally:
            self._stop.at_once = False

    def _build(self, weights: Mapping[str, Array]) -> LanguageModel:
        architecture = self._trainer.network.architecture
        return torch_network(architecture, weights, self._settings.networks, self._device)

    def _interrupt(self) -> NoReturn:
        """Save first, then report, as reporting may fail."""
        summary = self._save_unfinished()
        self._emit.try_to_emit(InterruptedEvent(f"interrupted: {summary}"))
        assert self._stop.status is not None
        raise Interrupted(self._stop.status, summary)

    def _save_unfinished(self) -> str:
        """Save the run -> one line that says what is saved and how to resume."""
        output = self._request.output
        if self._trainer.step == 0 and (output / TRAINING_FILE).exists():
            return f"not started; {output} is as it was before"
        self._emit.commit_quietly()
        self._save()
        if self._record.finished:
            return f"finished; the model is in {output}"
        same = "the same command without --fresh" if self._request.fresh else "the same command"
        return f"saved in {output}; {same} goes on from there{self._save_unvalidated_model()}"

    def _save_unvalidated_model(self) -> str:
        """Before the first validation, save the network as it is -> a remark for the summary.

        A validated model of an earlier run is kept instead.
        """
        if self._record.history:
            return ""
        output = self._request.output
        if holds_validated_model(output):
            return f" ({output / MODEL_FILE} is still the model of an earlier run)"
        self._save_model(self._trainer.weights(), figures_so_far(self._settings, None))
        self._emit.try_to_emit(self._context.saved(self._trainer.step))
        return " (its model has not been validated yet)"
