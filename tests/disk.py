"""Files are written without waiting for the disk.

fsync(2) takes milliseconds, and a training run calls it twenty times. No test can tell whether it
has waited: what a loss of power may leave is worked out from the calls (faults/test_saving.py).
"""

from __future__ import annotations

import os


def do_not_wait() -> None:
    """Let os.fsync only check its descriptor, in this process."""
    os.fsync = _check  # type: ignore[assignment]


def _check(descriptor: int) -> None:
    os.fstat(descriptor)
