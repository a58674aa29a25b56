"""The options of the decoding strategies, derived from STRATEGIES."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from charrnn.errors import Parameter
from charrnn.inference.strategies import STRATEGIES, Strategy

STRATEGY_OPTIONS = tuple(Parameter(name).option.removeprefix("--") for name in STRATEGIES)
"""Options without dashes in front, in the order in which the strategies apply."""
COMPARED = "temperature"
"""The strategy that can be given several values, whose texts are shown side by side."""
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\0": "\0", "\\\\": "\\"}
ESCAPE = re.compile("|".join(map(re.escape, ESCAPES)))


def unescape(text: str) -> str:
    r"""`text` with \n, \t, \r, \0 and \\ as the characters that they stand for."""
    return ESCAPE.sub(lambda match: ESCAPES[match[0]], text)


class Characters(click.ParamType[str]):
    r"""A text in which \n, \t, \r, \0 and \\ stand for characters that are hard to type."""

    name = "characters"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text meant."""
        return unescape(str(value))


class Numbers(click.ParamType[tuple[float, ...]]):
    """One number, or several with commas between them."""

    name = "float[,float]..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        parts = value if isinstance(value, list) else str(value).split(",")
        try:
            return tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a valid float, nor several with commas.", param, ctx)


def strategy_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every decoding strategy in STRATEGIES."""
    for name, strategy in reversed(STRATEGIES.items()):
        kind = _kind(strategy)
        if name == COMPARED:
            kind |= {"type": Numbers(), "metavar": "T[,T]..."}
        function = click.option(Parameter(name).option, help=strategy.help, **kind)(function)
    return function


def _kind(strategy: Strategy) -> dict[str, Any]:
    """What kind of option a strategy has: its default says so."""
    default = strategy.default
    if isinstance(default, bool):
        return {"is_flag": True, "default": default}
    if isinstance(default, str):
        return {"type": Characters(), "metavar": "CHARACTERS", "default": default}
    if isinstance(default, int | float):
        return {"type": type(default), "default": default, "show_default": True, "metavar": "N"}
    return {"type": Characters(), "metavar": "STRING", "multiple": True, "default": default}
