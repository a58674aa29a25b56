"""Work shared out to threads, and torch's threads to that work. Knows not what the work is.

Torch's own threads share every single operation, and meet after it. A step is thousands of small
ones, and on a machine on which anything else runs, each makes the fast thread wait for the slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], most: int) -> list[Result]:
    """`work` done on every item, at most `most` at a time; results in the items' order.

    What torch keeps for each thread, such as `no_grad`, is as at a thread's start.
    """
    count = max(1, min(most, torch.get_num_threads()))
    if count == 1:
        return [work(item) for item in items]
    return list(_threads(count, torch.get_num_threads() // count).map(work, items))


@cache
def _threads(count: int, each: int) -> ThreadPoolExecutor:
    """`count` threads, in each of which torch uses `each`."""
    return ThreadPoolExecutor(count, "charrnn", _use, (each,))


def _use(threads: int) -> None:
    torch.get_num_threads()  # makes torch set up this thread, or it would do so over what is set
    torch.set_num_threads(threads)
