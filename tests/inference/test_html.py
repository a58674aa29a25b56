from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

import charrnn
from charrnn.inference.html import chart, heat_map, table
from tests.support import Trained


def parsed(html: str) -> ET.Element:
    """`html`, which must be well formed, and load nothing."""
    for word in ("script", "src=", "href=", "http"):
        assert word not in html
    return ET.fromstring(f"<div>{html}</div>")


def test_a_heat_map_has_a_colour_and_nats_for_each_character() -> None:
    root = parsed(heat_map(("<", "b", ""), (0.0, -math.log(2) * 4, -100.0)))
    spans = list(root.iter("span"))
    assert [span.text for span in spans] == ["<", "b", "<EOS>"]
    assert [span.get("style") for span in spans] == [
        f"background:rgb(255,{paleness},{paleness})" for paleness in (255, 128, 0)
    ]
    assert [span.get("title") for span in spans] == ["0.00 nats", "2.77 nats", "100.00 nats"]


def test_a_chart_goes_from_high_to_low() -> None:
    root = parsed(chart({"training": [4.0, 2.0, 0.0], "validation": [4.0]}))
    lines = [line.get("points") for line in root.iter("polyline")]
    assert lines == ["0.0,0.0 160.0,30.0 320.0,60.0", "0.0,0.0"]
    assert chart({"training": []}) == ""


def test_a_table_escapes_what_it_shows() -> None:
    root = parsed(table({"a<b": 1.23456, "n": "<i>"}))
    assert [cell.text for cell in root.iter("td")] == ["1.2346", "<i>"]


@pytest.mark.fault(33)
def test_models_and_scores_show_themselves(prose_model: Trained) -> None:
    model = charrnn.load(prose_model.run)
    text = parsed(model._repr_html_())
    assert len(list(text.iter("polyline"))) == 2
    assert "LSTM 1 x 32" in "".join(text.itertext())
    (score,) = model.score(["the <b>cat"])
    assert f"{score.nats_per_character:.4f}" in "".join(parsed(score._repr_html_()).itertext())
    (characters,) = model.score_characters(["the <b>cat\n"])
    assert "the <b>cat⏎" in "".join(parsed(characters._repr_html_()).itertext())
