"""The loss of held-out text in training against the same network in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from charrnn.inference.scoring import evaluate_documents, windows
from charrnn.models.architecture import Architecture
from charrnn.models.numpy_rnn import NumpyRNN
from charrnn.models.torch_rnn import Network
from charrnn.text.documents import Documents, documents_of
from charrnn.training.validation import ROWS, mean_loss


def held_out(vocabulary_size: int) -> Documents:
    rng = np.random.default_rng(0)
    texts = [rng.integers(2, vocabulary_size, 5 + each).astype(np.uint16) for each in range(20)]
    return documents_of([np.append(text, np.uint16(1)) for text in texts], with_eos=True)


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("vocabulary_size", [20, 3000])
def test_a_large_vocabulary_is_validated_like_a_small_one(
    vocabulary_size: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.models.torch_rnn.BLOCK_CELLS", block)
    torch.manual_seed(1)
    network = Network(Architecture("gru", vocabulary_size, 4, 8, 2, 0.2))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    documents = held_out(vocabulary_size)
    assert len(documents.starts) > ROWS
    expected = evaluate_documents(NumpyRNN(network.architecture, weights), documents)
    found = mean_loss([network], documents, lambda: None)
    assert found == pytest.approx(expected.nats_per_character, abs=1e-5)


def test_windows_are_long_where_a_position_takes_little_memory() -> None:
    documents = documents_of([np.full(50_000, 2, np.uint16)], with_eos=False)
    shapes = [next(windows(documents, cells)).inputs.shape for cells in (1, 6000)]
    assert shapes == [(24, 128), (24, (1 << 23) // (24 * 6000))]


def test_several_networks_give_the_same_bits_with_any_number_of_threads() -> None:
    torch.manual_seed(1)
    networks = [Network(Architecture("lstm", 90, 8, 48, 2, 0.0)) for _ in range(2)]
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(mean_loss(networks, held_out(90), lambda: None))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]
