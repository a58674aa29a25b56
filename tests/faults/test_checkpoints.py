"""Checkpoints that are damaged, that lie, or are something else. Rows 5-15."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import signal
import socket
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.api import TrainedModel
from charrnn.cli import main as cli
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from charrnn.models.ngram_counter import count_ngrams
from charrnn.models.ngram_counts import NgramCounts
from charrnn.models.ngram_tables import NgramTables
from charrnn.text.labels import Labels
from charrnn.text.vocabulary import EOS
from charrnn.training.state import load_run
from tests.conftest import Report
from tests.faults.fuzz import mutation
from tests.faults.support import (
    TINY,
    Launcher,
    bounded_memory,
    forged,
    forged_header,
    one_line_error,
    parts,
    resealed,
)
from tests.support import prose, random_checkpoint, with_label_ngrams

MODEL = Path("model.safetensors")
LABELS = Labels(("x", "y"), (3, 1))
MORE = 64 << 20
"""Bytes of memory that reading a checkpoint may take besides three times its size."""
SECONDS = 5.0
"""In which a checkpoint must be read or refused, on a machine that is busy with other tests."""


def small_checkpoint(with_ngram: bool = False) -> Checkpoint:
    """A few kilobytes."""
    checkpoint = random_checkpoint("ab", hidden=2)
    history = [{"step": 1, "training": 1.5}]
    checkpoint = replace(checkpoint, training={"step": 1, "history": history})
    if not with_ngram:
        return checkpoint
    ids = checkpoint.vocabulary.encode("abbabaabbbab")
    counts = count_ngrams(ids, 3, len(checkpoint.vocabulary))
    return replace(checkpoint, ngram=counts, exponents=np.full((3, 2), 0.5, np.float32))


def with_tables(checkpoint: Checkpoint) -> Checkpoint:
    """The same, stored as a large n-gram model is."""
    assert isinstance(checkpoint.ngram, NgramCounts)
    return replace(checkpoint, ngram=NgramTables.from_counts(checkpoint.ngram))


@pytest.fixture(autouse=True)
def model(isolation: None) -> bytes:
    """A checkpoint in the current directory, and its bytes."""
    save_checkpoint(MODEL, small_checkpoint(with_ngram=True))
    return MODEL.read_bytes()


Parts: TypeAlias = tuple[dict[str, Any], dict[str, Any], bytes]
Forge: TypeAlias = Callable[[Parts], bytes]


def refusal(launcher: Launcher, path: Path | str = MODEL) -> str:
    """What `sample` says of a checkpoint that it refuses, in little memory."""
    refused = launcher.run(
        *("sample", "-c", path, "--length", "5", "--seed", "1"),
        more_memory=MORE + 3 * os.stat(path).st_size,
    )
    message = one_line_error(refused)
    assert refused.out == ""
    assert str(path) in message or "weights" in message
    return message


# --- rows 5 and 6: damaged


@pytest.mark.fault(5)
@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(share: float, model: bytes, launcher: Launcher) -> None:
    MODEL.write_bytes(model[: int(share * len(model))])
    refusal(launcher)


@pytest.mark.fault(6)
@pytest.mark.parametrize("at", [0, 7, 8, 30, 500, -300, -1])
def test_a_checkpoint_with_one_bit_changed_is_refused(
    at: int, model: bytes, launcher: Launcher
) -> None:
    changed = bytearray(model)
    changed[at] ^= 4
    MODEL.write_bytes(changed)
    refusal(launcher)


def refused(data: bytes) -> bool:
    """Whether reading a checkpoint of these bytes raises CheckpointError; nothing else may be."""
    MODEL.write_bytes(data)
    started = time.monotonic()
    try:
        with bounded_memory(MORE + 3 * len(data)):
            load_checkpoint(MODEL)
    except CheckpointError:
        return True
    finally:
        assert time.monotonic() - started < SECONDS
    return False


@pytest.mark.fault(5)
def test_every_truncation_is_refused(model: bytes) -> None:
    assert 2000 < len(model) < 8000
    for length in range(len(model)):
        os.truncate(MODEL, len(model) - length - 1)
        with pytest.raises(CheckpointError):
            load_checkpoint(MODEL)


@pytest.mark.fault(6)
def test_every_change_of_one_bit_is_refused() -> None:
    save_checkpoint(MODEL, small_checkpoint())
    data = MODEL.read_bytes()
    with MODEL.open("r+b", buffering=0) as file:
        for at, bit in ((at, bit) for at in range(len(data)) for bit in range(8)):
            os.pwrite(file.fileno(), bytes([data[at] ^ (1 << bit)]), at)
            with pytest.raises(CheckpointError):
                load_checkpoint(MODEL)
            os.pwrite(file.fileno(), data[at : at + 1], at)
    load_checkpoint(MODEL)


# --- rows 7 and 8: headers that lie


@pytest.mark.fault(7)
@pytest.mark.parametrize("length", [0, 1, 2, 100_000_001, 1 << 31, 1 << 60, (1 << 64) - 1])
def test_a_header_of_a_strange_length_is_refused(
    length: int, model: bytes, launcher: Launcher
) -> None:
    MODEL.write_bytes(length.to_bytes(8, "little") + model[8:])
    assert "truncated" in refusal(launcher) or length == 2


@pytest.mark.fault(7)
def test_a_header_that_would_fill_the_memory_is_refused(launcher: Launcher) -> None:
    lists = "[" + "[]," * 8_000_000 + "[]]"
    header = '{"__metadata__":{"charrnn":"{\\"x\\":' + lists + ',\\"sha256\\":\\"' + "0" * 64
    MODEL.write_bytes(forged_header(header + '\\"}"}}', b""))
    refusal(launcher)


def with_header(change: Callable[[str], str]) -> Forge:
    """Change the header's text."""

    def forge(found: Parts) -> bytes:
        header, description, buffer = found
        said = json.dumps(description, separators=(",", ":"))
        text = json.dumps({"__metadata__": {"charrnn": said}, **header})
        assert change(text) != text
        return forged_header(change(text), buffer)

    return forge


