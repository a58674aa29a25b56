"""Decoding strategies, and generation of new texts with them. Knows ids only, not characters.

A new strategy is one entry in STRATEGIES; the command line derives its option from that entry.

Reproducibility: the random numbers of a text depend on its seed alone. The probabilities that it is
drawn from depend on the model and the decoding and, in their last digits (less than 1e-6 in a
log-probability, in NumPy), on the machine and on how many texts are computed together, because
matrix products of different sizes round differently. So equal arguments on one machine give equal
texts; with another number of texts, a text is almost certainly the same.

Axes: B texts, V vocabulary entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.errors import Parameter, SettingsError
from charrnn.models.interface import LanguageModel, State
from charrnn.text.vocabulary import EOS, UNK

Weights: TypeAlias = npt.NDArray[np.float64]
"""Logarithms of unnormalised probabilities (B, V); minus infinity for excluded characters."""

READ_AT_ONCE = 256
DRAWS_AT_ONCE = 256
ENDED = -1
"""Takes the place of an id after a text has ended."""


@dataclass(frozen=True)
class Strategy:
    """One way to shape the distribution that a character is drawn from.

    Attributes:
        help: of the command-line option.
        default: the value that is used when none is given; its type is the option's.
        neutral: the value that changes nothing.
        low, high: the range of values.
        apply: (weights (B, V), value) -> weights (B, V).
    """

    help: str
    default: float | int | bool
    neutral: float | int | bool
    low: float
    high: float
    apply: Callable[[Weights, Any], Weights]


def apply_temperature(weights: Weights, temperature: float) -> Weights:
    """p ** (1 / temperature), renormalised; 0 keeps the most probable character alone."""
    if temperature == 0:
        return keep_most_probable(weights, True)
    with np.errstate(over="ignore"):
        scaled: Weights = (weights - weights.max(-1, keepdims=True)) / temperature
    return scaled


def keep_top_k(weights: Weights, k: int) -> Weights:
    """Keep the k most probable characters, and all that are as probable as the k-th."""
    if k >= weights.shape[-1]:
        return weights
    threshold = np.partition(weights, -k, axis=-1)[..., -k, None]
    return np.where(weights >= threshold, weights, -np.inf)


def keep_top_p(weights: Weights, p: float) -> Weights:
    """Keep the fewest most probable characters whose probabilities add up to p or more.

    Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    order = np.argsort(-weights, axis=-1, kind="stable")
    ordered = _probabilities(np.take_along_axis(weights, order, -1))
    before = ordered.cumsum(-1) - ordered
    dropped = np.empty_like(before, dtype=bool)
    np.put_along_axis(dropped, order, (before >= p) & (before > 0), -1)
    return np.where(dropped, -np.inf, weights)


def keep_most_probable(weights: Weights, wanted: bool) -> Weights:
    """Keep the most probable character, the first if several are equal, if `wanted`."""
    if not wanted:
        return weights
    kept = np.full_like(weights, -np.inf)
    np.put_along_axis(kept, weights.argmax(-1)[..., None], 0.0, -1)
    return kept


STRATEGIES: dict[str, Strategy] = {
    "temperature": Strategy(
        "Lower is more predictable, higher more varied; 1: as the model says, 0: like --argmax.",
        0.8,
        1.0,
        0,
        math.inf,
        apply_temperature,
    ),
    "top_k": Strategy(
        "Draw from the K most probable characters only; 0: from all.", 0, 0, 0, 2**31, keep_top_k
    ),
    "top_p": Strategy(
        "Draw from the most probable characters that make up P of the probability.",
        1.0,
        1.0,
        0,
        1,
        keep_top_p,
    ),
    "argmax": Strategy(
        "Always take the most probable character; the seed has no effect.",
        False,
        False,
        0,
        1,
        keep_most_probable,
    ),
}

Decoding: TypeAlias = Mapping[str, float | int | bool]
"""Strategy name -> value; a missing one has its default."""


def check_decoding(decoding: Decoding) -> dict[str, float | int | bool]:
    """The value of every strategy, in the order in which they apply.

    Raises:
        SettingsError: an unknown strategy or a value out of range.
    """
    unknown = sorted(decoding.keys() - STRATEGIES.keys())
    if unknown:
        raise SettingsError(
            f"unknown decoding strategy {unknown[0]!r}; choose from {', '.join(STRATEGIES)}"
        )
    values = {name: decoding.get(name, entry.default) for name, entry in STRATEGIES.items()}
    for name, value in values.items():
        entry = STRATEGIES[name]
        if not (math.isfinite(value) and entry.low <= value <= entry.high):
            limits = f"{entry.low:,} or more" if math.isinf(entry.high) else (
                f"{entry.low:,} to {entry.high:,}"
            )
            shown = f"{value:g}" if isinstance(value, float) else f"{value:,}"
            raise SettingsError(Parameter(name), f" must be {limits}, not {shown}")
    return values


def shape_distribution(
    log_probabilities: npt.NDArray[np.float32], decoding: Decoding, until_eos: bool = True
) -> Weights:
    """The probabilities (B, V) to draw from: UNK masked, strategies applied.

    Without `until_eos` EOS is masked too, so that a text cannot end.
    """
    weights = log_probabilities.astype(np.float64)
    weights[..., UNK] = -np.inf
    if not until_eos:
        weights[..., EOS] = -np.inf
    for name, value in decoding.items():
        if value != STRATEGIES[name].neutral:
            weights = STRATEGIES[name].apply(weights, value)
    return _probabilities(weights)


def _probabilities(weights: Weights) -> Weights:
    probabilities: Weights = np.exp(weights - weights.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    return probabilities


def generate(
    model: LanguageModel,
    prime: npt.NDArray[Any],
    decoding: Decoding,
    seeds: Sequence[Sequence[int]],
    length: int | None,
    until_eos: bool = True,
) -> Iterator[npt.NDArray[np.int64]]:
    """Continue `prime` with new texts, one character of each at a time.

    Args:
        model: computes the probabilities.
        prime: (P,) ids that every text begins with; may be empty.
        decoding: as `check_decoding` returns it.
        seeds: (B,) one for the random numbers of each text.
        length: characters of each text, at most; None for no limit.
        until_eos: whether EOS ends a text; otherwise it is never drawn and the text goes on.

    Yields:
        (B,) the next id of each text; ENDED where EOS has ended it.
    """
    alive = np.arange(len(seeds))
    log_probabilities, state = _read(model, prime)
    state = model.select(state, np.zeros(len(seeds), np.intp))
    log_probabilities = np.repeat(log_probabilities, len(seeds), 0)
    draws = _draws(seeds)
    count = 0
    while len(alive) and (length is None or count < length):
        probabilities = shape_distribution(log_probabilities, decoding, until_eos)  # (B', V)
        chosen = _choose(probabilities, next(draws)[alive])
        ids = np.full(len(seeds), ENDED)
        continuing = chosen != EOS
        if not continuing.all():
            alive, chosen = alive[continuing], chosen[continuing]
            state = model.select(state, np.flatnonzero(continuing))
        ids[alive] = chosen
        if len(alive):
            yield ids
            count += 1
            log_probabilities, state = model.step(chosen, state)


def _read(model: LanguageModel, prime: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], State]:
    """Read EOS and `prime` -> log-probabilities of what comes next (1, V), state."""
    tokens = np.concatenate([[EOS], prime]).astype(np.int64)[None]
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
