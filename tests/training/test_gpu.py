"""What is computed on a GPU, against the same on a CPU. Any warning of torch's is a failure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.interface import LanguageModel
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import Network, TorchRNN
from charrnn.training.batches import Batch
from charrnn.training.gradients import Gradients
from charrnn.training.machine import gpu_has_bfloat16
from charrnn.training.processes import Alone
from tests.conftest import Command
from tests.faults.support import TINY
from tests.support import prose

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")

V, ROWS, WIDTH = 11, 16, 12


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """float32 products in float32, not in the 19 bits of TensorFloat-32."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def network(cell: str, dropout: float = 0.0) -> Network:
    torch.manual_seed(0)
    return Network(Architecture(cell, V, 8, 32, 3, dropout))


def batch() -> Batch:
    inputs, targets = np.random.default_rng(0).integers(0, V, (2, ROWS, WIDTH))
    return Batch(inputs, targets, np.zeros(ROWS, bool))


def compute(
    net: Network, seed: tuple[int, int] = (1, 2), precision: torch.dtype = torch.float32
) -> tuple[float, list[torch.Tensor]]:
    gradients = Gradients(net, precision, Alone())
    loss, _ = gradients.compute(batch(), gradients.initial_state(ROWS), seed)
    found = [parameter.grad for parameter in net.parameters()]
    return loss, [each.cpu() for each in found if each is not None]


@pytest.mark.parametrize("cell", CELLS)
def test_it_predicts_as_numpy_does(cell: str) -> None:
    net = network(cell)
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    models: list[LanguageModel] = [
        NumpyRNN(net.architecture, weights), TorchRNN(net.to("cuda").eval())
    ]
    tokens = batch().inputs
    ours, theirs = (model.forward(tokens, model.initial_state(ROWS))[0] for model in models)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_a_cpu(cell: str) -> None:
    (loss, gradients), (expected, others) = (
        compute(network(cell).to(device)) for device in ("cuda", "cpu")
    )
    assert loss == pytest.approx(expected, abs=1e-5)
    for ours, theirs in zip(gradients, others, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_dropout_depends_on_the_seed_and_nothing_else() -> None:
    net = network("lstm", dropout=0.5).to("cuda")
    first, again = compute(net), compute(net)
    torch.manual_seed(123)
    assert first[0] == again[0] == compute(net)[0]
    assert compute(net, seed=(1, 3))[0] != first[0]


def test_bfloat16_where_the_kernels_have_it() -> None:
    if not gpu_has_bfloat16():
        pytest.skip("this torch, cuDNN or GPU has no bfloat16 for recurrent layers")
    net = network("lstm").to("cuda")
    assert compute(net, precision=torch.bfloat16)[0] == pytest.approx(compute(net)[0], abs=0.02)


def test_a_run_goes_on_and_its_model_is_one_for_cpus(charrnn: Command) -> None:
    Path("corpus.txt").write_text(prose(100))
    options = *TINY, "--device", "cuda", "--validate-every", "20", "--json"
    done = charrnn("train", "corpus.txt", "-o", "run", *options, "--steps", "60")
    assert done.status == 0, done.err
    assert done.records[0]["device"] == "cuda"
    figures = [event for event in done.records if event["event"] == "validation"]
    assert figures[-1]["nats_per_character"] < figures[0]["nats_per_character"]
    scores = [
        charrnn("score", "-c", "run", "the cat saw", "--json", "--device", device).records[0]
        for device in ("cuda", "cpu")
    ]
    first, second = (score["nats_per_character"] for score in scores)
    assert math.isfinite(first)
    assert first == pytest.approx(second, abs=1e-3)