def with_entry(name: str, **changes: Any) -> Forge:
    """Change the header's entry of an array."""

    def forge(found: Parts) -> bytes:
        header, description, buffer = found
        entry: dict[str, Any] = header[name if name in header else "output.bias"]
        header[name] = {**entry, **changes}
        return forged(header, description, buffer)

    return forge


def said(**changes: Any) -> Forge:
    """Change the description."""
    return lambda found: forged(found[0], {**found[1], **changes}, found[2])


def said_of_network(**changes: Any) -> Forge:
    """Change the description of the network."""
    return lambda found: said(network={**found[1]["network"], **changes})(found)


def said_of_ngram(**changes: Any) -> Forge:
    """Change the description of the n-gram model."""
    return lambda found: said(ngram={**found[1]["ngram"], **changes})(found)


def said_raw(text: str) -> Forge:
    """Put `text`, which may be no JSON, under `training` in the description."""

    def forge(found: Parts) -> bytes:
        said = json.dumps({**found[1], "training": "hole"}, separators=(",", ":"))
        return forged(found[0], said.replace('"hole"', text), found[2])

    return forge


HEADERS: dict[str, Forge] = {
    "array twice": with_header(lambda text: text[:-1] + ', "output.bias": {}}'),
    "metadata twice": with_header(lambda text: text[:-1] + ', "__metadata__": {}}'),
    "overlap": with_entry("output.bias", data_offsets=[0, 16]),
    "hole": lambda found: forged(found[0], found[1], found[2] + b"more"),
    "beyond the end": with_entry("output.bias", data_offsets=[1 << 40, (1 << 40) + 16]),
    "negative": with_entry("output.bias", data_offsets=[-16, 0]),
    "giant without size": with_entry("output.bias", shape=[0, 1 << 62]),
    "shape": with_entry("output.bias", shape=[2, 2]),
    "shape of booleans": with_entry("output.bias", shape=[True]),
    "more": with_entry("another"),
    "no entry": lambda found: forged({**found[0], "output.bias": 7}, *found[1:]),
    "strange type": with_entry("output.bias", dtype=["F32"]),
    "not an object": with_header(lambda text: f"[{text}]"),
}
SIZES: dict[str, Forge] = {
    "half precision": with_entry("output.bias", dtype="F16"),
    "integers": with_entry("output.bias", dtype="U32"),
    "hidden a billion": said_of_network(hidden=10**9),
    "hidden": said_of_network(hidden=3),
    "layers a million": said_of_network(layers=10**6),
    "no layers": said_of_network(layers=0),
    "layers": said_of_network(layers=2),
    "layers as a float": said_of_network(layers=1.0),
    "negative": said_of_network(embedding=-4),
    "many digits": said_of_network(embedding=10**400),
    "output layers": said_of_network(output_layers=1, output_hidden=2),
    "output layers a million": said_of_network(output_layers=10**6, output_hidden=2),
    "output layers as a truth": said_of_network(output_layers=True, output_hidden=2),
    "output layers without width": said_of_network(output_layers=1),
    "output layers a billion wide": said_of_network(output_layers=1, output_hidden=10**9),
    "a width without output layers": said_of_network(output_hidden=2),
    "dropout": said_of_network(dropout=10**400),
    "cell": said_of_network(cell="transformer"),
    "no network at all": said(network=7),
    "n-gram order": said_of_ngram(order=10**9),
    "n-grams": said_of_ngram(ngrams=[4, 1 << 31, 1 << 31]),
    "n-grams of another vocabulary": said_of_ngram(vocabulary_size=5),
    "discounts": said_of_ngram(discounts=[[0.0, 0.0, 0.0]] * 3),
    "n-gram arrays": said_of_ngram(dtypes={}),
    "layout of n-grams": said_of_ngram(layout="tables"),
    "neither": said(network=None, ngram=None),
    "networks": said(networks=2, format_version=2),
    "networks a billion": said(networks=10**9, format_version=2),
    "no networks": said(networks=0, format_version=2),
    "networks as a truth": said(networks=True, format_version=2),
    "networks as a float": said(networks=1.0, format_version=2),
}
HOSTILE_LABELS: dict[str, Any] = {
    "a million": [[f"{number:06}", 1] for number in range(1_000_000 // 4096 * 20)],
    "too many": [[f"{number:04}", 1] for number in range(4097)],
    "too few": [["x", 1]],
    "too many for the network": [["x", 1], ["y", 1], ["z", 1]],
    "control characters": [["\x1b[2J", 1], ["y", 1]],
    "bidirectional": [["\u202e", 1], ["y", 1]],
    "a tab": [["x", 1], ["y\tz", 1]],
    "twice": [["x", 1], ["x", 1]],
    "out of order": [["y", 1], ["x", 1]],
    "empty": [["", 1], ["y", 1]],
    "none": [],
    "no counts": ["x", "y"],
    "a text": "xy",
    "negative count": [["x", 1], ["y", -1]],
    "count as a truth": [["x", 1], ["y", True]],
    "huge count": [["x", 1], ["y", 10**30]],
    "null": None,
}
VOCABULARIES = {
    "twice": [97, 97],
    "out of order": [98, 97],
    "too long": [97, 98, 99],
    "too short": [97],
    "empty": [],
    "surrogate": [97, 0xD800],
    "beyond Unicode": [97, 0x110000],
    "negative": [-1, 97],
    "boolean": [True, 98],
    "float": [97.0, 98],
    "text": ["a", "b"],
    "a text": "ab",
    "null": None,
    "too large": list(range(70_000)),
}
JSON = {
    "deep": "[" * 100_000,
    "deep and closed": "[" * 5_000 + "]" * 5_000,
    "digits": "9" * 5_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "1e999": "1e999",
    "twice": '{"a":1,"a":2}',
    "unfinished": '{"a":',
    "a list": "[]",
    "control characters": '"\x00"',
}
LIES: dict[str, Forge] = {
    **{f"header: {name}": forge for name, forge in HEADERS.items()},
    **{f"sizes: {name}": forge for name, forge in SIZES.items()},
    **{f"vocabulary: {name}": said(vocabulary=points) for name, points in VOCABULARIES.items()},
    **{f"JSON: {name}": said_raw(text) for name, text in JSON.items()},
    "lines": said(lines=1),
    "kind": said(kind="training"),
    "version": said(format_version=True),
    "corpus": said(corpus=[]),
    "no seal": lambda found: forged(found[0], {"a": 1}, found[2]),
    "bytes that are no text": lambda found: resealed(
        forged(*found).replace(b'"__metadata__"', b'"__metadata\xff_"')
    ),
}


@pytest.mark.fault(8, 9, 11, 12)
@pytest.mark.parametrize("name", LIES)
def test_a_checkpoint_that_lies_is_refused(name: str, model: bytes, launcher: Launcher) -> None:
    MODEL.write_bytes(LIES[name](parts(model)))
    refusal(launcher)


def test_the_forger_makes_checkpoints_that_are_read(model: bytes) -> None:
    for forge in (said(), said(lines=True), said_raw("{}"), with_entry("output.bias", extra=1)):
        MODEL.write_bytes(forge(parts(model)))
        load_checkpoint(MODEL)


# --- row 10: numbers that are none


@pytest.mark.fault(10)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_weights_that_no_network_can_have_are_refused(
    value: float, model: bytes, launcher: Launcher
) -> None:
    header, description, buffer = parts(model)
    begin, _ = header["output.bias"]["data_offsets"]
    buffer = buffer[:begin] + np.float32(value).tobytes() + buffer[begin + 4 :]
    MODEL.write_bytes(forged(header, description, buffer))
    assert "weights 'output.bias' are" in refusal(launcher)


@pytest.mark.fault(10)
@pytest.mark.parametrize("cell", CELLS)
def test_the_largest_weights_overflow_nowhere(cell: str, launcher: Launcher) -> None:
    checkpoint = random_checkpoint("ab", cell, output_layers=1, bidirectional=True)
    Path("text.txt").write_text("abba")
    for sign in (-1, 1):
        weights = {
            name: (sign * 9e14 * np.sign(array)).astype(np.float32)
            for name, array in checkpoint.weights.items()
        }
        save_checkpoint(MODEL, replace(checkpoint, weights=weights))
        for command in (
            ("sample", "--length", "50", "--seed", "1"),
            *(("score", "abba"), ("fill", "ab__a"), ("proofread", "text.txt")),
        ):
            done = launcher.run(*command, "-c", MODEL)
            assert done.status == 0
            assert "nan" not in done.out
            assert "Warning" not in done.err


# --- row 13: from the future


@pytest.mark.fault(13)
def test_a_checkpoint_of_the_future_says_what_it_needs(model: bytes, launcher: Launcher) -> None:
    MODEL.write_bytes(said(format_version=7, needs="3.1")(parts(model)))
    assert "needs charrnn >= 3.1; upgrade charrnn" in refusal(launcher)
    MODEL.write_bytes(said(format_version=7)(parts(model)))
    assert "needs charrnn >= a newer release" in refusal(launcher)


@pytest.mark.fault(13)
def test_optional_facts_of_the_future_do_no_harm(model: bytes, launcher: Launcher) -> None:
    MODEL.write_bytes(said(colour="blue", corpus={"colour": "blue"})(parts(model)))
    done = launcher.run("info", MODEL)
    assert done.status == 0
    assert "corpus.colour\tblue" in done.out


# --- row 14: something else


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def archived(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


STRANGERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "model.pkl": (pickled, "is a pickle; such files can run code when opened"),
    "model.pt": (archived, "is a zip archive, perhaps a PyTorch .pt file"),
    "state.pt": (lambda path: torch.save({"w": torch.ones(2)}, path), "perhaps a PyTorch .pt file"),
    "pytorch_model.bin": (
        lambda path: torch.save(Bomb(), path, _use_new_zipfile_serialization=False),
        "is a pickle",
    ),
    "model.gguf": (lambda path: path.write_bytes(b"GGUF\x03" + bytes(60)), "is a GGUF file"),
    "model.npy": (lambda path: np.save(path, np.ones(3)), "is a NumPy array"),
    "notes.txt": (lambda path: path.write_text("Hello.\n" * 9), "not a safetensors file"),
    "empty": (lambda path: path.touch(), "truncated or not a safetensors file"),
    "directory": (lambda path: path.mkdir(), "directory has no model.safetensors"),
    "pipe": (os.mkfifo, "pipe is a pipe, not a checkpoint"),
    "socket": (listening, "cannot read socket"),
    "nothing": (lambda path: None, "there is no checkpoint nothing"),
    "dangling": (lambda path: path.symlink_to("gone"), "there is no checkpoint dangling"),
}


@pytest.mark.fault(14)
@pytest.mark.parametrize("name", STRANGERS)
def test_other_files_are_named_as_what_they_are(name: str, launcher: Launcher) -> None:
    make, expected = STRANGERS[name]
    make(Path(name))
    for command in (("sample", "-c", name), ("score", "-c", name, "a"), ("info", name)):
        assert expected in one_line_error(launcher.run(*command))
    assert not Path("exploded").exists()


@pytest.mark.fault(14)
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/mem"])
def test_devices_are_not_read(path: str, launcher: Launcher) -> None:
    message = one_line_error(launcher.run("sample", "-c", path, more_memory=MORE))
    assert path in message


@pytest.mark.fault(14)
def test_another_file_as_a_run_to_go_on_with_is_named_too(launcher: Launcher) -> None:
    Path("corpus.txt").write_text(prose(30))
    Path("run").mkdir()
    pickled(Path("run/training.safetensors"))
    message = one_line_error(launcher.run("train", "corpus.txt", "-o", "run", *TINY, "--steps=1"))
    assert "is a pickle" in message
    assert not Path("exploded").exists()


def test_an_older_file_of_the_library_alone_is_refused(launcher: Launcher) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.ones(3, np.float32)}, "plain.safetensors", {"format": "pt"})
    assert "not written by charrnn" in one_line_error(launcher.run("info", "plain.safetensors"))


