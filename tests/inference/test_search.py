from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from charrnn.inference.search import Found, beam_search
from charrnn.inference.strategies import Value
from charrnn.text.vocabulary import EOS
from tests.inference.support import TABLE, A, B, decoder
from tests.support import TableModel, random_checkpoint, random_model

GARDEN_PATH = [  # A begins more texts, but B alone is the most probable text
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 0.55, 0.45],
    [0.0, 0.4, 0.3, 0.3],
    [0.0, 0.9, 0.05, 0.05],
]


def search(
    table: list[list[float]], length: int | None = None, prime: tuple[int, ...] = (),
    until_eos: bool = True, **decoding: Value,
) -> list[Found]:
    ids = np.array(prime, np.int64)
    return beam_search(TableModel(table), ids, decoder(**decoding), length, until_eos)


def test_one_beginning_is_the_greedy_text() -> None:
    (found,) = search(TABLE, beam=1)
    assert (found.ids, found.ended_by, found.stopped) == ([A, B, EOS], "eos", 0)
    assert np.exp(found.log_probabilities).tolist() == pytest.approx([0.6, 0.6, 0.5])
    (found,) = search(GARDEN_PATH, beam=1)
    assert found.ids == [A, EOS]


def test_two_beginnings_find_the_better_text() -> None:
    first, second = search(GARDEN_PATH, beam=2)
    assert (first.ids, second.ids) == ([B, EOS], [A, EOS])
    assert math.exp(2 * first.rank) == pytest.approx(0.45 * 0.9)
    assert math.exp(2 * second.rank) == pytest.approx(0.55 * 0.4)


def test_texts_are_ranked_by_the_mean_of_their_characters() -> None:
    # "AB" and "A" are equally probable, 0.18, but of three and of two characters.
    found = search(TABLE, beam=3)
    assert [text.ids for text in found] == [[A, B, EOS], [A, EOS], [B, EOS]]
    assert [text.rank for text in found] == pytest.approx(
        [math.log(0.18) / 3, math.log(0.18) / 2, math.log(0.1) / 2]
    )


@pytest.mark.parametrize("length", [0, 1, 2])
def test_the_length_is_a_limit(length: int) -> None:
    (found, *_) = search(TABLE, length, beam=2)
    assert (found.ids, found.ended_by) == ([A, B][:length], "length")


def test_constraints_count_in_a_search_and_temperature_does_not() -> None:
    assert search(TABLE, beam=2, forbid="A")[0].ids == [B, EOS]
    assert search(TABLE, beam=2, only="B")[0].ids == [B, EOS]
    everything = search(TABLE, beam=3)
    assert search(TABLE, beam=3, temperature=0.1, top_k=1, argmax=True) == everything
    # B was there before: 0.6 ** 3 = 0.216 for the second character.
    (found,) = search(TABLE, prime=(B, A), beam=1, repetition_penalty=3)
    assert found.ids == [EOS]


def test_a_stop_ends_a_text_and_counts_for_its_rank() -> None:
    found = search(TABLE, beam=2, stop="B")
    assert [(text.ids, text.ended_by, text.stopped) for text in found] == [
        ([A, B], "stop", 1), ([A, EOS], "eos", 0),
    ]
    assert math.exp(2 * found[0].rank) == pytest.approx(0.36)


def test_a_wide_beam_finds_the_best_of_all_texts() -> None:
    model = random_model(random_checkpoint("abc", hidden=6, seed=3)).model
    length = 5

    def log_probability(ids: tuple[int, ...]) -> float:
        tokens = np.array([[EOS, *ids[:-1]]])
        values, _ = model.score(tokens, np.array([ids]), model.initial_state(1))
        return float(values.sum())

    texts = list(product((2, 3, 4), repeat=length))
    best = max(texts, key=log_probability)
    found = beam_search(model, np.empty(0, int), decoder(5, beam=243), length, until_eos=False)
    assert len(found) == 243
    assert found[0].ids == list(best)
    assert sum(found[0].log_probabilities) == pytest.approx(log_probability(best), abs=1e-5)
    assert {tuple(text.ids) for text in found} == set(texts)
    ranks = [text.rank for text in found]
    assert ranks == sorted(ranks, reverse=True)


def test_a_long_text_takes_memory_for_its_length_alone() -> None:
    model = TableModel([*TABLE[:2], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5]])
    found = beam_search(model, np.empty(0, int), decoder(beam=4), 20_000, until_eos=False)
    assert [len(text.ids) for text in found] == [20_000] * 4
