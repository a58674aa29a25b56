"""The models that come with the package. Knows names and files; not what a model is."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).resolve().parent.parent / "bundled"
SUFFIX = ".safetensors"
DEFAULT = "shakespeare"
"""The model to use where the user has none."""


def bundled_names() -> list[str]:
    """Their names, in alphabetical order."""
    return sorted(path.stem for path in BUNDLED.glob(f"*{SUFFIX}"))


def bundled_file(name: str) -> Path:
    """The file of the model `name`."""
    return BUNDLED / f"{name}{SUFFIX}"


def is_bundled(path: Path) -> bool:
    """Whether `path` is the file of such a model."""
    return path.parent == BUNDLED


def model_name(path: Path) -> str:
    """How a message calls the model in `path`: by its name if it comes with the package."""
    return path.stem if is_bundled(path) else str(path)