# --- row 15: replaced while it is in use


@pytest.mark.fault(15)
@pytest.mark.parametrize("fate", ["truncated", "replaced", "deleted", "overwritten"])
def test_a_model_that_changes_while_it_is_sampled_from_matters_not(
    fate: str, launcher: Launcher
) -> None:
    path = Path("model")
    checkpoint = small_checkpoint()
    checkpoint.weights["output.bias"][EOS] = -1e6  # it goes on and on
    save_checkpoint(path, checkpoint)
    command = ("sample", "-c", "model", "--length", "5000", "--seed", "1", "--temperature", "1")
    expected = launcher.run(*command).out
    assert len(expected) == 5001
    with launcher.start(*command, stdout=PIPE) as job:
        written = job.pipes["stdout"].read(100)
        if fate == "truncated":
            os.truncate(path, 0)
        elif fate == "replaced":
            save_checkpoint(path, random_checkpoint("xyz"))
        elif fate == "deleted":
            path.unlink()
        else:
            path.write_bytes(b"\xff" * path.stat().st_size)
        written += job.pipes["stdout"].read()
    assert job.wait().status == 0
    assert written.decode() == expected


# --- fuzzing


def outcome(data: bytes) -> str:
    """What comes of a checkpoint of these bytes: it is refused, or good for all commands."""
    if refused(data):
        return "refused"
    try:
        model = TrainedModel.open(MODEL)
        model.sample(2, 5, seed=1)
        scores = model.score(["ab", ""])
        if model.checkpoint.labels is not None:
            label = model.checkpoint.labels.names[-1]
            scores += model.score(["ab"], label=label)
            assert np.isfinite(model.classify(["ab"])[0].probability)
        if model.reader is not None:
            assert np.isfinite(model.reader.predict(np.array([[1, 2, 1, 0, 1]]))).all()
    except CharRNNError:
        return "refused later"
    assert all(np.isfinite(score.log_probability) for score in scores)
    with redirect_stdout(io.StringIO()):
        assert cli.run(["info", str(MODEL)]) == cli.run(["info", str(MODEL), "--json"]) == 0
    return "read"


