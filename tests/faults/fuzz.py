"""Mutations of checkpoints: of their bytes, and of what they say, with a seal that fits."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.faults.support import forged, forged_header, parts, resealed

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 7, 255, 256, 65_536, 65_537, 0x110000, 0xD800),
    *(1 << 31, 1 << 32, 1 << 53, 1 << 63, 1 << 64, 10**9, 10**30, 10**400, -(1 << 63)),
    *(0.0, 0.5, 1.0, -0.0, 1e-300, 1e300, 3.5, -1.5),
    *("", "lstm", "gru", "none", "float32", "\x1b[2J", "\u202e", "\ud800", "a" * 1000, "[/nope]"),
    *([], {}, [[]], [{}], {"": None}, [0] * 100, [1, 2], [2, 1], [97, 97], ["a"]),
)
TEXTS = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "[" * 100_000, "{}" * 3),
    *('{"a":1,"a":2}', '"\\ud800"', "", "nul", "01", "[1,]", "\x00", '"' + "a" * 100_000 + '"'),
)
"""JSON, or what looks like it, that Python's own parser takes too kindly or stumbles over."""
HOLE = "here is the hole"


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value with every key or index into it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutated_value(value: Any, chance: random.Random) -> None:
    """Change a JSON value in one place."""
    container, key = chance.choice(list(places(value)))
    how = chance.randrange(6)
    if how == 0:
        del container[key]
    elif how == 1:
        other, other_key = chance.choice(list(places(value)))
        values = deepcopy((other[other_key], container[key]))  # one may lie within the other
        container[key], other[other_key] = values
    elif how == 2 and isinstance(container, list):
        container.insert(chance.randrange(len(container) + 1), deepcopy(chance.choice(VALUES)))
    elif how == 2:
        new = chance.choice(("", "x", "format_version", "__metadata__"))
        container[new] = deepcopy(chance.choice(VALUES))
    elif how == 3 and isinstance(container[key], int | float):
        step = chance.choice((-1, 1, 2, 1000, -container[key]))
        container[key] += step
    else:
        container[key] = deepcopy(chance.choice(VALUES))


def mutated_text(description: Any, chance: random.Random) -> str:
    """JSON of `description` with something that is no JSON in one place."""
    container, key = chance.choice(list(places(description)))
    container[key] = HOLE
    text = json.dumps(description, separators=(",", ":"))
    return text.replace(f'"{HOLE}"', chance.choice(TEXTS))


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """`data` with some bytes changed, moved, lost or added."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed))
        end = min(len(changed), at + chance.choice((1, 1, 2, 8, 64)))
        how = chance.randrange(5)
        if how == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            changed[at:end] = bytes(chance.choice((0, 255)) for _ in range(end - at))
        elif how == 2:
            del changed[at:end]
        elif how == 3:
            changed[at:at] = changed[at:end]
        else:
            changed[at:end] = chance.randbytes(end - at)
    return bytes(changed)


def mutation(data: bytes, chance: random.Random) -> bytes:
    """A damaged or lying variant of a sealed file; three of four have a seal that fits."""
    header, description, buffer = parts(data)
    how = chance.randrange(8)
    if how <= 1:
        return mutated_bytes(data, chance)
    if how == 2:  # damage where the seal does not protect the parser
        return resealed(mutated_bytes(data, chance))
    if how == 3:
        mutated_value(header, chance)
        return forged(header, description, buffer)
    if how == 4:
        return forged(header, mutated_text(description, chance), buffer)
    if how == 5:
        said = json.dumps(description, separators=(",", ":"))
        text = json.dumps({"__metadata__": {"charrnn": said}, **header})
        at = chance.randrange(len(text))
        return forged_header(text[:at] + chance.choice(TEXTS) + text[at + 1 :], buffer)
    for _ in range(chance.choice((1, 1, 3))):
        mutated_value(description, chance)
    if chance.random() < 0.2:
        buffer = mutated_bytes(buffer, chance) if buffer else b"x"
    return forged(header, description, buffer)
