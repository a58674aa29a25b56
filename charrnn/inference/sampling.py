"""Generate new texts by drawing one character after the other. Knows ids only, not characters.

Reproducibility: the random numbers of a text depend on its seed alone. The probabilities that it is
drawn from depend on the model and the decoding and, in their last digits (less than 1e-6 in a
log-probability, in NumPy), on the machine and on how many texts are computed together, because
matrix products of different sizes round differently. So equal arguments on one machine give equal
texts; with another number of texts, a text is almost certainly the same.

Axes: B texts, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.arrays import Floats
from charrnn.inference.decoder import Decoder
from charrnn.inference.strategies import Ids, Weights
from charrnn.models.interface import LanguageModel, State
from charrnn.text.vocabulary import EOS

READ_AT_ONCE = 256
DRAWS_AT_ONCE = 256
ENDED = -1
"""Takes the place of an id after a text has ended."""


class Step(NamedTuple):
    """One more character of each of B texts.

    Attributes:
        ids: (B,) EOS where it ends a text now; ENDED where a text has ended before.
        log_probabilities: (B,) of these ids under the model itself, in nats; 0 where ENDED.
        stopped: (B,) if a stop ends a text now, how many of its last characters belong to that;
            otherwise 0.
    """

    ids: npt.NDArray[np.int64]
    log_probabilities: npt.NDArray[np.float64]
    stopped: npt.NDArray[np.int64]


def generate(
    model: LanguageModel,
    prime: Ids,
    decoder: Decoder,
    seeds: Sequence[Sequence[int]],
    length: int | None,
    until_eos: bool = True,
    label: int | None = None,
) -> Iterator[Step]:
    """Continue `prime` with new texts, one character of each at a time.

    Args:
        model: computes the probabilities.
        prime: (P,) ids that every text begins with; may be empty.
        decoder: the strategies; its beam is not used.
        seeds: (B,) one for the random numbers of each text.
        length: characters of each text, at most; None for no limit.
        until_eos: whether EOS ends a text; otherwise it is never drawn and the text goes on.
        label: id of the label of every text; None for texts without one.
    """
    texts = len(seeds)
    alive = np.arange(texts)
    log_probabilities, state = read_prime(model, prime, label)
    state = model.select(state, np.zeros(texts, np.intp))
    log_probabilities = np.repeat(log_probabilities, texts, 0)
    recent = decoder.remember(prime, texts)
    draws = _draws(seeds)
    chosen = np.empty(0, np.int64)
    count = 0
    while len(alive) and (length is None or count < length):
        if count:
            log_probabilities, state = model.step(chosen, state)
        probabilities = decoder.shape(log_probabilities, recent, until_eos)  # (B', V)
        chosen = _choose(probabilities, next(draws)[alive])
        recent = decoder.append(recent, chosen)
        count += 1
        step = Step(np.full(texts, ENDED), np.zeros(texts), np.zeros(texts, np.int64))
        step.ids[alive] = chosen
        step.log_probabilities[alive] = log_probabilities[np.arange(len(alive)), chosen]
        goes_on = chosen != EOS
        if decoder.stops:
            stopped = decoder.stopped(recent, count)
            step.stopped[alive] = stopped
            goes_on &= stopped == 0
        yield step
        if not goes_on.all():
            alive, chosen, recent = alive[goes_on], chosen[goes_on], recent[goes_on]
            state = model.select(state, np.flatnonzero(goes_on))


def read_prime(
    model: LanguageModel, prime: Ids, label: int | None = None
) -> tuple[Floats, State]:
    """Read EOS, a label and `prime` (P,) -> log-probabilities of what comes next (1, V), state."""
    start = [EOS] if label is None else [EOS, label]
    tokens = np.concatenate([start, prime]).astype(np.int64)[None]
    state = model.initial_state(1)
    last = tokens.shape[1] - 1
    for at in range(0, last, READ_AT_ONCE):
        _, state = model.forward(tokens[:, at : min(last, at + READ_AT_ONCE)], state)
    return model.step(tokens[:, last], state)


def _draws(seeds: Sequence[Sequence[int]]) -> Iterator[npt.NDArray[np.float64]]:
    """Uniform numbers in [0, 1), one per text (B,) at a time, each from its own generator."""
    generators = [np.random.default_rng(seed) for seed in seeds]
    while True:
        yield from np.stack([one.random(DRAWS_AT_ONCE) for one in generators], 1)


def _choose(probabilities: Weights, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The first id in each row (B, V) whose cumulative probability exceeds the draw (B,)."""
    running = probabilities.cumsum(-1)
    passed = running > (draws * running[:, -1])[:, None]
    chosen: npt.NDArray[np.int64] = passed.argmax(-1)
    return chosen
