from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from charrnn.errors import CheckpointError, SettingsError
from charrnn.export.reduction import Reduction
from charrnn.export.smaller import reduce_checkpoint
from charrnn.export.web_page import page
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.loading import load_model
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_tables import NgramTables
from tests.support import random_checkpoint

TEXT = "abracadabra, alakazam! " * 20


def checkpoint(cell: str = "lstm") -> Checkpoint:
    network = random_checkpoint(TEXT, cell, layers=2, hidden=24)
    if cell == "rnn":  # chaotic with larger weights: the last bit of any sum changes its figure
        smaller = {name: np.float32(0.4) * weight for name, weight in network.weights.items()}
        network = replace(network, weights=smaller)
    ids = network.vocabulary.encode(TEXT)
    counts = count_ngrams(ids, 5, len(network.vocabulary))
    exponents = np.linspace(0.3, 0.8, 10, dtype=np.float32).reshape(5, 2)
    training = {"history": [{"step": 1}], "settings": {"seed": 3}}
    return replace(network, ngram=counts, exponents=exponents, training=training)


def nats(model: Checkpoint) -> float:
    """Per character of TEXT."""
    ids = np.asarray(model.vocabulary.encode(TEXT), np.int64)
    inputs = np.concatenate([[1], ids[:-1]])
    loaded = load_model(model)
    values, _ = loaded.score(inputs[None], ids[None], loaded.initial_state(1))
    return -float(values.mean())


@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_changes_no_figure_by_more_than_a_thousandth(cell: str) -> None:
    before = checkpoint(cell)
    after = reduce_checkpoint(before, Reduction(half=True))
    assert after.half
    assert 0 < abs(nats(after) - nats(before)) < 0.001
    assert all(weight.dtype == np.float32 for weight in after.weights.values())


@pytest.mark.parametrize("value", [65_520.0, -65_520.0])
def test_a_weight_beyond_float16_is_refused(value: float) -> None:
    model = checkpoint()
    weights = {name: weight.copy() for name, weight in model.weights.items()}
    weights["output.bias"][0] = value
    with pytest.raises(CheckpointError, match=r"'output\.bias' are too large"):
        reduce_checkpoint(replace(model, weights=weights), Reduction(half=True))
    weights["output.bias"][0] = np.sign(value) * 65_519
    assert reduce_checkpoint(replace(model, weights=weights), Reduction(half=True)).half


def test_a_smaller_ngram_model_has_exponents_of_its_own_order() -> None:
    reduced = reduce_checkpoint(checkpoint(), Reduction(max_ngrams=40))
    assert reduced.ngram is not None
    assert reduced.exponents is not None
    assert 1 < reduced.ngram.order == len(reduced.exponents) < 5
    assert np.isfinite(nats(reduced))


def test_without_ngram_model_the_network_remains() -> None:
    reduced = reduce_checkpoint(checkpoint(), Reduction(no_ngram=True))
    assert (reduced.ngram, reduced.exponents) == (None, None)
    assert reduced.architecture is not None


def test_without_history_the_settings_remain() -> None:
    reduced = reduce_checkpoint(checkpoint(), Reduction(without_history=True))
    assert reduced.training == {"settings": {"seed": 3}}


def test_nothing_to_leave_out_leaves_everything() -> None:
    model = checkpoint()
    assert reduce_checkpoint(model, Reduction()) is model


@pytest.mark.parametrize(
    ("reduction", "without", "message"),
    [
        (Reduction(half=True), {"architecture": None}, "has no network whose weights could be"),
        (Reduction(no_ngram=True), {"architecture": None}, "has no network, only an n-gram"),
        (Reduction(max_ngrams=99), {"ngram": None}, "has no n-gram model"),
    ],
)
def test_what_the_model_lacks_cannot_be_reduced(
    reduction: Reduction, without: dict[str, None], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        reduce_checkpoint(replace(checkpoint(), **without), reduction)  # type: ignore[arg-type]


def test_contradictory_reductions_are_refused() -> None:
    with pytest.raises(SettingsError, match="give no_ngram or max_ngrams, not both"):
        Reduction(max_ngrams=100, no_ngram=True)


def with_tables() -> Checkpoint:
    """The same model as of a long text."""
    model = checkpoint()
    assert isinstance(model.ngram, NgramCounts)
    return replace(model, ngram=NgramTables.from_counts(model.ngram))


@pytest.mark.parametrize("corpus", [{}, {"characters": len(TEXT)}, {"characters": "many"}])
def test_the_tables_of_a_long_text_become_counts_when_they_are_reduced(
    corpus: dict[str, object]
) -> None:
    model = replace(with_tables(), corpus=corpus)
    reduced = reduce_checkpoint(model, Reduction(max_ngrams=50))
    assert isinstance(reduced.ngram, NgramCounts)
    assert sum(reduced.ngram.ngrams) <= 50
    assert nats(reduced) == pytest.approx(
        nats(reduce_checkpoint(checkpoint(), Reduction(max_ngrams=50))), abs=0.25
    )
    assert page(reduced)


def test_tables_within_the_limit_stay_as_they_are() -> None:
    model = with_tables()
    assert reduce_checkpoint(model, Reduction(max_ngrams=100_000)) is model


def test_tables_are_too_large_for_a_page() -> None:
    with pytest.raises(SettingsError, match="give max_ngrams to keep the most frequent"):
        page(with_tables())
