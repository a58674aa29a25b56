"""Names of the weights of several networks in one set: for files, and wherever one set is kept.

The first network's weights have the names that the only network of a model has; those of the others
begin with `networks.1.`, `networks.2.`, ... All networks of a model have the same architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from charrnn.errors import Flag, Parameter, SettingsError

MAX_NETWORKS = 16

Value = TypeVar("Value")


def prefix(number: int) -> str:
    """What the names of network `number` begin with; "" for the first, which is number 0."""
    return f"networks.{number}." if number else ""


def joined(members: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The weights of all networks as one set."""
    return {
        prefix(number) + name: value
        for number, member in enumerate(members)
        for name, value in member.items()
    }


def separated(
    weights: Mapping[str, Value], names: Sequence[str], networks: int
) -> list[dict[str, Value]]:
    """The weights of each network, by its own `names`, from those of all `networks`."""
    return [{name: weights[prefix(each) + name] for name in names} for each in range(networks)]


def check_networks(networks: int, bidirectional: bool) -> None:
    """Raise SettingsError if there cannot be so many networks in a model."""
    if not 1 <= networks <= MAX_NETWORKS:
        raise SettingsError(
            Parameter("networks"), f" must be 1 to {MAX_NETWORKS}, not {networks:,}"
        )
    if networks > 1 and bidirectional:
        raise SettingsError(
            "a reader is one network, not several: give ", Flag("bidirectional"), " or ",
            Parameter("networks"), ", not both"
        )
