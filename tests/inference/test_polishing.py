"""A reader at a gap, compared with what it says of whole texts."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.inference.polishing import Polisher
from charrnn.models.cells import CELLS
from charrnn.models.loading import load_reader
from charrnn.models.reader import NumpyReader
from charrnn.text.vocabulary import EOS
from tests.support import random_checkpoint

A, B = 2, 3
LEFT, RIGHT = np.array([EOS, A, B]), np.array([B, B, EOS])


def reader_of(cell: str = "lstm") -> NumpyReader:
    reader = load_reader(random_checkpoint("ab", cell, layers=2, seed=3, bidirectional=True))
    assert reader is not None
    return reader


def conditionals(reader: NumpyReader, middle: list[int]) -> npt.NDArray[np.float64]:
    """P(a or b at each place of the middle | all others)."""
    text = np.concatenate([LEFT, middle, RIGHT])[None]
    shown = np.exp(reader.predict(text)[0, 2 : 2 + len(middle), A:].astype(float))
    shares: npt.NDArray[np.float64] = shown / shown.sum(-1, keepdims=True)
    return shares


@pytest.mark.parametrize("cell", CELLS)
def test_scores_are_those_of_the_whole_text(cell: str) -> None:
    reader = reader_of(cell)
    middles = np.array([[A, B, B, A], [B, B, B, B]])
    missing = np.array([True, True, False, True])
    ours = Polisher(reader, LEFT, RIGHT, missing).scores(middles)
    texts = np.stack([np.concatenate([LEFT, middle, RIGHT]) for middle in middles])
    predicted = reader.predict(texts)[:, 2:6]
    each = np.take_along_axis(predicted, middles[..., None], -1)[..., 0]
    np.testing.assert_allclose(ours, each[:, missing].sum(1), atol=1e-4)


def test_gibbs_sampling_has_the_distribution_of_the_chain() -> None:
    """Compared with the chain's transition matrix over all four fills of two characters."""
    reader = reader_of()
    fills = [list(each) for each in itertools.product((A, B), repeat=2)]
    matrix = np.zeros((4, 4))
    for row, fill in enumerate(fills):
        for first in (A, B):
            one = conditionals(reader, fill)[0, first - A]
            for second in (A, B):
                other = conditionals(reader, [first, fill[1]])[1, second - A]
                matrix[row, fills.index([first, second])] += one * other
    expected = np.linalg.matrix_power(matrix, 50)[0]
    polisher = Polisher(reader, LEFT, RIGHT, np.ones(2, bool))
    start = np.full((20_000, 2), A)
    drawn = polisher.sample(start, 8, 1.0, np.random.default_rng(1))
    shares = [float((drawn == fill).all(1).mean()) for fill in fills]
    np.testing.assert_allclose(shares, expected, atol=0.015)


def test_known_characters_between_gaps_stay() -> None:
    polisher = Polisher(reader_of(), LEFT, RIGHT, np.array([True, False, True]))
    middles = np.tile([A, B, A], (50, 1))
    drawn = polisher.sample(middles, 3, 1.0, np.random.default_rng(0))
    assert (drawn[:, 1] == B).all()
    assert {*drawn[:, [0, 2]].flat} == {A, B}


def test_climbing_ends_where_each_character_is_the_most_probable() -> None:
    reader = reader_of()
    polisher = Polisher(reader, LEFT, RIGHT, np.ones(4, bool))
    for start in itertools.product((A, B), repeat=4):
        (reached,) = polisher.climb(np.array([start]), 50)
        best = conditionals(reader, reached.tolist()).argmax(-1) + A
        assert reached.tolist() == best.tolist()


def test_the_first_guess_of_one_character_is_the_most_probable_one() -> None:
    reader = reader_of()
    polisher = Polisher(reader, LEFT, RIGHT, np.ones(1, bool))
    best = conditionals(reader, [A])[0].argmax() + A
    assert polisher.guess(np.array([[A]])).tolist() == [[best]]
    longer = Polisher(reader, LEFT, RIGHT, np.array([True, False, True]))
    assert longer.guess(np.array([[0, B, 0]]))[0, 1] == B
