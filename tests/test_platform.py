from __future__ import annotations

import ctypes
import platform

import pytest

from charrnn.platform import KEPT_BYTES, LARGEST_BLOCK_KEPT, keep_freed_memory


class Library:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.told.append((parameter, value))
        return 1


def test_the_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
    keep_freed_memory()
    assert library.told == [(-1, KEPT_BYTES), (-3, LARGEST_BLOCK_KEPT)]


def test_a_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda path: object())
    keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_takes_the_values() -> None:
    library = ctypes.CDLL(None)
    assert library.mallopt(-1, KEPT_BYTES) == 1
    assert library.mallopt(-3, LARGEST_BLOCK_KEPT) == 1
