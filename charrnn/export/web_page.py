"""Write a model as one web page that works offline: the model, and a program that runs it.

The program is in `page/`, plain JavaScript in files of their own, put together here: no build step,
no library. The page can load and send nothing: its Content-Security-Policy allows only its own
script and style, by their SHA-256. What comes from the checkpoint is data in the page, JSON without
any "<", or base64, and the script shows it as text only.

Weights are stored as in the checkpoint, in float32 or float16, so that the page computes what the
command line does with the same file.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from charrnn.arrays import Array
from charrnn.errors import Parameter, SettingsError
from charrnn.export.facts import facts_of
from charrnn.models.checkpoint import EXPONENTS, Checkpoint
from charrnn.models.ngram_tables import NgramTables
from charrnn.storage.files import write_atomically

MODEL_SCRIPTS = ("slices", "arrays", "network", "ensemble", "ngram", "model", "sampling", "units")
"""The model's own files, in the order in which they are put together; they know no page."""
SCRIPTS = (*MODEL_SCRIPTS, "view", "write", "read", "inside", "about", "main")
TOLD_OF_NETWORK = (
    *("cell", "embedding", "hidden", "layers", "output_layers", "vocabulary_size"),
)
ALIGNMENT = 8


def write_page(path: Path, checkpoint: Checkpoint) -> None:
    """Write the page to `path` atomically.

    Raises:
        SettingsError: its n-gram model is too large for a page.
        OutputError: the file cannot be written; an older one is intact.
    """
    write_atomically(path, page(checkpoint).encode())


def page(checkpoint: Checkpoint) -> str:
    """The HTML of the page."""
    if isinstance(checkpoint.ngram, NgramTables):
        raise SettingsError(
            "the n-gram model of a long text is too large for a page; give ",
            Parameter("max_ngrams"),
            " to keep the most frequent n-grams, or ",
            Parameter("no_ngram"),
        )
    facts = facts_of(checkpoint)
    data, index = _packed(_arrays(checkpoint))
    network = checkpoint.architecture
    told: dict[str, Any] = {
        "vocabulary": checkpoint.vocabulary.code_points,
        "lines": checkpoint.lines,
        "network": network and {
            name: getattr(network, name) for name in TOLD_OF_NETWORK
        },
        "networks": checkpoint.networks,
        "ngram": checkpoint.ngram and checkpoint.ngram.description(),
        "arrays": index,
        "about": facts.rows,
        "history": facts.history,
    }
    style = source("page.css")
    program = script(SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_hash(program)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(source("page.html")).substitute(
        policy=policy,
        title=html.escape(_without_surrogates(facts.name)),
        description=html.escape(_without_surrogates(facts.description)),
        style=style,
        facts=json_in_html(told),
        data=data,
        script=program,
    )


def script(names: tuple[str, ...]) -> str:
    """The files `names` of the program as one script with a scope of its own."""
    sources = "\n".join(source(f"{name}.js") for name in names)
    return f'(() => {{\n"use strict";\n{sources}}})();\n'


def json_in_html(value: object) -> str:
    """JSON that is safe inside a script element: ASCII, without any "<", ">" or "&"."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def source(name: str) -> str:
    """The text of one of the program's files."""
    return (files("charrnn.export") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _arrays(checkpoint: Checkpoint) -> dict[str, Array]:
    dtype = np.float16 if checkpoint.half else np.float32
    arrays: dict[str, Array] = {
        name: weight.astype(dtype) for name, weight in checkpoint.weights.items()
    }
    if checkpoint.ngram is not None:
        arrays.update(checkpoint.ngram.arrays)
    if checkpoint.exponents is not None:
        arrays[EXPONENTS] = checkpoint.exponents
    return arrays


def _packed(arrays: dict[str, Array]) -> tuple[str, list[dict[str, Any]]]:
    """All arrays in one base64 text, and where each is: name, type, offset in bytes, length."""
    pieces: list[bytes] = []
    index = []
    offset = 0
    for name, array in arrays.items():
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        raw = little_endian.tobytes()
        padding = -len(raw) % ALIGNMENT
        index.append(
            {"name": name, "dtype": array.dtype.name, "offset": offset, "length": array.size}
        )
        pieces += [raw, bytes(padding)]
        offset += len(raw) + padding
    return base64.b64encode(b"".join(pieces)).decode(), index