def fuzz(number: int, seed: int) -> Counter[str]:
    """Outcomes of random mutations."""
    chance = random.Random(seed)
    originals = []
    counted = small_checkpoint(with_ngram=True)
    deep = random_checkpoint("ab", "rnn-relu", hidden=2, output_layers=1)
    reader = random_checkpoint("ab", hidden=2, bidirectional=True)
    labelled = random_checkpoint("ab", hidden=2, lines=True, labels=LABELS)
    several = random_checkpoint("ab", hidden=2, networks=2)
    plain = (small_checkpoint(), counted, with_tables(counted))
    for each in (*plain, deep, reader, labelled, with_label_ngrams(labelled), several):
        save_checkpoint(MODEL, each)
        originals.append(MODEL.read_bytes())
    outcomes: Counter[str] = Counter()
    for turn in range(number):
        data = mutation(originals[turn % len(originals)], chance)
        try:
            outcomes[outcome(data)] += 1
        except BaseException:
            shutil.copy(MODEL, f"/tmp/charrnn-{seed}-{turn}.safetensors")
            raise
    return outcomes


@pytest.mark.fault(47)
@pytest.mark.parametrize("name", HOSTILE_LABELS)
def test_hostile_labels_are_refused(name: str) -> None:
    save_checkpoint(MODEL, random_checkpoint("ab", hidden=2, lines=True, labels=LABELS))
    header, description, buffer = parts(MODEL.read_bytes())
    changed = {**description, "labels": HOSTILE_LABELS[name]}
    MODEL.write_bytes(forged(header, changed, buffer))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(MODEL)
    assert len(str(error.value)) < 400
    assert str(error.value).isprintable()
    MODEL.write_bytes(forged(header, {**description, "lines": False}, buffer))
    with pytest.raises(CheckpointError, match="has labels, but its texts are not lines"):
        load_checkpoint(MODEL)


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("field", "value"),
    [("vocabulary_size", 4), ("order", 2), ("order", "3"), ("ngrams", []), ("discounts", None)],
)
def test_forged_ngrams_of_labels_are_refused(field: str, value: object) -> None:
    labelled = random_checkpoint("ab", hidden=2, lines=True, labels=LABELS)
    save_checkpoint(MODEL, with_label_ngrams(labelled))
    header, description, buffer = parts(MODEL.read_bytes())
    changed = {**description, "label_ngrams": {**description["label_ngrams"], field: value}}
    assert refused(forged(header, changed, buffer))
    assert refused(forged(header, {**description, "label_ngrams": value}, buffer))


