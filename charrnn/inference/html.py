"""How results show themselves in notebooks: small pieces of HTML. Knows no models."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IMPROBABLE_NATS = 8 * math.log(2)
"""A character of 8 bits or more is shown in full red."""
WIDTH, HEIGHT = 320, 60
"""Of a chart, in pixels."""
COLOURS = ("#999", "#06c")


class ShownAsHeatMap:
    """Base of results with `characters` and `log_probabilities`, which notebooks show as a map."""

    characters: tuple[str, ...]
    log_probabilities: tuple[float, ...]

    def _repr_html_(self) -> str:
        return heat_map(self.characters, self.log_probabilities)


@dataclass(frozen=True)
class CharacterScores(ShownAsHeatMap):
    """The characters of a text, with EOS as "" if it is predicted, and the log-probability of each.

    Attributes:
        characters: (T,) single characters.
        log_probabilities: (T,) natural logarithms, in nats.
    """

    characters: tuple[str, ...]
    log_probabilities: tuple[float, ...]


def model_card(description: str, training: Mapping[str, Any]) -> str:
    """A model with the losses in the record of its `training`."""
    history = training.get("history", [])
    curves = {
        name: [entry[name] for entry in history if name in entry]
        for name in ("training", "validation")
    }
    return table({"model": description}) + chart(curves)


def table(rows: Mapping[str, object]) -> str:
    """Names with their values beside them."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(_shown(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def heat_map(characters: Sequence[str], log_probabilities: Sequence[float]) -> str:
    """The characters (T,), each on a red that shows its nats, which a tooltip says."""
    spans = [
        f"<span style='background:rgb(255,{_paleness(value)},{_paleness(value)})' "
        f"title='{max(0.0, -value):.2f} nats'>{_visible(character)}</span>"
        for character, value in zip(characters, log_probabilities, strict=True)
    ]
    return f"<pre style='color:black;white-space:pre-wrap'>{''.join(spans)}</pre>"


def chart(curves: Mapping[str, Sequence[float]]) -> str:
    """Curves in one picture, from left to right; "" without values."""
    values = [value for curve in curves.values() for value in curve]
    if not values:
        return ""
    low, high = min(values), max(values)
    lines = "".join(
        f"<polyline fill='none' stroke='{colour}' points='{_points(curve, low, high)}'/>"
        for curve, colour in zip(curves.values(), COLOURS, strict=False)
    )
    legend = ", ".join(
        f"<span style='color:{colour}'>{html.escape(name)} {curve[-1]:.3f}</span>"
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False)
        if curve
    )
    return f"<svg width='{WIDTH}' height='{HEIGHT}'>{lines}</svg><div>{legend}</div>"


def _points(curve: Sequence[float], low: float, high: float) -> str:
    across = WIDTH / max(1, len(curve) - 1)
    down = HEIGHT / (high - low) if high > low else 0.0
    return " ".join(
        f"{number * across:.1f},{(high - value) * down:.1f}" for number, value in enumerate(curve)
    )


def _paleness(log_probability: float) -> int:
    return round(255 * (1 - min(1.0, max(0.0, -log_probability) / IMPROBABLE_NATS)))


def _visible(character: str) -> str:
    if character == "":
        return "&lt;EOS&gt;"
    return "⏎\n" if character == "\n" else html.escape(character)


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
