from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from charrnn.errors import CharRNNError, SettingsError
from charrnn.export import onnx_file
from charrnn.export.onnx_file import CHECKED, check_against_numpy, onnx_bytes, write_onnx
from charrnn.models.cells import CELLS
from charrnn.models.checkpoint import Checkpoint
from charrnn.models.loading import load_model
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.text.vocabulary import EOS
from tests.export.support import LATIN, WORLD, model_of, wider


def session_of(data: bytes) -> Any:
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "output_width"), [(1, 0), (3, 0), (2, 10), (2, 7)])
def test_log_probabilities_are_those_of_numpy(
    cell: str, layers: int, output_width: int
) -> None:
    checkpoint = model_of(WORLD, cell, layers=layers, output_layers=2 if output_width else 0)
    if output_width:
        checkpoint = wider(checkpoint, output_width)
    assert checkpoint.architecture is not None
    network = NumpyRNN(checkpoint.architecture, dict(checkpoint.weights))
    session = session_of(onnx_bytes(checkpoint))
    ids = np.append(EOS, checkpoint.vocabulary.encode(WORLD))[:CHECKED]
    assert len(ids) == CHECKED
    tokens = np.stack([ids, ids[::-1]])  # two texts at once
    expected, _ = network.forward(tokens, network.initial_state(2))
    names = [each.name for each in session.get_inputs()][1:]
    state = {name: np.zeros((2, 10), np.float32) for name in names}
    assert len(names) == layers * CELLS[cell].states
    for place in range(CHECKED):
        found, *after = session.run(None, {"token": tokens[:, place], **state})
        np.testing.assert_allclose(found, expected[:, place], atol=1e-4)
        state = dict(zip(names, after, strict=True))


def test_several_networks_are_the_average_of_numpy() -> None:
    checkpoint = model_of(LATIN, "lstm", output_layers=1, networks=3)
    data = onnx_bytes(checkpoint)
    check_against_numpy(data, checkpoint)
    names = [each.name for each in session_of(data).get_inputs()]
    own = ["state.0.0", "state.0.1", "state.1.0", "state.1.1"]
    others = [f"networks.{number}.{name}" for number in (1, 2) for name in own]
    assert names == ["token", *own, *others]
    several = load_model(checkpoint)
    (first,) = session_of(data).run(
        ["log_probabilities"],
        {"token": np.array([EOS]), **{name: np.zeros((1, 10), np.float32) for name in names[1:]}},
    )
    expected, _ = several.step(np.array([EOS]), several.initial_state(1))
    np.testing.assert_allclose(first, expected, atol=1e-4)


def test_inputs_outputs_and_vocabulary_are_described() -> None:
    checkpoint = replace(model_of(WORLD, "lstm", ngram=True), lines=True)
    session = session_of(onnx_bytes(checkpoint))
    states = ["state.0.0", "state.0.1", "state.1.0", "state.1.1"]
    assert [each.name for each in session.get_inputs()] == ["token", *states]
    assert [each.name for each in session.get_outputs()] == [
        "log_probabilities", *(f"next.{name}" for name in states)
    ]
    assert session.get_inputs()[0].shape == ["B"]
    assert session.get_outputs()[0].shape == ["B", len(checkpoint.vocabulary)]
    said = json.loads(session.get_modelmeta().custom_metadata_map["charrnn"])
    assert tuple(said["vocabulary"]) == checkpoint.vocabulary.code_points
    assert (said["unknown"], said["end_of_text"], said["lines"]) == (0, 1, True)
    assert said["description"] == (
        "A character-level language model: LSTM, 2 layers of 10 units."  # and no n-gram model
    )


def test_every_cell_has_an_operator() -> None:
    assert onnx_file.OPERATORS.keys() == onnx_file.ORDER.keys() == CELLS.keys()


def test_equal_networks_give_equal_files() -> None:
    assert onnx_bytes(model_of(LATIN)) == onnx_bytes(model_of(LATIN))


def wrong(checkpoint: Checkpoint) -> Checkpoint:
    weights = {**checkpoint.weights, "output.bias": checkpoint.weights["output.bias"].copy()}
    weights["output.bias"][2] += 1e-3
    return replace(checkpoint, weights=weights)


def test_a_file_that_computes_something_else_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = model_of(LATIN)
    with pytest.raises(CharRNNError, match="log-probabilities that differ by"):
        check_against_numpy(onnx_bytes(wrong(checkpoint)), checkpoint)
    data = onnx_bytes(wrong(checkpoint))
    monkeypatch.setattr(onnx_file, "onnx_bytes", lambda _: data)
    with pytest.raises(CharRNNError):
        write_onnx(Path("model.onnx"), checkpoint)
    assert not Path("model.onnx").exists()


def test_a_written_file_is_a_valid_model() -> None:
    write_onnx(Path("model.onnx"), model_of(LATIN, "gru"))
    onnx.checker.check_model("model.onnx", full_check=True)


def test_an_ngram_model_alone_is_refused() -> None:
    with pytest.raises(SettingsError, match="ONNX holds networks only"):
        onnx_bytes(model_of(LATIN, None, ngram=True))


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SettingsError, match=rf"needs the library {library}; .*charrnn\[onnx\]"):
        write_onnx(Path("model.onnx"), model_of(LATIN))
    assert not Path("model.onnx").exists()