@pytest.mark.fault(12)
def test_3000_mutations_are_refused_or_harmless() -> None:
    outcomes = fuzz(3000, seed=1)
    assert outcomes["refused"] > 2000
    assert outcomes["read"] > 50  # some lies are harmless: another name for the corpus


@pytest.mark.fault(9)
@pytest.mark.parametrize("name", ["first", "gamma", "character", "probability", "unigram"])
def test_forged_tables_of_ngrams_are_refused_or_give_probabilities(name: str) -> None:
    chance = random.Random(name)
    save_checkpoint(MODEL, with_tables(small_checkpoint(with_ngram=True)))
    header, description, buffer = parts(MODEL.read_bytes())
    begin, end = header[f"ngram.{name}"]["data_offsets"]
    outcomes: Counter[str] = Counter()
    for _ in range(60):
        at, more = chance.randrange(begin, end), chance.randbytes(chance.choice((1, 2, 8)))
        changed = (buffer[:at] + more + buffer[at + len(more) :])[: len(buffer)]
        outcomes[outcome(forged(header, description, changed))] += 1
    assert outcomes["refused later"] == 0
    assert outcomes["refused"] > 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.fault(12)
@given(
    json_values,
    st.sampled_from(["network", "ngram", "vocabulary", "lines", "training", "corpus"]),
)
def test_whatever_a_description_says_it_is_refused_or_harmless(value: Any, name: str) -> None:
    save_checkpoint(MODEL, small_checkpoint(with_ngram=True))
    outcome(said(**{name: value})(parts(MODEL.read_bytes())))


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_refused(data: bytes) -> None:
    assert refused(data)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=3))
