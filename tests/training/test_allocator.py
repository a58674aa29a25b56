from __future__ import annotations

import ctypes
import platform

import pytest

from charrnn.training.allocator import KEPT_BYTES, LARGEST_BLOCK_KEPT, keep_freed_memory


class Library:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.told.append((parameter, value))
        return 1


@pytest.mark.parametrize(
    ("name", "told"),
    [("glibc", [(-1, KEPT_BYTES), (-3, LARGEST_BLOCK_KEPT)]), ("", [])],
)
def test_only_glibc_is_told(
    name: str, told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library()
    monkeypatch.setattr(platform, "libc_ver", lambda: (name, ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    keep_freed_memory()
    assert library.told == told


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_the_values() -> None:
    library = ctypes.CDLL(None)
    assert library.mallopt(-1, KEPT_BYTES) == 1
    assert library.mallopt(-3, LARGEST_BLOCK_KEPT) == 1
