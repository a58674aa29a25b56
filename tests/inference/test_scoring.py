from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.inference import scoring
from charrnn.inference.scoring import (
    CONTEXT,
    SEGMENT,
    Score,
    evaluate_collections,
    evaluate_documents,
    most_probable,
    score_characters,
    score_documents,
    score_spans,
)
from charrnn.models.cells import CELLS
from charrnn.models.interface import LanguageModel
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS, UNK
from tests.support import TableModel, random_checkpoint, random_model

A, B = 2, 3
TABLE = [  # ids: UNK, EOS, A, B; a row is what follows an id
    [0.25, 0.25, 0.25, 0.25],
    [0.125, 0.125, 0.5, 0.25],
    [0.125, 0.25, 0.125, 0.5],
    [0.25, 0.5, 0.125, 0.125],
]


def documents(*texts: list[int]) -> Documents:
    lengths = np.array([len(text) for text in texts], np.int64)
    ids = np.array([index for text in texts for index in text], np.int64)
    return Documents(ids, lengths.cumsum() - lengths, lengths)


def one_by_one(model: LanguageModel, text: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The log-probability of each id, read in one go from the beginning."""
    inputs = np.append(EOS, text[:-1])
    found, _ = model.score(inputs[None], text[None], model.initial_state(1))
    values: npt.NDArray[np.float64] = found[0].astype(np.float64)
    return values


def test_figures_by_hand() -> None:
    score = Score(-3 * math.log(2), 3, 1)  # three characters of probability 1/2
    assert score.figures() == pytest.approx(
        {
            "log_probability": -3 * math.log(2),
            "nats_per_character": math.log(2),
            "bits_per_character": 1.0,
            "perplexity": 2.0,
            "characters": 3,
            "unknown_characters": 1,
        }
    )


def test_a_text_without_predictions_is_certain() -> None:
    score = Score(0.0, 0, 0)
    assert (score.nats_per_character, score.perplexity) == (0.0, 1.0)


def test_a_perplexity_beyond_floats_is_infinite() -> None:
    assert Score(-1000.0, 1, 0).perplexity == math.inf


def test_probabilities_by_hand() -> None:
    # P(AB EOS) = 1/2 * 1/2 * 1/2; P(B UNK) = 1/4 * 1/4; P(EOS) = 1/8; P() = 1
    texts = documents([A, B, EOS], [B, UNK], [EOS], [])
    found = score_documents(TableModel(TABLE), texts)
    assert [math.exp(score.log_probability) for score in found] == pytest.approx(
        [1 / 8, 1 / 16, 1 / 8, 1.0], rel=1e-6
    )
    assert [score.characters for score in found] == [3, 2, 1, 0]
    assert [score.unknown_characters for score in found] == [0, 1, 0, 0]


def test_characters_by_hand() -> None:
    first, second, third = score_characters(
        TableModel(TABLE), documents([A, A, EOS], [], [B])
    )
    assert np.exp(first) == pytest.approx([1 / 2, 1 / 8, 1 / 4])
    assert second.tolist() == []
    assert np.exp(third) == pytest.approx([1 / 4])


def test_documents_together_are_the_sum_of_each() -> None:
    texts = documents([A, B, EOS], [B, UNK], [EOS], [])
    whole = evaluate_documents(TableModel(TABLE), texts)
    assert math.exp(whole.log_probability) == pytest.approx(1 / 8 * 1 / 16 * 1 / 8, rel=1e-6)
    assert (whole.characters, whole.unknown_characters) == (6, 1)


def test_no_documents_have_no_score() -> None:
    assert score_documents(TableModel(TABLE), documents()) == []
    assert evaluate_documents(TableModel(TABLE), documents()) == Score(0.0, 0, 0)


def test_an_eos_between_documents_is_not_counted_but_begins_the_next() -> None:
    ids = np.array([A, EOS, B, EOS])
    texts = Documents(ids, np.array([0, 2]), np.array([1, 1]))
    found = score_documents(TableModel(TABLE), texts)
    assert [math.exp(score.log_probability) for score in found] == pytest.approx([1 / 2, 1 / 4])


# --- probabilities of all texts add up to 1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_probabilities_of_all_texts_add_up_to_one(cell: str, layers: int) -> None:
    """All texts of at most 5 characters, and exactly what is left for the longer ones."""
    longest = 5
    model = random_model(random_checkpoint("ab", cell, layers, seed=layers))
    alphabet = "ab?"  # ? stands for all that is unknown
    total = 0.0
    for length in range(longest + 1):
        texts = ["".join(letters) for letters in itertools.product(alphabet, repeat=length)]
        total += sum(math.exp(score.log_probability) for score in model.score(texts, eos=True))
    longer = ["".join(letters) for letters in itertools.product(alphabet, repeat=longest + 1)]
    rest = sum(math.exp(score.log_probability) for score in model.score(longer, eos=False))
    assert 0.2 < total < 1
    assert total + rest == pytest.approx(1, abs=1e-5)


def test_a_model_that_ends_soon_leaves_nothing_for_long_texts() -> None:
    """EOS has probability 3/4 always, so texts of up to 9 characters have 1 - (1/4) ** 10."""
    row = [1 / 12, 3 / 4, 1 / 12, 1 / 12]
    model = TableModel([row] * 4)
    total = 0.0
    for length in range(10):
        texts = [[*ids, EOS] for ids in itertools.product((UNK, A, B), repeat=length)]
        scores = score_documents(model, documents(*texts))
        total += sum(math.exp(score.log_probability) for score in scores)
    assert total == pytest.approx(1 - 0.25**10, abs=1e-6)


# --- batched, chunked and one by one


@pytest.mark.parametrize("cell", CELLS)
def test_batched_chunked_and_one_by_one_agree(cell: str) -> None:
    model = random_model(random_checkpoint("abcdef", cell, 2, hidden=16)).model
    generator = np.random.default_rng(0)
    texts = [generator.integers(0, 8, length) for length in (1, 700, 3, 129, 128, 0, 127, 40)]
    together = score_characters(model, documents(*(text.tolist() for text in texts)))
    for text, found in zip(texts, together, strict=True):
        assert len(found) == len(text)
        if len(text):
            np.testing.assert_allclose(found, one_by_one(model, text), rtol=0, atol=1e-4)


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_CHUNK", "MAX_CELLS"])
@pytest.mark.parametrize("value", [1, 3, 50])
def test_limits_of_a_batch_do_not_change_scores(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(random_checkpoint("abcdef")).model
    generator = np.random.default_rng(0)
    texts = documents(*(generator.integers(0, 8, n).tolist() for n in (5, 20, 1, 20, 13, 0, 7)))
    before = [score.log_probability for score in score_documents(model, texts)]
    monkeypatch.setattr(scoring, limit, value)
    after = [score.log_probability for score in score_documents(model, texts)]
    assert after == pytest.approx(before, abs=1e-4)


LENGTHS = [
    0, 1, CONTEXT - 1, CONTEXT, CONTEXT + 1, SEGMENT, SEGMENT + CONTEXT - 1, SEGMENT + CONTEXT,
    SEGMENT + CONTEXT + 1, 2 * SEGMENT + CONTEXT, 2 * SEGMENT + CONTEXT + 1, 9000,
]


@pytest.mark.parametrize("length", LENGTHS)
def test_each_character_of_a_long_text_is_scored_once(length: int) -> None:
    text = np.random.default_rng(length).integers(0, 4, length)
    lead = [A, B, EOS]
    texts = documents(lead, text.tolist(), lead)
    count = np.zeros(len(texts.ids), int)
    for scored in score_spans(TableModel(TABLE), texts):
        assert len(scored.documents) == len(scored.positions) == len(scored.values)
        np.add.at(count, scored.positions, 1)
        starts = texts.starts[scored.documents]
        assert (scored.positions >= starts).all()
        assert (scored.positions < starts + texts.lengths[scored.documents]).all()
    assert (count == 1).all()
    expected = np.log(np.array(TABLE))[np.append(EOS, text[:-1]), text].sum() if length else 0
    found = score_documents(TableModel(TABLE), texts)
    assert found[1].log_probability == pytest.approx(expected, abs=1e-3)
    assert found[0].log_probability == found[2].log_probability


@pytest.mark.parametrize("cell", CELLS)
def test_a_long_text_in_segments_agrees_with_reading_it_in_one_go(cell: str) -> None:
    model = random_model(random_checkpoint("abcdef", cell, 2, hidden=16)).model
    text = np.random.default_rng(3).integers(0, 8, 2 * SEGMENT + CONTEXT + 500)
    (found,) = score_characters(model, documents(text.tolist()))
    np.testing.assert_allclose(found, one_by_one(model, text), rtol=0, atol=1e-4)


def test_the_most_probable_ids_by_hand() -> None:
    # After EOS A (0.5), after A B (0.5), after B EOS (0.5); UNK is not counted.
    (found, none) = most_probable(TableModel(TABLE), documents([A, B, A], []))
    assert found == [(A, 0.5), (B, 0.5), (EOS, 0.5)]
    assert none == []


def test_collections_score_as_they_do_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(random_checkpoint("abcdefgh", hidden=12)).model
    choose = np.random.default_rng(1)
    collections = [
        documents(*(choose.integers(0, 10, length).tolist() for length in lengths))
        for lengths in ((5, 40), (1,), (300, 7, 20), (), (64,))
    ]
    alone = [evaluate_documents(model, each) for each in collections]
    for limit in (1, 100, 1 << 22):
        monkeypatch.setattr(scoring, "MAX_JOINED", limit)
        progress: list[int] = []
        found = list(evaluate_collections(model, iter(collections), progress.append))
        for score, expected in zip(found, alone, strict=True):
            assert score.characters == expected.characters
            assert score.unknown_characters == expected.unknown_characters
            assert score.log_probability == pytest.approx(expected.log_probability, abs=1e-3)
        assert progress[-1] == 437
        assert progress == sorted(progress)
    assert Score.total(alone).characters == 437
