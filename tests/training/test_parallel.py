from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from charrnn.training.parallel import parallel_map


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 100])
def test_results_come_in_the_order_of_items(most: int) -> None:
    assert parallel_map(lambda item: item * item, range(10), most) == [n * n for n in range(10)]


@pytest.mark.parametrize(("most", "each"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_torchs_threads_are_shared_out(most: int, each: int) -> None:
    found = parallel_map(lambda item: torch.get_num_threads(), range(8), most)
    assert found == [each] * 8
    assert torch.get_num_threads() == 4


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)
    parallel_map(lambda item: meeting.wait(), range(2), 2)


@pytest.mark.parametrize("most", [1, 2])
def test_an_error_reaches_the_caller(most: int) -> None:
    def fail(item: int) -> None:
        raise ValueError(f"no {item}")

    with pytest.raises(ValueError, match="no 0"):
        parallel_map(fail, range(3), most)
