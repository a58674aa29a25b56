"""The n-gram model against numbers by hand, a plain reference, and other computations."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.models.interface import LanguageModel
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts

E, A, B = 1, 2, 3  # EOS and two characters
V = 5
TEXTS = st.lists(st.integers(0, V - 1), max_size=60).map(lambda ids: np.array(ids, np.uint8))
ORDERS = st.integers(1, 5)
LIMITS = st.sampled_from([V, V + 3, V + 8, V + 20, 10_000])


def probabilities(model: NgramModel, text: list[int]) -> npt.NDArray[np.float32]:
    """Of every character (V,) after `text`."""
    found, _ = model.forward(np.array([text]), model.initial_state(1))
    last: npt.NDArray[np.float32] = np.exp(found)[0, -1]
    return last


def random_tokens(shape: tuple[int, ...], seed: int = 0) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, V, shape)


@pytest.fixture(params=[1, 2, 5])
def model(request: pytest.FixtureRequest) -> NgramModel:
    return NgramModel.build(random_tokens((500,)), request.param, V)


def test_it_is_a_language_model(model: NgramModel) -> None:
    doorway: LanguageModel = model
    assert doorway.vocabulary_size == V


def test_bigrams_by_hand() -> None:
    # E a a b E: each bigram once, so they are discounted by 1/2 each (the fallback), and
    # unigrams count what precedes them: a 2 (E, a), b 1, E 1. gamma = (1 + 1/2 + 1/2) / 4 = 1/2.
    model = NgramModel.build(np.array([A, A, B, E]), 2, 4)
    unigrams = np.array([0, 0.5, 1, 0.5]) / 4 + 0.5 / 4
    np.testing.assert_allclose(unigrams, [0.125, 0.25, 0.375, 0.25])
    np.testing.assert_allclose(  # a is followed by a and b: gamma = 2 * 1/2 / 2
        probabilities(model, [E, A]), [0, 0, 0.25, 0.25] + unigrams / 2, atol=1e-7
    )
    np.testing.assert_allclose(probabilities(model, [E]), [0, 0, 0.5, 0] + unigrams / 2, atol=1e-7)
    np.testing.assert_allclose(probabilities(model, [0]), unigrams, atol=1e-7)


def test_pruned_bigrams_by_hand() -> None:
    # E a a a b: of Ea 1, aa 2, ab 1 only aa is kept; the sum after a remains 3.
    model = NgramModel.build(np.array([A, A, A, B]), 2, 4, max_ngrams=5)
    unigrams = np.array([0, 0, 1, 0.5]) / 3 + 0.5 / 4
    np.testing.assert_allclose(probabilities(model, [E]), unigrams, atol=1e-7)
    np.testing.assert_allclose(
        probabilities(model, [A]), [0, 0, 1 / 3, 0] + 2 / 3 * unigrams, atol=1e-7
    )


def reference(ids: list[int], order: int, context: list[int]) -> list[float]:
    """Probabilities after `context`, as plainly as modified Kneser-Ney can be put."""
    text = [E, *ids]
    counts: dict[int, Counter[tuple[int, ...]]] = {}
    for k in range(1, order + 1):
        grams = [tuple(text[i : i + k]) for i in range(k == 1, len(text) - k + 1)]
        counts[k] = Counter(gram for gram in grams if E not in gram[1:-1])
    for k in range(1, order):
        left = defaultdict(set)
        for gram in counts[k + 1]:
            left[gram[1:]].add(gram[0])
        for gram in counts[k]:
            if k == 1 or gram[0] != E:
                counts[k][gram] = len(left[gram])
    found = [1 / V] * V
    for k in range(1, order + 1):
        tail = tuple(context[len(context) - k + 1 :])
        if len(tail) < k - 1:
            break
        n = [sum(count == j for count in counts[k].values()) for j in range(5)]
        discounts = [0.5, 1.0, 1.5]
        if n[1] and n[2] and n[3]:
            share = n[1] / (n[1] + 2 * n[2])
            exact = [j - (j + 1) * share * n[j + 1] / n[j] for j in (1, 2, 3)]
            if all(1e-6 <= d <= j for j, d in enumerate(exact, 1)):
                discounts = exact
        grams = [(*tail, c) for c in range(V)]
        family = [counts[k][gram] for gram in grams]
        total = sum(family)
        if total and E not in tail[1:]:
            taken = [discounts[min(count, 3) - 1] if count else 0.0 for count in family]
            found = [
                (count - off) / total + sum(taken) / total * shorter
                for count, off, shorter in zip(family, taken, found, strict=True)
            ]
    return found


@given(TEXTS, ORDERS, st.lists(st.integers(0, V - 1), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_against_the_reference(ids: npt.NDArray[np.uint8], order: int, context: list[int]) -> None:
    model = NgramModel.build(ids, order, V)
    expected = reference(ids.tolist(), order, context)
    np.testing.assert_allclose(probabilities(model, context), expected, atol=1e-6)


@given(TEXTS, ORDERS, LIMITS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_probabilities_add_up_to_one(
    ids: npt.NDArray[np.uint8], order: int, limit: int, start: bool
) -> None:
    model = NgramModel.build(ids, order, V, max_ngrams=limit, sentence_start=start)
    tokens = np.concatenate([[E], ids, random_tokens((40,))])
    found, _ = model.forward(tokens[None], model.initial_state(1))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", [[], [A], [E], [E, E], [A] * 1000, [A, E] * 200])
@pytest.mark.parametrize("order", [1, 8, 16])
def test_tiny_and_regular_texts(text: list[int], order: int) -> None:
    model = NgramModel.build(np.array(text, np.uint8), order, V)
    found = probabilities(model, [E, A, A, B, A])
    np.testing.assert_allclose(found.sum(), 1, atol=1e-5)
    assert (found > 0).all()


def test_the_widest_vocabulary() -> None:
    size = 1 << 16
    model = NgramModel.build(np.tile([size - 1, size - 2, size - 2, E], 50), 3, size)
    found = probabilities(model, [E, size - 1])
    assert found.argmax() == size - 2
    np.testing.assert_allclose(found.sum(), 1, atol=1e-5)


def test_forward_steps_and_scores_agree(model: NgramModel) -> None:
    tokens, targets = random_tokens((3, 30), 1), random_tokens((3, 30), 2)
    whole, after = model.forward(tokens, model.initial_state(3))  # (B, T, V)
    state = model.initial_state(3)
    for position in range(tokens.shape[1]):
        found, state = model.step(tokens[:, position], state)
        np.testing.assert_array_equal(found, whole[:, position])
    np.testing.assert_array_equal(state, after)
    scores, state = model.score(tokens, targets, model.initial_state(3))
    np.testing.assert_array_equal(state, after)
    assert scores.dtype == np.float32
    expected = np.take_along_axis(whole, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("cut", [0, 1, 7, 30])
def test_state_carries_the_context_across_calls(model: NgramModel, cut: int) -> None:
    tokens = random_tokens((2, 30), 1)
    whole, after = model.forward(tokens, model.initial_state(2))
    first, state = model.forward(tokens[:, :cut], model.initial_state(2))
    second, state = model.forward(tokens[:, cut:], state)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    np.testing.assert_array_equal(state, after)


def test_select(model: NgramModel) -> None:
    rows = np.array([2, 0, 2])
    tokens = random_tokens((3, 10), 1)
    _, state = model.forward(tokens, model.initial_state(3))
    _, expected = model.forward(tokens[rows], model.initial_state(3))
    np.testing.assert_array_equal(model.select(state, rows), expected)
    found, _ = model.step(tokens[rows, 0], model.select(state, rows))
    assert found.shape == (3, V)


def test_nothing_before_an_eos_matters(model: NgramModel) -> None:
    np.testing.assert_array_equal(
        probabilities(model, [E, A]), probabilities(model, [E, B, A, B, E, A])
    )


def test_large_forward_is_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NgramModel.build(random_tokens((500,)), 3, V)
    tokens = random_tokens((3, 10), 1)
    whole, _ = model.forward(tokens, model.initial_state(3))
    monkeypatch.setattr("charrnn.models.ngram.BLOCK_CELLS", 4 * V)
    parts, _ = model.forward(tokens, model.initial_state(3))
    np.testing.assert_array_equal(parts, whole)


def test_matched_by_hand() -> None:
    # E a a b E a: with "b a" unseen, the fifth character's context is "a" alone.
    model = NgramModel.build(np.array([A, A, B, E, A]), 3, 4)
    tokens = np.array([[E, A, A, B, A, 0, B]])
    contexts, state = model.read(tokens, model.initial_state(1))
    assert model.matched(contexts).tolist() == [[1, 2, 2, 2, 1, 0, 1]]
    assert model.matched(state).tolist() == [1]


def test_parts_make_forward_and_score(model: NgramModel) -> None:
    tokens, targets = random_tokens((2, 9), 1), random_tokens((2, 9), 2)
    contexts, state = model.read(tokens, model.initial_state(2))
    whole, after = model.forward(tokens, model.initial_state(2))
    np.testing.assert_array_equal(model.predict(contexts), whole)
    np.testing.assert_array_equal(state, after)
    scores, _ = model.score(tokens, targets, model.initial_state(2))
    np.testing.assert_array_equal(model.predict_targets(contexts, targets), scores)
    matched = model.matched(contexts)
    assert matched.shape == tokens.shape
    assert matched.min() >= 0
    assert matched.max() <= model.order - 1


def test_a_model_of_reloaded_counts_is_the_same() -> None:
    counts = count_ngrams(random_tokens((500,)), 4, V, max_ngrams=200)
    again = NgramCounts.from_tensors(counts.description(), counts.arrays)
    for context in ([E], [A, B, A], [0, 0, 0, B]):
        np.testing.assert_array_equal(
            probabilities(NgramModel(counts), context), probabilities(NgramModel(again), context)
        )
