"""The events of a training run, and the JSON object of each.

A listener is a function that takes one event. Knows neither torch nor how events are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias


@dataclass(frozen=True)
class StartEvent:
    """A run starts or resumes.

    Attributes:
        checkpoint: the run directory.
        settings: every field of Settings.
        flags: the options that repeat the run.
        characters, unknown_characters, vocabulary_size, validation_characters: of the corpus.
        seed: of the run.
        steps: planned updates; 0 without a network.
        device: "cpu", "cuda" or "mps".
    """

    checkpoint: str
    settings: Mapping[str, Any]
    flags: str
    characters: int
    unknown_characters: int
    vocabulary_size: int
    validation_characters: int
    seed: int
    steps: int
    device: str


@dataclass(frozen=True)
class NetworkStartEvent(StartEvent):
    """A run that trains a network starts or resumes.

    Attributes:
        resumed: whether it resumes.
        step: updates so far.
        epochs: passes through the training text in the whole run.
        parameters: number of the network's.
        ngram_nats_per_character: of the n-gram model alone, on the held-out text.
        threads: that torch uses.
        torch: its version.
        processes: that train together.
    """

    resumed: bool
    step: int
    epochs: float
    parameters: int
    ngram_nats_per_character: float | None
    threads: int
    torch: str
    processes: int = 1


@dataclass(frozen=True)
class OriginEvent:
    """The run starts from another model.

    Attributes:
        checkpoint: that model.
        new_characters: those that it did not know.
        nats_per_character: of that model, network and n-gram model together, on the held-out text
            of this run; None where there is none.
        earlier_share: of the text that it was trained on, how much is among the n-grams; None if
            that text is gone, or there is no n-gram model.
    """

    checkpoint: str
    new_characters: str
    nats_per_character: float | None
    earlier_share: float | None


@dataclass(frozen=True)
class CountingEvent:
    """The n-grams of a long text are being counted; not in the log.

    Attributes:
        characters: counted so far.
        total: in the training text; not all are counted if time is short.
        seconds: since counting began.
    """

    characters: int
    total: int
    seconds: float


@dataclass(frozen=True)
class StepEvent:
    """Some steps were done; means are over the steps since the last such event.

    Attributes:
        step: updates so far.
        steps: planned updates.
        nats_per_character: mean training loss.
        gradient_norm: of the last step, before clipping.
        clipped: the share of the steps whose gradient was clipped.
        rate, muon_rate: learning rates of the last step.
        characters_per_second: of training.
        seconds: that the run has taken, all sessions together.
        pseudo: whether the loss is a reader's: pseudo-nats.
    """

    step: int
    steps: int
    nats_per_character: float
    gradient_norm: float
    clipped: float
    rate: float
    muon_rate: float
    characters_per_second: float
    seconds: float
    pseudo: bool = False


@dataclass(frozen=True)
class ValidationEvent:
    """The network was measured on the held-out text.

    Attributes:
        step: updates so far.
        training_nats_per_character: mean training loss since the last validation.
        nats_per_character: on the held-out text; None where there is none.
        best: whether it is the lowest so far.
        seconds: that the run has taken, all sessions together.
        pseudo: whether the losses are a reader's: pseudo-nats.
    """

    step: int
    training_nats_per_character: float
    nats_per_character: float | None
    best: bool
    seconds: float
    pseudo: bool = False


@dataclass(frozen=True)
class SampleEvent:
    """The network wrote a text."""

    step: int
    text: str


@dataclass(frozen=True)
class CheckpointEvent:
    """The model was saved to the file `checkpoint`."""

    step: int
    checkpoint: str


@dataclass(frozen=True)
class WarningEvent:
    """A warning for the user, in one line."""

    message: str


@dataclass(frozen=True)
class InterruptedEvent:
    """A signal stopped the run; it is saved."""

    message: str


@dataclass(frozen=True)
class DoneEvent:
    """The run is finished.

    Attributes:
        checkpoint: the run directory.
        step: number of updates.
        best_step: the step with the lowest validation loss, whose weights are saved.
        nats_per_character: of the saved model on the held-out text; None where there is none.
        seconds: of the whole run.
        network_nats_per_character, ngram_nats_per_character: of each model of a mixture alone.
        pseudo_nats_per_character: of a reader.
        before_nats_per_character: of the model that the run started from.
        accuracy: share of the held-out lines whose label it recognises; None without labels.
        each_nats_per_character: of each network alone, if there are several.
        temperature: that the network's logits were divided by, fitted on the held-out text; None
            without any.
    """

    checkpoint: str
    step: int
    best_step: int
    nats_per_character: float | None
    seconds: float
    network_nats_per_character: float | None = None
    ngram_nats_per_character: float | None = None
    pseudo_nats_per_character: float | None = None
    before_nats_per_character: float | None = None
    accuracy: float | None = None
    each_nats_per_character: list[float] | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class ReadingEvent:
    """A long text is being read; not in the log.

    Attributes:
        done: bytes read and encoded.
        total: bytes to read and encode.
    """

    done: int
    total: int


Event: TypeAlias = (
    StartEvent
    | NetworkStartEvent
    | OriginEvent
    | CountingEvent
    | StepEvent
    | ValidationEvent
    | SampleEvent
    | CheckpointEvent
    | WarningEvent
    | InterruptedEvent
    | DoneEvent
    | ReadingEvent
)
OnEvent: TypeAlias = Callable[[Event], None]

NAMES: Mapping[type, str] = {
    ReadingEvent: "reading",
    StartEvent: "start",
    NetworkStartEvent: "start",
    OriginEvent: "from",
    CountingEvent: "counting",
    StepEvent: "step",
    ValidationEvent: "validation",
    SampleEvent: "sample",
    CheckpointEvent: "checkpoint",
    WarningEvent: "warning",
    InterruptedEvent: "interrupted",
    DoneEvent: "done",
}
"""Type of event -> its name in JSON."""


def as_json(event: Event) -> dict[str, Any]:
    """The JSON object of `event`; a field with a default is left out while it has that default.

    A reader's losses are called what they are.
    """
    values = {each.name: getattr(event, each.name) for each in fields(event)}
    optional = {each.name: each.default for each in fields(event)}
    kept = {name: value for name, value in values.items() if value is not optional[name]}
    if kept.pop("pseudo", False):
        kept = {
            name.replace("nats_per_character", "pseudo_nats_per_character"): value
            for name, value in kept.items()
        }
    return {"event": NAMES[type(event)], **kept}
