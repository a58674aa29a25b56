"""What the last bits of a run depend on besides its options. Knows nothing of how it proceeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from charrnn.training.processes import Group


def environment(device: str, group: Group) -> dict[str, Any]:
    """Device, torch's threads and version; and the number of processes if there are several."""
    found = {"device": device, "threads": group.threads[0], "torch": torch.__version__}
    processes = len(group.threads)
    return found if processes == 1 else {**found, "processes": processes}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A warning for each thing that is not as it was when the run started."""
    for name in sorted({*now, *(before.keys() & {"processes"})}):
        there, here = (each.get(name, 1 if name == "processes" else None) for each in (before, now))
        if there != here:
            yield (
                f"resumed with {name} {here}, started with {there}: the last bits may differ"
            )
