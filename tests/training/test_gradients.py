from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from charrnn.models.architecture import Architecture
from charrnn.models.cells import CELLS
from charrnn.models.torch_rnn import Network, TorchState
from charrnn.training.batches import IGNORED, Batch
from charrnn.training.gradients import MIN_ROWS, Gradients, own_shards, shards_for
from charrnn.training.processes import Alone

V = 7
ROWS, WIDTH = 2 * MIN_ROWS + 3, 5


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def network(cell: str = "lstm", dropout: float = 0.0) -> Network:
    torch.manual_seed(0)
    return Network(Architecture(cell, V, 4, 8, 2, dropout))


def batch() -> Batch:
    """Texts of unlike lengths, so that shards have unlike numbers of characters."""
    random = np.random.default_rng(0)
    inputs, targets = random.integers(0, V, (2, ROWS, WIDTH))
    targets[np.arange(WIDTH) > np.linspace(0, WIDTH, ROWS)[:, None]] = IGNORED
    return Batch(inputs, targets, np.zeros(ROWS, bool))


def computed(
    net: Network, threads: int, precision: torch.dtype = torch.float32
) -> tuple[float, list[torch.Tensor], TorchState]:
    torch.set_num_threads(threads)
    gradients = Gradients(net, precision, Alone())
    state = tuple(torch.full_like(part, 0.5) for part in gradients.initial_state(ROWS))
    loss, after = gradients.compute(batch(), state, seed=(1, 2))
    found = [parameter.grad for parameter in net.parameters()]
    return loss, [each.clone() for each in found if each is not None], after


@pytest.mark.parametrize(
    ("rows", "workers", "count"),
    [
        (32, 1, 1),
        (32, 2, 2),
        (2 * MIN_ROWS - 1, 2, 1),
        (1, 16, 1),
        (4 * MIN_ROWS, 16, 4),
    ],
)
def test_a_shard_has_a_worker_and_enough_texts(rows: int, workers: int, count: int) -> None:
    assert shards_for(rows, workers) == count


@pytest.mark.parametrize(
    ("count", "workers", "expected"),
    [
        (4, [4], [[0, 1, 2, 3]]),
        (4, [2, 2], [[0, 1], [2, 3]]),
        (4, [1, 3], [[0], [1, 2, 3]]),
        (2, [1, 1, 1], [[], [0], [1]]),
        (3, [2, 2], [[0], [1, 2]]),
    ],
)
def test_every_shard_has_one_process(
    count: int, workers: list[int], expected: list[list[int]]
) -> None:
    found = [list(own_shards(count, workers, rank)) for rank in range(len(workers))]
    assert found == expected


@pytest.mark.parametrize("cell", CELLS)
def test_two_shards_give_what_one_gives(cell: str) -> None:
    loss, gradients, state = computed(network(cell), threads=1)
    split_loss, split_gradients, split_state = computed(network(cell), threads=2)
    assert split_loss == pytest.approx(loss, abs=1e-6)
    assert len(gradients) == len(list(network(cell).parameters()))
    for one, two in zip(gradients, split_gradients, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)
    for one, two in zip(state, split_state, strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=1e-6)


def test_the_gradient_is_that_of_the_mean_loss() -> None:
    net = network()
    _, gradients, _ = computed(net, threads=2)
    bias = dict(net.named_parameters())["output.bias"]
    at = next(number for number, each in enumerate(net.parameters()) if each is bias)
    width = 1e-2
    losses = []
    for sign in (1, -1):
        with torch.no_grad():
            bias[3] += sign * width
            losses.append(computed(net, threads=2)[0])
            bias[3] -= sign * width
    assert float(gradients[at][3]) == pytest.approx((losses[0] - losses[1]) / (2 * width), abs=1e-3)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_dropout_is_the_same_for_the_same_seed(threads: int, precision: torch.dtype) -> None:
    first = computed(network(dropout=0.5), threads, precision)
    for _ in range(5):
        again = computed(network(dropout=0.5), threads, precision)
        assert again[0] == first[0]
        for one, two in zip(first[1], again[1], strict=True):
            assert torch.equal(one, two)


def test_shards_drop_other_units() -> None:
    """Rows that are alike come out unlike, in whichever shard they are."""
    torch.set_num_threads(2)
    gradients = Gradients(network(dropout=0.5), torch.float32, Alone())
    alike = Batch(
        np.full((2 * MIN_ROWS, WIDTH), 2), np.full((2 * MIN_ROWS, WIDTH), 3), np.zeros(16, bool)
    )
    _, (hidden, _) = gradients.compute(alike, gradients.initial_state(16), (1, 1))
    assert len({tuple(row.tolist()) for row in hidden[1]}) == 2 * MIN_ROWS


def test_lower_precision_is_near_enough_and_leaves_the_weights_exact() -> None:
    net = network()
    before = [parameter.clone() for parameter in net.parameters()]
    _, exact, _ = computed(net, threads=2)
    _, rounded, state = computed(net, threads=2, precision=torch.bfloat16)
    for weight, parameter in zip(before, net.parameters(), strict=True):
        assert torch.equal(weight, parameter)
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
    assert state[0].dtype == torch.bfloat16
    for one, two in zip(exact, rounded, strict=True):
        assert (one - two).norm() < 0.1 * one.norm()
