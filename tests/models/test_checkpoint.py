from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.arrays import Array
from charrnn.errors import CheckpointError
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from charrnn.storage import tensor_file
from charrnn.storage.header import Description
from charrnn.storage.runs import MODEL_FILE
from charrnn.storage.tensor_file import FORMAT_VERSION
from charrnn.text.labels import Labels
from tests.support import REPOSITORY, random_checkpoint, with_label_ngrams

WORLD = "é漢字العربية👩\u200d👩\u0301\0\r\n\U0010ffff"
FILE = Path(MODEL_FILE)


def parts(path: Path = FILE) -> tuple[Description, dict[str, Array]]:
    """What the file says, valid or not."""
    from safetensors.numpy import load

    arrays = load(path.read_bytes())
    description, _ = tensor_file.read(
        path, lambda _: {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    )
    return description, arrays


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lines", [False, True])
def test_a_checkpoint_survives_the_round_trip(cell: str, lines: bool) -> None:
    training = {"history": [{"step": 1, "validation": 2.5}], "nats_per_character": None}
    corpus = {"names": ["é.txt"], "characters": 10**12}
    random = random_checkpoint(WORLD, cell, 2, lines=lines, bidirectional=lines)
    saved = dataclasses.replace(random, training=training, corpus=corpus)
    save_checkpoint(FILE, saved)
    found = load_checkpoint(FILE)
    for field in dataclasses.fields(Checkpoint):
        if field.name != "weights":
            assert getattr(found, field.name) == getattr(saved, field.name)
    assert found.weights.keys() == saved.weights.keys()
    for name, weight in saved.weights.items():
        assert found.weights[name].tobytes() == weight.tobytes()


def test_equal_checkpoints_give_equal_bytes() -> None:
    save_checkpoint(FILE, random_checkpoint(WORLD))
    save_checkpoint(Path("again"), random_checkpoint(WORLD))
    assert FILE.read_bytes() == Path("again").read_bytes()
    save_checkpoint(Path("reloaded"), load_checkpoint(FILE))
    assert FILE.read_bytes() == Path("reloaded").read_bytes()


def test_what_0_1_wrote_is_written_again_byte_for_byte() -> None:
    old = REPOSITORY / "tests/data/v1/finished" / MODEL_FILE
    save_checkpoint(FILE, load_checkpoint(old))
    assert FILE.read_bytes() == old.read_bytes()


@pytest.mark.parametrize(
    ("checkpoint", "version"),
    [
        (random_checkpoint(), 1),
        (random_checkpoint(cell="rnn-relu"), 2),
        (random_checkpoint(output_layers=2), 2),
        (random_checkpoint(lines=True, labels=Labels(("x", "y"), (3, 1))), 2),
        (random_checkpoint(networks=3), 2),
    ],
)
def test_only_what_is_new_raises_the_format(checkpoint: Checkpoint, version: int) -> None:
    save_checkpoint(FILE, checkpoint)
    description, _ = parts()
    assert description["format_version"] == version
    assert description.get("needs") == (None if version == 1 else "0.2")
    assert ("output_layers" in description["network"]) == (
        checkpoint.architecture is not None and checkpoint.architecture.output_layers > 0
    )
    assert ("labels" in description) == (checkpoint.labels is not None)
    assert description.get("networks", 1) == checkpoint.networks
    loaded = load_checkpoint(FILE)
    assert (loaded.architecture, loaded.labels) == (checkpoint.architecture, checkpoint.labels)


def test_ngrams_of_each_label_are_kept() -> None:
    checkpoint = random_checkpoint(lines=True, labels=Labels(("x", "y"), (3, 1)))
    checkpoint = with_label_ngrams(checkpoint)
    save_checkpoint(FILE, checkpoint)
    loaded = load_checkpoint(FILE)
    assert loaded.label_ngrams is not None
    assert loaded.label_exponents is not None
    assert checkpoint.label_ngrams is not None
    assert checkpoint.label_exponents is not None
    assert loaded.label_ngrams.description() == checkpoint.label_ngrams.description()
    assert np.array_equal(loaded.label_exponents, checkpoint.label_exponents)
    save_checkpoint(Path("reloaded"), loaded)
    assert FILE.read_bytes() == Path("reloaded").read_bytes()


def test_a_run_directory_stands_for_its_model() -> None:
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, random_checkpoint())
    assert load_checkpoint(Path("run")).vocabulary == random_checkpoint().vocabulary


