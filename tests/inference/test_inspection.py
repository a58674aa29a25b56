from __future__ import annotations

import math

import numpy as np
import pytest

from charrnn.errors import SettingsError
from charrnn.inference import inspection
from charrnn.inference.inspection import CONTEXTS, context_curve, inspect_memory
from charrnn.models.cells import CELLS
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS
from tests.support import TableModel, random_checkpoint, random_model


def one(ids: list[int]) -> Documents:
    return Documents(np.array(ids), np.array([0]), np.array([len(ids)]))


def test_a_model_that_remembers_one_character_needs_no_more() -> None:
    """After EOS all of UNK, EOS, A, B have 1/4; A and B alternate with probability 3/4."""
    table = [[0.25] * 4, [0.25] * 4, [0.125, 0.0625, 0.0625, 0.75], [0.125, 0.0625, 0.75, 0.0625]]
    curve = context_curve(TableModel(table), one([2, 3] * 600), 300, seed=1)
    assert list(curve) == list(CONTEXTS)
    assert curve[0] == pytest.approx(math.log(4))
    for context in CONTEXTS[1:]:
        assert curve[context] == pytest.approx(-math.log(0.75), abs=1e-6)


def test_short_texts_have_short_contexts() -> None:
    assert list(context_curve(TableModel([[0.25] * 4] * 4), one([2, 3] * 40), 10, 1)) == [
        0, 1, 2, 4, 8, 16,
    ]
    assert list(context_curve(TableModel([[0.25] * 4] * 4), one([2]), 10, 1)) == [0]


@pytest.mark.parametrize("cell", CELLS)
def test_each_context_is_read_from_the_start(cell: str) -> None:
    model = random_model(random_checkpoint("abcdef", cell, 2)).model
    ids = np.random.default_rng(0).integers(2, 8, 68)
    curve = context_curve(model, one(ids.tolist()), 100, 1)
    assert list(curve) == [0, 1, 2, 4]
    for context, found in curve.items():
        total = 0.0
        for position in range(4, 68):
            before = ids[position - context : position] if context else np.array([EOS])
            predicted, _ = model.forward(before[None], model.initial_state(1))
            total -= float(predicted[0, -1, ids[position]])
        assert found == pytest.approx(total / 64, abs=1e-5)


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_CHUNK", "MAX_CELLS"])
def test_limits_of_a_batch_change_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(random_checkpoint("abcdef")).model
    text = one(np.random.default_rng(0).integers(2, 8, 200).tolist())
    before = context_curve(model, text, 30, 1)
    monkeypatch.setattr(inspection, limit, 3)
    assert context_curve(model, text, 30, 1) == pytest.approx(before, abs=1e-5)


def test_without_a_network_there_is_nothing_to_inspect() -> None:
    checkpoint = random_checkpoint("ab")
    ids = checkpoint.vocabulary.encode("abba")
    counts = NgramModel.build(ids, 2, len(checkpoint.vocabulary)).source
    alone = type(checkpoint)(checkpoint.vocabulary, False, None, {}, ngram=counts)
    with pytest.raises(SettingsError, match="an n-gram model alone has no memory to inspect"):
        inspect_memory(alone, one([2, 3]), 10, 1, gradient=False)
    with pytest.raises(SettingsError, match="positions must be 1 or more, not 0"):
        inspect_memory(checkpoint, one([2, 3]), 0, 1, gradient=False)
