"""The C library's allocator, told to keep what arrays free. Knows nothing of arrays.

glibc gives large blocks back to the system at once and asks for them again a moment later; the
page faults cost a quarter of the time of training (tests/benchmarks/README.md).
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT_BYTES = 1 << 30
LARGEST_BLOCK_KEPT = 1 << 25
"""The most that glibc takes."""


def keep_freed_memory() -> None:
    """Let freed blocks be used again instead of given back; without mallopt(3), do nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, LARGEST_BLOCK_KEPT)
