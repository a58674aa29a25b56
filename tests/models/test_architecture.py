from __future__ import annotations

import math

import pytest

from charrnn.errors import SettingsError
from charrnn.models.architecture import MAX_LAYERS, MAX_WIDTH, Architecture
from charrnn.models.cells import CELLS


def test_names_and_shapes_of_a_two_layer_lstm() -> None:
    assert Architecture("lstm", 7, 3, 5, 2).shapes() == {
        "embedding.weight": (7, 3),
        "rnn.weight_ih_l0": (20, 3),
        "rnn.weight_hh_l0": (20, 5),
        "rnn.bias_ih_l0": (20,),
        "rnn.bias_hh_l0": (20,),
        "rnn.weight_ih_l1": (20, 5),
        "rnn.weight_hh_l1": (20, 5),
        "rnn.bias_ih_l1": (20,),
        "rnn.bias_hh_l1": (20,),
        "output.weight": (7, 5),
        "output.bias": (7,),
    }


def test_names_and_shapes_of_output_layers() -> None:
    shapes = Architecture("rnn", 7, 3, 5, 1, output_layers=2, output_hidden=4).shapes()
    assert list(shapes.items())[-6:] == [
        ("output_layers.0.weight", (4, 5)),
        ("output_layers.0.bias", (4,)),
        ("output_layers.1.weight", (4, 4)),
        ("output_layers.1.bias", (4,)),
        ("output.weight", (7, 4)),
        ("output.bias", (7,)),
    ]


@pytest.mark.parametrize(
    ("cell", "output_layers", "version"),
    [("lstm", 0, 1), ("gru", 0, 1), ("rnn", 0, 1), ("rnn-relu", 0, 2), ("lstm", 1, 2)],
)
def test_what_is_new_needs_format_2(cell: str, output_layers: int, version: int) -> None:
    network = Architecture(cell, 7, 3, 5, 1, 0.0, output_layers, 4 * output_layers)
    assert network.format_version == version


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1), ("rnn-relu", 1)])
def test_parameters_of_one_layer(cell: str, gates: int) -> None:
    recurrent = gates * 5 * (3 + 5 + 2)
    assert Architecture(cell, 7, 3, 5, 1).parameters == 7 * 3 + recurrent + 7 * 5 + 7


def test_all_cells_are_counted_here() -> None:
    assert {cell: len(CELLS[cell].gates) for cell in CELLS} == {
        "lstm": 4, "gru": 3, "rnn": 1, "rnn-relu": 1
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "transformer"}, "unknown cell 'transformer'; choose one of lstm, gru, rnn"),
        ({"vocabulary_size": 0}, "vocabulary_size must be 1 to 65,536, not 0"),
        ({"embedding": 0}, "embedding must be 1 to 65,536, not 0"),
        ({"hidden": MAX_WIDTH + 1}, "hidden must be 1 to 65,536, not 65,537"),
        ({"layers": -1}, "layers must be 1 to 64, not -1"),
        ({"layers": MAX_LAYERS + 1}, "layers must be 1 to 64, not 65"),
        ({"output_layers": -1}, "output_layers must be 0 to 64, not -1"),
        ({"output_layers": 65, "output_hidden": 5}, "output_layers must be 0 to 64, not 65"),
        ({"output_layers": 1}, "output_hidden must be 1 to 65,536, not 0"),
        ({"output_layers": 1, "output_hidden": 10**9}, "not 1,000,000,000"),
        ({"output_hidden": 5}, "output_hidden must be 0 to 0, not 5"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"dropout": -0.1}, "not -0.1"),
        ({"dropout": math.nan}, "not nan"),
    ],
)
def test_what_is_out_of_range_is_refused(change: dict[str, object], message: str) -> None:
    sizes: dict[str, object] = {
        "cell": "lstm",
        "vocabulary_size": 7,
        "embedding": 3,
        "hidden": 5,
        "layers": 1,
    }
    with pytest.raises(SettingsError, match=message):
        Architecture(**{**sizes, **change})  # type: ignore[arg-type]
