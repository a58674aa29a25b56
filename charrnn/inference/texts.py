"""Write texts with a model: characters in, characters out. Joins vocabulary, sampler and search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from charrnn.errors import Parameter, SettingsError
from charrnn.inference.decoder import Decoder
from charrnn.inference.sampling import ENDED, Step, generate
from charrnn.inference.strategies import Decoding, check_decoding
from charrnn.models.interface import LanguageModel
from charrnn.text.vocabulary import EOS, Vocabulary

if TYPE_CHECKING:
    from charrnn.inference.search import Ending, Found

SAMPLES_AT_ONCE = 64
"""Texts computed in one batch; a larger batch is not faster per text."""


@dataclass(frozen=True)
class Sample:
    """A generated text.

    Attributes:
        prime: what it was to begin with.
        new: what was written after that.
        ended_by: "eos" if the model ended it, "stop" if it came to a text to stop at, "length" if
            it reached the given length.
        number: its place among the texts of this seed, or among those that a search has found.
        log_probabilities: of each new character, and of the end if the model ended it, in nats,
            under the model itself: what `score` gives, whatever the decoding.
    """

    prime: str
    new: str
    ended_by: Ending
    number: int
    log_probabilities: tuple[float, ...] = field(repr=False)

    @property
    def text(self) -> str:
        """The whole text."""
        return self.prime + self.new

    @property
    def log_probability(self) -> float:
        """Of all that is new, in nats."""
        return sum(self.log_probabilities)

    @property
    def nats_per_character(self) -> float:
        """Of all that is new; 0 if nothing is."""
        return -self.log_probability / max(1, len(self.log_probabilities))


@dataclass(frozen=True)
class Request:
    """What is to be written.

    Attributes:
        prime: the beginning of every text.
        length: maximum characters of each after `prime`; None for no limit.
        until_eos: whether the model may end a text.
        seed: of the random numbers.
        decoding: strategies by name.
        label: id of every text's label; None for texts without one.
    """

    prime: str
    length: int | None
    until_eos: bool
    seed: int
    decoding: Decoding
    label: int | None = None


@dataclass
class _Draft:
    """A text while it is written."""

    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    ended_by: Ending = "length"

    def add(self, index: int, log_probability: float, stopped: int) -> None:
        """Add one more character, or end the text."""
        self.ids.append(index)
        self.log_probabilities.append(log_probability)
        if index == EOS:
            self.ended_by = "eos"
        elif stopped:
            self.ended_by = "stop"
            del self.ids[-stopped:], self.log_probabilities[-stopped:]


class Writer:
    """Writes texts with a model."""

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        self._model = model
        self._vocabulary = vocabulary

    def samples(self, request: Request, numbers: Sequence[int]) -> Iterator[Sample]:
        """The texts with these `numbers`, in that order, as they are ready.

        SAMPLES_AT_ONCE of them are computed in one batch.

        Raises:
            SettingsError: the decoding is invalid, or a search for so many texts is too narrow.
        """
        decoder = self._decoder(request.decoding)
        if decoder.beam:
            yield from self._search(request, decoder, numbers)
            return
        for begin in range(0, len(numbers), SAMPLES_AT_ONCE):
            batch = numbers[begin : begin + SAMPLES_AT_ONCE]
            drafts = [_Draft() for _ in batch]
            for step in self._draw(request, decoder, batch):
                rows = zip(drafts, *(part.tolist() for part in step), strict=True)
                for draft, index, log_probability, stopped in rows:
                    if index != ENDED:
                        draft.add(index, log_probability, stopped)
            for number, draft in zip(batch, drafts, strict=True):
                yield self._sample(
                    request, number, draft.ids, draft.log_probabilities, draft.ended_by
                )

    def stream(self, request: Request) -> Iterator[tuple[str, float]]:
        """The first text without the prime, character by character, each with its log-probability.

        A character that may belong to a text to stop at is held back until that is decided.
        """
        decoder = self._decoder(request.decoding)
        if decoder.beam:
            for sample in self._search(request, decoder, [0]):
                yield from zip(sample.new, sample.log_probabilities, strict=False)
            return
        beginnings = _beginnings(check_decoding(request.decoding)["stop"])
        held: list[tuple[str, float]] = []
        for step in self._draw(request, decoder, [0]):
            index, stopped = int(step.ids[0]), int(step.stopped[0])
            if index == EOS:
                break
            held.append((self._vocabulary.character(index), float(step.log_probabilities[0])))
            if stopped:
                del held[-stopped:]
                break
            certain = len(held) - _open_length(held, beginnings) if beginnings else 1
            yield from held[:certain]
            del held[:certain]
        yield from held

    def _decoder(self, decoding: Decoding) -> Decoder:
        return Decoder.of(decoding, self._vocabulary.encode, len(self._vocabulary))

    def _draw(
        self, request: Request, decoder: Decoder, numbers: Sequence[int]
    ) -> Iterator[Step]:
        return generate(
            self._model,
            self._vocabulary.encode(request.prime),
            decoder,
            [(request.seed, number) for number in numbers],
            request.length,
            request.until_eos,
            request.label,
        )

    def _search(
        self, request: Request, decoder: Decoder, numbers: Sequence[int]
    ) -> Iterator[Sample]:
        from charrnn.inference.search import beam_search  # not needed to draw: --help stays fast

        if numbers and numbers[-1] >= decoder.beam:
            raise SettingsError(
                Parameter("num"), " must be at most ", Parameter("beam"),
                f", not {numbers[-1] + 1:,}: a search of {decoder.beam:,} finds no more texts",
            )
        prime = self._vocabulary.encode(request.prime)
        found = beam_search(
            self._model, prime, decoder, request.length, request.until_eos, request.label
        )
        for number in numbers:
            if number < len(found):
                yield self._found(request, number, found[number])

    def _found(self, request: Request, number: int, found: Found) -> Sample:
        kept = len(found.ids) - found.stopped
        return self._sample(
            request, number, found.ids[:kept], found.log_probabilities[:kept], found.ended_by
        )

    def _sample(
        self,
        request: Request,
        number: int,
        ids: list[int],
        log_probabilities: list[float],
        ended_by: Ending,
    ) -> Sample:
        new = self._vocabulary.decode(ids)
        return Sample(request.prime, new, ended_by, number, tuple(log_probabilities))


def _beginnings(stops: Sequence[str]) -> frozenset[str]:
    """Everything that a stop may begin with, but not the whole."""
    return frozenset(stop[:length] for stop in stops for length in range(1, len(stop)))


def _open_length(held: list[tuple[str, float]], beginnings: frozenset[str]) -> int:
    """How many of the last characters may be the beginning of a stop."""
    text = "".join(character for character, _ in held)
    lengths = (len(text) - at for at in range(len(text)) if text[at:] in beginnings)
    return next(lengths, 0)
