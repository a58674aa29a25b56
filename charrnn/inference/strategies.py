"""Decoding strategies: how the next character is chosen. Knows ids only, not characters or models.

A new strategy is one entry in STRATEGIES; the command line derives its option from that entry. They
apply in the order of that table: first what may not occur at all, then the shape of the
distribution, then the choice, then the end of the text.

Axes: B texts, V vocabulary entries, W remembered characters. Logarithms are natural.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from charrnn.arrays import Array, np
from charrnn.errors import Parameter, SettingsError
from charrnn.text.vocabulary import EOS

if TYPE_CHECKING:
    import numpy.typing as npt

Weights: TypeAlias = "npt.NDArray[np.float64]"
"""Logarithms of unnormalised probabilities (B, V); minus infinity for excluded characters."""
Ids: TypeAlias = Array
Value: TypeAlias = float | int | bool | str | Sequence[str]
"""A number, a flag, a set of characters, or several texts."""
Decoding: TypeAlias = Mapping[str, Value]
"""Strategy name -> value; a missing one has its default."""
Apply: TypeAlias = Callable[[Weights, Any, Ids], Weights]
"""(weights (B, V), value, the last characters (B, W)) -> weights (B, V)."""

REPETITION_WINDOW = 64
"""A character counts as repeated if it is one of this many before it."""
MAX_BEAM = 1024
IMPOSSIBLE = 1e4
"""Nats of an excluded character, in place of infinity: its probability, 0, times this is 0."""


@dataclass(frozen=True)
class Strategy:
    """One way to influence what is generated.

    Attributes:
        help: of the command-line option.
        default: the value that is used when none is given; its type is the option's.
        neutral: the value that changes nothing.
        low, high: the range of a number.
        apply: shapes the distribution; None if the strategy acts elsewhere.
        in_search: whether `apply` counts in a beam search too, which draws nothing.
    """

    help: str
    default: Value
    neutral: Value
    low: float = 0
    high: float = math.inf
    apply: Apply | None = None
    in_search: bool = False


def exclude(weights: Weights, forbidden: Ids, recent: Ids) -> Weights:
    """Exclude the characters `forbidden` (N,)."""
    weights = weights.copy()
    weights[..., forbidden] = -np.inf
    return weights


def keep_only(weights: Weights, allowed: Ids, recent: Ids) -> Weights:
    """Exclude all but the characters `allowed` (N,) and the end of the text."""
    kept = np.full_like(weights, -np.inf)
    kept[..., EOS] = weights[..., EOS]
    kept[..., allowed] = weights[..., allowed]
    return kept


def penalise_repetition(weights: Weights, penalty: float, recent: Ids) -> Weights:
    """p ** penalty for every character in `recent` (B, W), where EOS stands for no character.

    Keskar et al. 2019, "CTRL", section 4.1, with log-probabilities, which are all negative.
    """
    repeated = np.zeros(weights.shape, bool)
    repeated[np.arange(len(recent))[:, None], recent] = True
    repeated[:, EOS] = False
    return np.where(repeated, weights * penalty, weights)


def apply_temperature(weights: Weights, temperature: float, recent: Ids) -> Weights:
    """p ** (1 / temperature), renormalised; 0 keeps the most probable character alone."""
    if temperature == 0:
        return keep_most_probable(weights, True, recent)
    with np.errstate(over="ignore"):
        scaled: Weights = (weights - weights.max(-1, keepdims=True)) / temperature
    return scaled


def keep_top_k(weights: Weights, k: int, recent: Ids) -> Weights:
    """Keep the k most probable characters, and all that are as probable as the k-th."""
    if k >= weights.shape[-1]:
        return weights
    threshold = np.partition(weights, -k, axis=-1)[..., -k, None]
    return np.where(weights >= threshold, weights, -np.inf)


def keep_top_p(weights: Weights, p: float, recent: Ids) -> Weights:
    """Keep the fewest most probable characters whose probabilities add up to p or more.

    Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    return _keep_first(weights, normalise(weights), -weights, p)


def keep_min_p(weights: Weights, share: float, recent: Ids) -> Weights:
    """Keep the characters that have at least this share of the highest probability.

    Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs".
    """
    threshold = weights.max(-1, keepdims=True) + math.log(share)
    return np.where(weights >= threshold, weights, -np.inf)


def keep_typical_p(weights: Weights, p: float, recent: Ids) -> Weights:
    """Keep the characters of the most typical information content that add up to p or more.

    Typical is what is near the entropy: neither improbable nor too predictable. Meister et al.
    2023, "Locally Typical Sampling", equation 10.
    """
    below = weights - weights.max(-1, keepdims=True)
    probabilities = np.exp(below)
    total = probabilities.sum(-1, keepdims=True)
    probabilities /= total
    information = np.minimum(np.log(total) - below, IMPOSSIBLE)
    entropy = (probabilities * information).sum(-1, keepdims=True)
    distance = np.abs(information - entropy)
    return _keep_first(weights, probabilities, distance, p)


