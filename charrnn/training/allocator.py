"""The C library's allocator, told to keep what tensors free. Knows nothing of tensors.

glibc gives large blocks back to the system at once and asks for them again at the next step; the
page faults cost a quarter of the time (tests/benchmarks/README.md).
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
KEPT_BYTES = 1 << 30
LARGEST_BLOCK_KEPT = 1 << 25
"""The most that glibc takes."""


def keep_freed_memory() -> None:
    """Let freed blocks be used again instead of given back; elsewhere than in glibc, do nothing."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(MMAP_THRESHOLD, LARGEST_BLOCK_KEPT)
