"""Dataclasses from the JSON of a file that may have been damaged or forged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from charrnn.errors import CheckpointError
from charrnn.storage.header import Description

MAX_COUNT = 1 << 40
"""More steps or characters than any run has."""


def parse_count(description: Description, name: str) -> int:
    """The number of steps, rows or ids that a description gives as `name`."""
    value = description.get(name)
    if not isinstance(value, int) or not _is_count(value):
        raise CheckpointError(f"its {name} is {value!r}, not a count")
    return value


def _is_count(value: Any) -> bool:
    return _is_natural(value) and value < MAX_COUNT


def _is_natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1 << 63)


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and _is_count(entry.get("step"))
        and all(_is_number(each) for each in entry.values())
        for entry in value
    )


CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": _is_natural,
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "dict[str, Any]": lambda value: isinstance(value, dict),
    "list[dict[str, float]]": _is_history,
}
"""Annotation of a field -> whether a value parsed from JSON is of that type."""


def parse(kind: type[Any], value: Any) -> Any:
    """A dataclass from its JSON object, whose values must be of the annotated types.

    Every field must be present, except those that charrnn 0.1 did not have: see `recorded`.
    """
    what = kind.__name__.lower()
    names = {each.name for each in fields(kind)}
    required = {each.name for each in fields(kind) if not each.metadata.get("added")}
    if not isinstance(value, dict) or not required <= value.keys() <= names:
        raise CheckpointError(f"its {what} is incomplete")
    for each in fields(kind):
        if each.name in value and not CHECKS[str(each.type)](value[each.name]):
            raise CheckpointError(f"its {what} has a malformed {each.name}")
    return kind(**value)
