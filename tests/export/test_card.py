from __future__ import annotations

import re
from dataclasses import replace

import pytest

from charrnn.export.card import card, escape
from charrnn.models.checkpoint import load_checkpoint
from tests.export.support import LATIN, model_of
from tests.support import Trained

HOSTILE = "</td><script>alert(1)</script> [x](javascript:alert(2)) | `a` ![i](b)\n# c\u202e"


def test_a_card_says_what_the_checkpoint_knows(prose_model: Trained) -> None:
    checkpoint = load_checkpoint(prose_model.run)
    text = card(checkpoint, "small.safetensors")
    lines = text.splitlines()
    assert lines[0] == "# corpus"
    assert f"| Its length | {len(prose_model.text):,} characters |" in lines
    assert "    charrnn sample -c small.safetensors" in lines
    assert "| step | training (nats per character) | validation |" in lines
    assert sum(line.startswith(("| 100 |", "| 200 |", "| 300 |")) for line in lines) == 3
    assert text.isprintable() or set(re.findall(r"[^\S ]", text)) == {"\n"}


def test_no_word_of_the_model_becomes_markup() -> None:
    corpus = {"names": [HOSTILE], "characters": 7, "digest": HOSTILE}
    settings = {"seed": HOSTILE, "rate": HOSTILE}
    hostile = replace(model_of(LATIN), corpus=corpus, training={"settings": settings})
    plain = replace(model_of(LATIN), corpus={**corpus, "names": ["a"]}, training={
        "settings": {"seed": 1, "rate": 1}
    })
    found = card(hostile, "model.safetensors")
    assert len(found.splitlines()) == len(card(plain, "model.safetensors").splitlines())
    assert not re.search(r"(?<!\\)[<>\[\]`](?!charrnn|sample|\s)", found.partition("## Use")[0])


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain text, é 漢字.", "plain text, é 漢字."),
        ("a|b", "a\\|b"),
        ("*a* _b_", "\\*a\\* \\_b\\_"),
        ("<b>&amp;", "\\<b\\>\\&amp;"),
        ("a\nb\x1b\u202e", "a\ufffdb\ufffd\ufffd"),
        ("\ud800", "?"),
    ],
)
def test_text_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_model_without_history_has_no_table_of_it() -> None:
    assert "## Training" not in card(model_of(LATIN), "a.safetensors")
