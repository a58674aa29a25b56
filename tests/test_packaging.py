"""The packages that are built have all they need inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

import charrnn
from tests.support import REPOSITORY

BUILD = (
    "from setuptools import build_meta\n"
    "build_meta.build_wheel('dist')\n"
    "build_meta.build_sdist('dist')\n"
)
SOURCES = ("charrnn", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def built(shared: Path) -> Path:
    """A directory with a wheel and a source package."""
    directory = shared / "packages"
    with FileLock(f"{directory}.lock"):
        if not directory.exists():
            directory.mkdir()
            for name in SOURCES:
                source = REPOSITORY / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, directory / name)
            command = [sys.executable, "-W", "ignore", "-c", BUILD]
            subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory / "dist"


def run_installed(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the package in `directory`/installed, from `directory`."""
    alone = ["-P"] if sys.version_info >= (3, 11) else []
    return subprocess.run(
        [sys.executable, *alone, "-m", "charrnn", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory / "installed"), "CHARRNN_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_wheel_has_every_module_and_runs(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kept = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "charrnn").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if name.startswith("charrnn/")} == kept
    options = ["--no-deps", "--no-index", "--quiet", "--target", str(tmp_path / "installed")]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]
    subprocess.run([*pip, str(wheel)], check=True)
    done = run_installed(tmp_path, "--version")
    assert done.stdout == f"charrnn, version {charrnn.__version__}\n"
    assert (tmp_path / "installed/bin/charrnn").is_file()


def test_the_installed_wheel_writes_text_at_once(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    done = run_installed(tmp_path, "sample", "--seed", "1", "--length", "60")
    assert len(done.stdout) == 61
    assert "shakespeare, which comes with charrnn" in done.stderr


def test_the_source_package_has_every_module(built: Path) -> None:
    (package,) = built.glob("*.tar.gz")
    with tarfile.open(package) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "setup.cfg", "pyproject.toml", "charrnn/py.typed"} <= names
    modules = {
        path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "charrnn").rglob("*.py")
    }
    assert modules <= names
    assert "charrnn/bundled/shakespeare.safetensors" in names