def test_whatever_a_header_holds_it_is_refused(header: dict[str, Any]) -> None:
    said = json.dumps({"sha256": "0" * 64}, separators=(",", ":"))
    text = json.dumps({"__metadata__": {"charrnn": said}, **header})
    assert refused(forged_header(text, b""))


# --- unfinished runs that lie

TRAIN = ("train", "corpus.txt", "-o", "run", *TINY, "--steps", "4", "--validate-every", "2", "-q")
TRAINING = Path("run/training.safetensors")


@pytest.fixture(scope="module")
def unfinished(
    launcher: Launcher, tmp_path_factory: pytest.TempPathFactory, session_environment: None
) -> Path:
    """A directory with a corpus and a run that was killed."""
    directory = tmp_path_factory.mktemp("unfinished")
    (directory / "corpus.txt").write_text(prose(30))
    # While the second validation is saved, whether or not the corpus had to be cached first.
    killed = launcher.run(*TRAIN, directory=directory, fault={"at": 31, "error": "KILL"})
    assert killed.status == -signal.SIGKILL
    assert load_run(directory / TRAINING).step == 2
    return directory


RESUMED = {0: "went on", 1: "refused later", 2: "refused later", 130: "interrupted"}
"""Exit status -> what became of a run whose file could be loaded."""
LONGEST = 5.0
"""Seconds after which a resumed run is interrupted."""


