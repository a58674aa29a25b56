"""A text on a terminal, each character the redder the less probable it was. Writes to stdout.

rich never interprets text from a model.
"""

from __future__ import annotations

import math

from rich.console import Console
from rich.text import Text

from charrnn.cli.terminal import visible

IMPROBABLE_BITS = 8.0
"""A character of so many bits or more is shown at full heat."""


def heat_map(characters: tuple[str, ...], log_probabilities: tuple[float, ...]) -> None:
    """Print the characters, each the redder the less probable it was."""
    text = Text()
    for character, value in zip(characters, log_probabilities, strict=True):
        heat = min(1.0, -value / math.log(2) / IMPROBABLE_BITS)
        shown = "<EOS>" if character == "" else visible(character)
        calm = round(255 * (1 - heat))
        text.append(shown, style=f"rgb(0,0,0) on rgb(255,{calm},{calm})")
    Console(highlight=False, emoji=False, markup=False, soft_wrap=True).print(text)
