"""Beam search: look for the most probable text instead of drawing one. Knows ids only.

The N best beginnings are followed at a time. A text's rank is its mean log-probability a character
(its end counts as one), as otherwise short texts would always win; Wu et al. 2016, "Google's Neural
Machine Translation System", section 7, with alpha = 1. The search ends when there are N complete
texts that are better than every beginning that is still followed, or at the given length.

Axes: B beginnings, V vocabulary entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.inference.decoder import Decoder
from charrnn.inference.sampling import read_prime
from charrnn.inference.strategies import Ids, Weights
from charrnn.models.interface import LanguageModel
from charrnn.text.vocabulary import EOS

Ending: TypeAlias = Literal["eos", "length", "stop"]
"""What ended a text: the model, the given length, or a text to stop at."""
Path: TypeAlias = "tuple[Path, int, float] | None"
"""A text as a linked list, so that beginnings share what they have in common: (all before the last
character, its id, its log-probability under the model)."""


@dataclass(frozen=True)
class Found:
    """A text that a search has found.

    Attributes:
        ids: of its characters, and EOS if that ended it.
        log_probabilities: of each of them under the model, in nats.
        stopped: how many of the last characters belong to the stop that ended it.
        ended_by: what ended it.
        rank: mean weight a character; the higher, the better.
    """

    ids: list[int]
    log_probabilities: list[float]
    stopped: int
    ended_by: Ending
    rank: float


@dataclass(frozen=True)
class _Beam:
    """The beginnings that are followed.

    Attributes:
        paths: (B,) their characters.
        totals: (B,) their weights, summed.
        recent: (B, W) their last characters.
    """

    paths: list[Path]
    totals: npt.NDArray[np.float64]
    recent: Ids


def beam_search(
    model: LanguageModel,
    prime: Ids,
    decoder: Decoder,
    length: int | None,
    until_eos: bool = True,
    label: int | None = None,
) -> list[Found]:
    """The `decoder.beam` best continuations of `prime` (P,) that were found, the best first.

    Arguments: see `generate`. The result is the same every time.
    """
    log_probabilities, state = read_prime(model, prime, label)
    beam = _Beam([None], np.zeros(1), decoder.remember(prime, 1))
    complete: list[Found] = []
    count = 0
    while beam.paths and (length is None or count < length):
        if count:
            ids = np.array([path[1] for path in beam.paths if path])
            log_probabilities, state = model.step(ids, state)
        weights = decoder.constrain(log_probabilities, beam.recent, until_eos)  # (B, V)
        rows, ids = _best(beam.totals[:, None] + weights, decoder)
        count += 1
        paths: list[Path] = [
            (beam.paths[row], index, float(log_probabilities[row, index]))
            for row, index in zip(rows.tolist(), ids.tolist(), strict=True)
        ]
        grown = _Beam(
            paths,
            beam.totals[rows] + weights[rows, ids],
            decoder.append(beam.recent[rows], ids),
        )
        beam, kept = _set_aside(grown, ids, decoder, count, complete)
        state = model.select(state, rows[kept])
        if _is_decided(beam, complete, decoder.beam, count):
            break
    else:
        complete += [_found(beam, row, count, 0, "length") for row in range(len(beam.paths))]
    return sorted(complete, key=lambda found: -found.rank)[: decoder.beam]


def _best(totals: Weights, decoder: Decoder) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and ids of the best continuations, the best first: enough if many end a text."""
    flat = totals.ravel()
    wanted = min(decoder.beam * (2 + len(decoder.stops)), len(flat))
    best = np.argpartition(-flat, wanted - 1)[:wanted]
    best = best[np.isfinite(flat[best])]
    best = best[np.lexsort((best, -flat[best]))]
    rows, ids = np.divmod(best, totals.shape[1])
    return rows, ids


def _set_aside(
    grown: _Beam, ids: Ids, decoder: Decoder, count: int, complete: list[Found]
) -> tuple[_Beam, npt.NDArray[np.intp]]:
    """Move texts that end now to `complete` -> the best of the others, and their rows in `grown`.

    A text that ends counts only if fewer than N better ones go on.
    """
    stopped = decoder.stopped(grown.recent, count)
    kept: list[int] = []
    for row in range(len(grown.paths)):
        if len(kept) == decoder.beam:
            break
        if ids[row] == EOS:
            complete.append(_found(grown, row, count, 0, "eos"))
        elif stopped[row]:
            complete.append(_found(grown, row, count, int(stopped[row]), "stop"))
        else:
            kept.append(row)
    rows = np.array(kept, np.intp)
    return _Beam([grown.paths[row] for row in kept], grown.totals[rows], grown.recent[rows]), rows


def _is_decided(beam: _Beam, complete: list[Found], wanted: int, count: int) -> bool:
    if len(complete) < wanted:
        return False
    worst = sorted((found.rank for found in complete), reverse=True)[wanted - 1]
    return not len(beam.totals) or bool(beam.totals.max() / count <= worst)


def _found(beam: _Beam, row: int, count: int, stopped: int, ended_by: Ending) -> Found:
    ids: list[int] = []
    log_probabilities: list[float] = []
    path = beam.paths[row]
    while path is not None:
        path, index, log_probability = path
        ids.append(index)
        log_probabilities.append(log_probability)
    rank = float(beam.totals[row]) / max(count, 1)
    return Found(ids[::-1], log_probabilities[::-1], stopped, ended_by, rank)