def fuzz_runs(unfinished: Path, number: int, seed: int) -> Counter[str]:
    """Outcomes of going on with runs whose files lie."""
    chance = random.Random(seed)
    original = (unfinished / TRAINING).read_bytes()
    shutil.copy(unfinished / "corpus.txt", "corpus.txt")
    outcomes: Counter[str] = Counter()
    for turn in range(number):
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree(unfinished / "run", "run")
        data = mutation(original, chance)
        TRAINING.write_bytes(data)
        try:
            with bounded_memory(MORE + 3 * len(data)):
                load_run(TRAINING)
        except CheckpointError:
            outcomes["refused"] += 1
            continue
        try:
            with redirect_stderr(io.StringIO()), interrupted_after(LONGEST):
                status = cli.run([*TRAIN])
        except BaseException:
            TRAINING.write_bytes(data)
            shutil.copy(TRAINING, f"/tmp/charrnn-run-{seed}-{turn}.safetensors")
            raise
        outcomes[RESUMED[status]] += 1
    return outcomes


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"networks": 2}, {}),
        ({"networks": 2}, {"other_rows": [4]}),
        ({"networks": 2}, {"other_rows": [1 << 41]}),
        ({"networks": 2}, {"other_rows": 4}),
        ({"networks": 2}, {"other_rows": ["4"]}),
        ({"networks": 10**9}, {"other_rows": []}),
        ({}, {"other_rows": [4]}),
    ],
)
def test_an_unfinished_run_of_other_networks_is_refused(
    settings: dict[str, Any], said: dict[str, Any], unfinished: Path
) -> None:
    header, description, buffer = parts((unfinished / TRAINING).read_bytes())
    changed = {**description, **said, "settings": {**description["settings"], **settings}}
    Path("run").mkdir()
    TRAINING.write_bytes(forged(header, changed, buffer))
    with pytest.raises(CheckpointError):
        load_run(TRAINING)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer: a mutation may have made a run of thousands of steps."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.mark.fault(12)
def test_200_mutations_of_an_unfinished_run_are_refused_or_harmless(unfinished: Path) -> None:
    outcomes = fuzz_runs(unfinished, 200, seed=1)
    assert outcomes["refused"] > 100
    assert outcomes["went on"] > 5


# --- make soak


@pytest.mark.fault(12)
@pytest.mark.soak
def test_100000_mutations_are_refused_or_harmless(report: Report) -> None:
    outcomes = fuzz(100_000, seed=2)
    report(f"100,000 mutated checkpoints: {dict(outcomes)}")
    assert sum(outcomes.values()) == 100_000


@pytest.mark.fault(12)
@pytest.mark.soak
def test_10000_mutations_of_an_unfinished_run_are_refused_or_harmless(
    unfinished: Path, report: Report
) -> None:
    outcomes = fuzz_runs(unfinished, 10_000, seed=2)
    report(f"10,000 mutated unfinished runs: {dict(outcomes)}")
    assert sum(outcomes.values()) == 10_000