def test_a_directory_without_a_model_is_refused() -> None:
    Path("run").mkdir()
    with pytest.raises(CheckpointError, match=r"run has no model\.safetensors; name a run"):
        load_checkpoint(Path("run"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_neither_written_nor_read(value: float) -> None:
    checkpoint = random_checkpoint()
    save_checkpoint(FILE, checkpoint)
    before = FILE.read_bytes()
    weights = {name: weight.copy() for name, weight in checkpoint.weights.items()}
    weights["output.bias"][0] = value
    with pytest.raises(CheckpointError, match=r"'output\.bias' are not finite"):
        save_checkpoint(FILE, dataclasses.replace(checkpoint, weights=weights))
    assert FILE.read_bytes() == before
    description, arrays = parts()
    arrays["output.bias"] = weights["output.bias"]
    tensor_file.write(FILE, description, arrays)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is .*: .*are not finite"):
        load_checkpoint(FILE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, f"its format {FORMAT_VERSION + 1} needs charrnn"),
        ({"format_version": FORMAT_VERSION + 1, "needs": "7.5"}, "needs charrnn >= 7.5"),
        ({"format_version": 0}, "its format_version is 0"),
        ({"format_version": True}, "its format_version is True"),
        ({"format_version": None}, "its format_version is None"),
        ({"kind": "training"}, "it holds 'training', not 'model'"),
        ({"vocabulary": None}, "its vocabulary is not a list"),
        ({"vocabulary": "abc"}, "its vocabulary is not a list"),
        ({"vocabulary": []}, "a vocabulary has 1 to"),
        ({"vocabulary": [97, 97, 99]}, "U.0061 is repeated"),
        ({"vocabulary": [97, 98, 0xD800]}, "is a surrogate"),
        ({"vocabulary": [97, 98, 0x110000]}, "is outside Unicode"),
        ({"vocabulary": [97, 98]}, "array 'embedding.weight' is float32 .5, 4."),
        ({"lines": None}, "its field lines is not true or false"),
        ({"lines": 1}, "its field lines is not"),
        ({"network": None}, "neither a network nor"),
        ({"network": []}, "its network is not described by an object"),
        ({"training": []}, "its training record is malformed"),
        ({"corpus": "text"}, "its corpus record is malformed"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    save_checkpoint(FILE, random_checkpoint("abc"))
    description, arrays = parts()
    tensor_file.write(FILE, {**description, **changes}, arrays)
    with pytest.raises(CheckpointError, match=f"is not a usable checkpoint: .*{message}"):
        load_checkpoint(FILE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "transformer"}, "unknown cell 'transformer'"),
        ({"cell": None}, "or no cell"),
        ({"hidden": "8"}, "sizes that are not integers"),
        ({"hidden": 8.0}, "sizes that are not integers"),
        ({"layers": True}, "sizes that are not integers"),
        ({"hidden": 9}, "but its description requires float32"),
        ({"layers": 2}, "it lacks array"),
        ({"hidden": 10**12}, "hidden must be 1 to"),
        ({"hidden": 0}, "hidden must be 1 to"),
        ({"cell": "gru"}, "but its description requires float32"),
        ({"output_layers": 1, "output_hidden": 8}, "it lacks array 'output_layers.0.bias'"),
        ({"output_layers": 1.0, "output_hidden": 8}, "sizes that are not integers"),
        ({"output_layers": 1}, "output_hidden must be 1 to"),
        ({"dropout": "0"}, "dropout is not a number"),
        ({"dropout": 1.5}, "dropout must be"),
    ],
)
def test_a_network_that_is_not_in_the_file_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    save_checkpoint(FILE, random_checkpoint("abc"))
    description, arrays = parts()
    network = {**description["network"], **changes}
    tensor_file.write(FILE, {**description, "network": network}, arrays)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(FILE)


def test_half_precision_survives_the_round_trip_in_format_two() -> None:
    checkpoint = random_checkpoint(WORLD)
    weights = {
        name: weight.astype(np.float16).astype(np.float32)
        for name, weight in checkpoint.weights.items()
    }
    save_checkpoint(FILE, checkpoint)
    assert parts()[0]["format_version"] == 1
    save_checkpoint(FILE, dataclasses.replace(checkpoint, weights=weights, half=True))
    description, arrays = parts()
    assert (description["format_version"], description["needs"]) == (2, "0.2")
    assert {array.dtype.name for array in arrays.values()} == {"float16"}
    found = load_checkpoint(FILE)
    assert found.half
    for name, weight in weights.items():
        np.testing.assert_array_equal(found.weights[name], weight)
        assert found.weights[name].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 1}, "is float16 .*requires float32"),
        ({"network": {"weights": "float64"}}, "weights are 'float64', not float16 or float32"),
        ({"network": {"weights": ["float16"]}}, "not float16 or float32"),
        ({"network": {"weights": None}}, "not float16 or float32"),
        ({"network": {"weights": "float32"}}, "is float16 .*requires float32"),
    ],
)
def test_weights_of_another_precision_than_described_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    save_checkpoint(FILE, dataclasses.replace(random_checkpoint("abc"), half=True))
    description, arrays = parts()
    network = {**description["network"], **changes.get("network", {})}
    tensor_file.write(FILE, {**description, **changes, "network": network}, arrays)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(FILE)


def test_half_weights_that_are_infinite_are_refused() -> None:
    save_checkpoint(FILE, dataclasses.replace(random_checkpoint("abc"), half=True))
    description, arrays = parts()
    arrays["output.bias"][0] = np.inf
    tensor_file.write(FILE, description, arrays)
    with pytest.raises(CheckpointError, match=r"'output\.bias' are not finite"):
        load_checkpoint(FILE)
