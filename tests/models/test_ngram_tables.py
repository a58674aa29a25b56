"""The tables of an n-gram model against numbers by hand, in memory and in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.errors import CheckpointError
from charrnn.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn.models.ngram import NgramModel
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_tables import NgramTables, expected_tables
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import Command
from tests.faults.support import parts

E, A, B = 1, 2, 3  # EOS and two characters
FILE = Path("model.safetensors")
VOCABULARY = Vocabulary((97, 98))


def counts(order: int = 4, **options: Any) -> NgramCounts:
    ids = np.random.default_rng(1).integers(1, 4, 300)
    return count_ngrams(ids, order, len(VOCABULARY), **options)


def tables(order: int = 4) -> NgramTables:
    return NgramTables.from_counts(counts(order))


def test_tables_by_hand() -> None:
    # E a a b E: each bigram once, discounted by 1/2: a is continued by a and b.
    found = NgramTables.from_counts(count_ngrams(np.array([A, A, B, E]), 2, 4))
    assert (found.order, found.vocabulary_size, found.contexts, found.places) == (2, 4, 4, 4)
    np.testing.assert_allclose(found.unigram, [0.125, 0.25, 0.375, 0.25])
    assert found.first.tolist() == [0, 0, 1, 3, 4, 4]  # UNK, E, a, b, unseen, and the end
    assert found.gamma.tolist() == [1, 0.5, 0.5, 0.5, 1]
    assert found.character.tolist() == [A, A, B, E, 0]
    assert found.probability.tolist() == [0.5, 0.25, 0.25, 0.5, 0]


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("limit", [40, 10_000])
def test_a_file_of_tables_gives_the_same_model_as_its_counts(order: int, limit: int) -> None:
    counted = counts(order, max_ngrams=limit)
    checkpoint = Checkpoint(VOCABULARY, False, None, {}, ngram=NgramTables.from_counts(counted))
    save_checkpoint(FILE, checkpoint)
    again = load_checkpoint(FILE).ngram
    assert isinstance(again, NgramTables)
    tokens, targets = np.random.default_rng(2).integers(0, 4, (2, 3, 50))
    found = []
    for model in (NgramModel(counted), NgramModel(again)):
        distributions, state = model.forward(tokens, model.initial_state(3))
        scores, _ = model.score(tokens, targets, model.initial_state(3))
        after, _ = model.step(tokens[:, 0], state)
        found.append((distributions, scores, after, model.matched(state)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_tables_need_the_second_format() -> None:
    found = []
    for ngram in (counts(), tables()):
        save_checkpoint(FILE, Checkpoint(VOCABULARY, False, None, {}, ngram=ngram))
        _, description, _ = parts(FILE.read_bytes())
        found.append((description["format_version"], description.get("needs")))
    assert found == [(1, None), (2, "0.2")]


def test_a_file_of_tables_is_written_as_it_was_read() -> None:
    save_checkpoint(FILE, Checkpoint(VOCABULARY, False, None, {}, ngram=tables()))
    save_checkpoint(Path("again"), load_checkpoint(FILE))
    assert Path("again").read_bytes() == FILE.read_bytes()


def changed(array: Array, at: int, value: float) -> Array:
    copy: Array = array.copy()
    copy[at] = value
    return copy


FORGERIES: dict[str, Callable[[NgramTables], NgramTables]] = {
    "offset beyond the end": lambda t: replace(t, first=changed(t.first, 9, 1 << 31)),
    "descending offsets": lambda t: replace(t, first=changed(t.first, 9, 0)),
    "a late beginning": lambda t: replace(t, first=changed(t.first, 0, 1)),
    "an end that is another": lambda t: replace(t, first=changed(t.first, -1, 3)),
    "a level at another place": lambda t: replace(t, first=changed(t.first, 4, t.first[4] - 1)),
    "a family larger than the vocabulary": lambda t: replace(
        t, first=np.concatenate([t.first[:5], np.full(len(t.first) - 5, t.first[-1])])
    ),
    "an unknown character": lambda t: replace(t, character=changed(t.character, 3, 4)),
    "a negative probability": lambda t: replace(t, probability=changed(t.probability, 3, -1)),
    "a large probability": lambda t: replace(t, probability=changed(t.probability, 3, 1)),
    "a probability that is none": lambda t: replace(
        t, probability=changed(t.probability, 3, np.nan)
    ),
    "a probability of the unseen": lambda t: replace(t, probability=changed(t.probability, -1, 1)),
    "a negative weight": lambda t: replace(t, gamma=changed(t.gamma, 3, -0.5)),
    "a weight that is none": lambda t: replace(t, gamma=changed(t.gamma, 3, np.nan)),
    "a weight of the unseen": lambda t: replace(t, gamma=changed(t.gamma, -1, 0)),
    "an impossible character": lambda t: replace(t, unigram=np.array([0, 0.5, 0.5, 0])),
    "characters that do not add up": lambda t: replace(t, unigram=np.full(4, 0.5)),
    "no characters": lambda t: replace(t, unigram=np.full(4, np.nan)),
}


@pytest.mark.fault(9)
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("block", [2, 1 << 16])
def test_forged_tables_are_refused(
    forge: Callable[[NgramTables], NgramTables], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.models.ngram_tables.CHECKED", block)
    good, forged = tables(), forge(tables())
    NgramTables.from_tensors(good.description(), good.arrays)
    with pytest.raises(CheckpointError):
        NgramTables.from_tensors(good.description(), forged.arrays)


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    "change",
    [{"order": 3}, {"ngrams": [4, 1 << 31, 1 << 31]}, {"ngrams": [5, 9]}, {"vocabulary_size": 1.0}],
)
def test_impossible_sizes_are_refused_before_anything_is_read(change: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError):
        expected_tables({**tables().description(), **change})


def test_a_model_of_tables_samples_scores_and_tells_of_itself(charrnn: Command) -> None:
    save_checkpoint(FILE, Checkpoint(VOCABULARY, False, None, {}, ngram=tables()))
    assert len(charrnn("sample", "-c", FILE, "--length", "30", "--seed", "1").out) == 31
    score = json.loads(charrnn("score", "-c", FILE, "abba", "--json").out)
    assert score["log_probability"] < 0
    facts = json.loads(charrnn("info", FILE, "--json").out)
    assert facts["ngram"]["order"] == 4
    assert facts["ngram"]["bytes"] > facts["ngram"]["ngrams"]
