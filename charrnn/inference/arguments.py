"""Check the arguments that callers of the Python interface give."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from charrnn.errors import Parameter, SettingsError

DEFAULT_LENGTH = 500
"""Characters of a text that nothing else ends."""


def new_seed() -> int:
    """A random seed, for when none is given."""
    return int.from_bytes(os.urandom(4), "little")


def seed_or_new(given: int | None) -> int:
    """`given`, or a random seed.

    Raises:
        SettingsError: it is negative.
    """
    if given is None:
        return new_seed()
    require_count("seed", given)
    return given


def require_count(name: str, value: int) -> None:
    """Raise SettingsError if the argument `name` is negative."""
    if value < 0:
        raise SettingsError(Parameter(name), f" must be 0 or more, not {value:,}")


def texts_of(given: Sequence[str]) -> list[str]:
    """`given` as a list; TypeError if it is no list of texts."""
    return list_of("texts", (str,), given)


def list_of(what: str, types: tuple[type, ...], given: Any) -> list[Any]:
    """`given` as a list; TypeError if it is a single string, as strings are iterable too."""
    if not isinstance(given, types) and isinstance(given, Iterable):
        listed = list(given)
        if all(isinstance(each, types) for each in listed):
            return listed
    raise TypeError(f"give a list of {what}, not {given!r:.80}")
