"""Hostile checkpoints exported as pages, cards and ONNX. Row 44."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from py_mini_racer import MiniRacer, mini_racer

from charrnn.errors import CheckpointError
from charrnn.export.card import card
from charrnn.export.web_page import MODEL_SCRIPTS, page, source
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.conftest import Report
from tests.export.support import model_of, part
from tests.export.test_web_page import HOSTILE, Elements, policy
from tests.faults.fuzz import VALUES, mutated_value, mutation
from tests.faults.support import forged, parts

FILE = Path("model.safetensors")
CHARACTERS = "</script><!--'\"&\0\x1b\u2028\u202e\ufeff`${}\\漢👩\U0010ffff"
WORDS = (
    *(HOSTILE, "</script>", "<!--", "<script>", "]]>", "javascript:alert(1)", "&lt;", "${1}"),
    *("\u2028", "\u202e", "\0", "\ud800", "'", '"', "\\", "$title", "| a |", "# a", "\n\n"),
    "__proto__",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    """The page's program, without a model."""
    with mini_racer() as context:
        context.eval("\n".join(source(f"{name}.js") for name in MODEL_SCRIPTS))
        yield context


def hostile_words(chance: random.Random) -> Any:
    """A JSON value with hostile words as keys and values."""
    if chance.random() < 0.3:
        return chance.choice(VALUES)
    words = [chance.choice(WORDS) for _ in range(chance.randrange(4))]
    return chance.choice(
        [words, "".join(words), dict.fromkeys(words, words), [[words]], {"step": words}]
    )


def hostile_checkpoint(chance: random.Random) -> bytes:
    """A sealed file with a vocabulary and records that are hostile, but loads."""
    text = "".join(chance.sample(CHARACTERS, chance.randrange(3, len(CHARACTERS))))
    cell = chance.choice([*CELLS, None])
    checkpoint = model_of(text * 3, cell, ngram=cell is None or chance.random() < 0.5, layers=1)
    save_checkpoint(FILE, checkpoint)
    header, description, buffer = parts(FILE.read_bytes())
    names = [HOSTILE, hostile_words(chance)]
    description["training"] = {
        name: hostile_words(chance)
        for name in ("history", "settings", "nats_per_character", "requested", chance.choice(WORDS))
    }
    description["corpus"] = {"names": names, "digest": HOSTILE, "characters": hostile_words(chance)}
    for record in (description["training"], description["corpus"]):
        for _ in range(chance.randrange(3)):
            mutated_value(record, chance)
            if not record:
                break
    return forged(header, description, buffer)


def assert_harmless(checkpoint: Checkpoint, plain: Elements, engine: MiniRacer) -> None:
    """The page has the elements and the program of any other, and its model runs."""
    made = page(checkpoint)
    elements = Elements(made)
    assert elements.tags() == plain.tags()
    assert policy(elements) == policy(plain)
    assert elements.contents["script"][-1] == plain.contents["script"][-1]
    facts = json.loads(part(made, "model-facts"))
    assert all(isinstance(text, str) for row in facts["about"] for text in row)
    card(checkpoint, "model.safetensors").encode()
    data = json.dumps(part(made, "model-data"))
    written = engine.eval(
        f"(() => {{ const model = finish(makeModel({part(made, 'model-facts')}, {data}));"
        "const ids = [];"
        "const settings = {prime: 'a<', temperature: 1, topP: 0.9, seed: 1, length: 9};"
        "finish(write(model, settings, (id) => ids.push(model.character(id))));"
        "finish(read(model, '<b>', () => 0));"
        "return ids.length; })()"
    )
    assert written == 9 or checkpoint.lines


def export_hostile(count: int, seed: int, engine: MiniRacer) -> Counter[str]:
    """Export `count` hostile checkpoints; how many could be loaded."""
    chance = random.Random(seed)
    plain = Elements(page(model_of("abc")))
    seen: Counter[str] = Counter()
    for number in range(count):
        data = hostile_checkpoint(chance)
        if number % 4 == 3:
            data = mutation(data, chance)
        FILE.write_bytes(data)
        try:
            checkpoint = load_checkpoint(FILE)
        except CheckpointError:
            seen["refused"] += 1
            continue
        assert_harmless(checkpoint, plain, engine)
        seen["exported"] += 1
    return seen


@pytest.mark.fault(44)
def test_hostile_checkpoints_make_harmless_pages(engine: MiniRacer) -> None:
    seen = export_hostile(40, 1, engine)
    assert seen["exported"] >= 28, seen


@pytest.mark.soak
def test_many_hostile_checkpoints_make_harmless_pages(engine: MiniRacer, report: Report) -> None:
    seen = export_hostile(2600, 2, engine)
    report(f"hostile checkpoints exported as pages: {dict(seen)}")
    assert seen["exported"] >= 2000
