"""Where charrnn keeps files of its own: the user's directories for caches and for data."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "charrnn"


def cache_directory() -> Path:
    """Where encoded corpora are kept: $CHARRNN_CACHE, else under the user's cache directory."""
    return _directory("CHARRNN_CACHE", "XDG_CACHE_HOME", "~/.cache")


def data_directory() -> Path:
    """Where runs are remembered: $CHARRNN_DATA, else under the user's data directory."""
    return _directory("CHARRNN_DATA", "XDG_DATA_HOME", "~/.local/share")


def _directory(variable: str, base_variable: str, base: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    given = os.environ.get(base_variable)
    try:
        return (Path(given) if given else Path(base).expanduser()) / NAME
    except RuntimeError:  # a user without a home directory
        return Path(os.devnull) / NAME
