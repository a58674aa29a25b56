"""The torch network's own parts; that it predicts as NumPy does is tested in test_parity.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.torch_rnn import Network


@pytest.mark.parametrize("cell", CELLS)
def test_cudnn_finds_each_layer_s_weights_in_one_piece(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every move or conversion: the embedding of 3 goes into layer 0, 5 units into others."""
    calls: list[tuple[Any, ...]] = []
    network = Network(Architecture(cell, 7, 3, 5, 3))
    monkeypatch.setattr("torch.backends.cudnn.is_acceptable", lambda tensor: True)
    monkeypatch.setattr("torch.backends.cudnn.rnn.get_cudnn_mode", lambda mode: mode)
    monkeypatch.setattr(network.rnn, "flatten_parameters", lambda: None)
    monkeypatch.setattr("torch._cudnn_rnn_flatten_weight", lambda *given: calls.append(given))
    network.to(torch.float64)
    assert [call[1:] for call in calls] == [
        (4, width, network.rnn.mode, 5, 0, 1, False, False) for width in (3, 5, 5)
    ]
    for number, (weights, *_) in enumerate(calls):
        expected = [
            getattr(network.rnn, f"{name}_l{number}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        assert all(ours is theirs for ours, theirs in zip(weights, expected, strict=True))
        assert all(each.dtype == torch.float64 for each in weights)


def test_nothing_is_laid_out_anew_on_a_cpu() -> None:
    network = Network(Architecture("lstm", 7, 3, 5, 2))
    before = [parameter.data_ptr() for parameter in network.parameters()]
    network.to("cpu")
    assert [parameter.data_ptr() for parameter in network.parameters()] == before