def keep_most_probable(weights: Weights, wanted: bool, recent: Ids) -> Weights:
    """Keep the most probable character, the first if several are equal."""
    kept = np.full_like(weights, -np.inf)
    np.put_along_axis(kept, weights.argmax(-1)[..., None], 0.0, -1)
    return kept


def _keep_first(weights: Weights, probabilities: Weights, key: Weights, p: float) -> Weights:
    """Keep the fewest characters, by ascending `key`, whose probabilities add up to p or more."""
    order = np.argsort(key, axis=-1, kind="stable")
    places = np.arange(len(order))[:, None], order  # faster than take_along_axis
    ordered = probabilities[places]
    before = ordered.cumsum(-1) - ordered
    kept = np.empty_like(weights)
    kept[places] = np.where((before >= p) & (before > 0), -np.inf, weights[places])
    return kept


def normalise(weights: Weights) -> Weights:
    """Probabilities (B, V) that add up to 1."""
    probabilities: Weights = np.exp(weights - weights.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    return probabilities


STRATEGIES: dict[str, Strategy] = {
    "forbid": Strategy(
        "Never write any of these CHARACTERS.", "", "", apply=exclude, in_search=True
    ),
    "only": Strategy(
        "Write none but these CHARACTERS.", "", "", apply=keep_only, in_search=True
    ),
    "repetition_penalty": Strategy(
        f"Raise the probability of each of the last {REPETITION_WINDOW} characters to this power, "
        "which makes them less likely; 1: as the model says.",
        1.0,
        1.0,
        low=1,
        high=100,
        apply=penalise_repetition,
        in_search=True,
    ),
    "temperature": Strategy(
        "Lower is more predictable, higher more varied; 1: as the model says, 0: like --argmax. "
        "Several, with commas, are shown side by side.",
        0.8,
        1.0,
        apply=apply_temperature,
    ),
    "top_k": Strategy(
        "Draw from the K most probable characters only; 0: from all.",
        0,
        0,
        high=2**31,
        apply=keep_top_k,
    ),
    "top_p": Strategy(
        "Draw from the most probable characters that make up P of the probability.",
        1.0,
        1.0,
        high=1,
        apply=keep_top_p,
    ),
    "min_p": Strategy(
        "Draw from the characters that have at least this share of the highest probability.",
        0.0,
        0.0,
        high=1,
        apply=keep_min_p,
    ),
    "typical_p": Strategy(
        "Draw from the most typical characters that make up P of the probability: neither too "
        "predictable nor too improbable.",
        1.0,
        1.0,
        high=1,
        apply=keep_typical_p,
    ),
    "argmax": Strategy(
        "Always take the most probable character; the seed has no effect.",
        False,
        False,
        apply=keep_most_probable,
    ),
    "beam": Strategy(
        "Draw nothing: search for the text with the highest probability per character, following "
        "the N best beginnings. --num prints so many of them, the best first. --temperature to "
        "--argmax and the seed have no effect; 0: no search.",
        0,
        0,
        high=MAX_BEAM,
    ),
    "stop": Strategy(
        "End the text where STRING would come, and leave STRING out; can be given several times.",
        (),
        (),
    ),
}


def check_decoding(decoding: Decoding) -> dict[str, Any]:
    """The value of every strategy, in the order in which they apply.

    Raises:
        SettingsError: an unknown strategy or a value out of range.
        TypeError: a value of another type than the strategy's.
    """
    unknown = sorted(decoding.keys() - STRATEGIES.keys())
    if unknown:
        raise SettingsError(
            f"unknown decoding strategy {unknown[0]!r}; choose from {', '.join(STRATEGIES)}"
        )
    return {
        name: _checked(name, entry, decoding.get(name, entry.default))
        for name, entry in STRATEGIES.items()
    }


def _checked(name: str, entry: Strategy, value: Any) -> Any:
    if isinstance(entry.default, str):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be characters in a str, not {value!r:.80}")
        return value
    if isinstance(entry.default, tuple):
        return _checked_texts(name, value)
    if isinstance(value, bool | int | float | np.number):
        _check_range(name, entry, value)
        return value
    raise TypeError(f"{name} must be a number, not {value!r:.80}")


def _checked_texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{name} must be a list of str, not {value!r:.80}")
    if "" in texts:
        raise SettingsError(Parameter(name), " must not be empty; leave it out")
    return texts


def _check_range(name: str, entry: Strategy, value: Any) -> None:
    if not (math.isfinite(value) and entry.low <= value <= entry.high):
        limits = f"{entry.low:,} or more" if math.isinf(entry.high) else (
            f"{entry.low:,} to {entry.high:,}"
        )
        shown = f"{value:g}" if isinstance(value, float) else f"{value:,}"
        raise SettingsError(Parameter(name), f" must be {limits}, not {shown}")
