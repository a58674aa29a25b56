from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from charrnn.export.facts import UNNAMED, facts_of
from charrnn.models.checkpoint import load_checkpoint
from tests.export.support import LATIN, model_of
from tests.support import Trained


def test_a_trained_model_says_what_it_is(prose_model: Trained) -> None:
    facts = facts_of(load_checkpoint(prose_model.run))
    rows = dict(facts.rows)
    assert facts.name == "corpus"
    assert facts.description == (
        "A character-level language model: LSTM, 1 layer of 32 units, mixed with an 8-gram model."
    )
    assert rows["Training text"] == "corpus.txt"  # without its directory
    assert rows["Its length"] == f"{len(prose_model.text):,} characters"
    (done,) = prose_model.of_kind("done")
    assert rows["On held-out text"].startswith(f"{done['nats_per_character']:.3f} nats, ")
    assert [step for step, _, _ in facts.history] == [100, 200, 300]


def test_an_ngram_model_alone_has_no_parameters() -> None:
    facts = facts_of(model_of(LATIN, None, ngram=True))
    assert "Parameters" not in dict(facts.rows)
    assert facts.name == UNNAMED


@pytest.mark.parametrize(
    ("names", "name", "shown"),
    [
        (["/home/me/secret/a.txt"], "a", "a.txt"),
        (["C:\\texts\\a.txt", "b/"], "a", "a.txt, b"),
        (["a", "b", "c", "d"], "a", "a, b, c and 1 more"),
        (["-"], UNNAMED, None),
        (["", 7, None], UNNAMED, None),
        ("a.txt", UNNAMED, None),
    ],
)
def test_of_the_training_text_only_names_are_passed_on(
    names: Any, name: str, shown: str | None
) -> None:
    facts = facts_of(replace(model_of(LATIN), corpus={"names": names}))
    assert (facts.name, dict(facts.rows).get("Training text")) == (name, shown)


@pytest.mark.parametrize(
    "value", [None, True, "1", [], {}, [[]], [{"step": "x"}], 10**400, {"a": 1}]
)
def test_records_of_any_kind_are_read(value: Any) -> None:
    training = dict.fromkeys(("nats_per_character", "settings", "history"), value)
    corpus = dict.fromkeys(("names", "digest", "characters"), value)
    facts = facts_of(replace(model_of(LATIN), training=training, corpus=corpus))
    assert facts.history == ()
    assert all(isinstance(text, str) for row in facts.rows for text in row)
