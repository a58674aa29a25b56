"""Run a function on items in parallel, dividing torch's threads among them.

Torch's own threads split every operation and wait for each other after it. A step consists of
thousands of small operations; on a busy machine, each of them waits for the slowest thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import get_ident
from typing import TypeVar

import torch

from charrnn.models.torch_threads import one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item], most: int) -> list[Result]:
    """`work` applied to every item, at most `most` at a time; results in the items' order.

    Torch settings of the calling thread, such as `no_grad`, do not apply inside `work`.
    """
    count = max(1, min(most, torch.get_num_threads()))
    if count == 1:
        return [work(item) for item in items]
    return list(divided_threads(count).map(work, items))


def divided_threads(count: int) -> ThreadPoolExecutor:
    """`count` threads, among which the torch threads of the calling one are divided."""
    return _threads(count, max(1, torch.get_num_threads() // count), get_ident())


def map_in_single_threads(
    work: Callable[[Item], Result], items: Sequence[Item]
) -> list[Result]:
    """As `parallel_map`, but torch uses one thread for each item, however many there are.

    So the results do not depend on the number of threads.
    """
    count = min(len(items), torch.get_num_threads())
    if count == 1:
        with one_thread():
            return [work(item) for item in items]
    return list(_threads(count, 1, get_ident()).map(work, items))


@cache
def _threads(count: int, each: int, caller: int) -> ThreadPoolExecutor:
    """`count` threads, in each of which torch uses `each` threads, for the thread `caller`."""
    return ThreadPoolExecutor(count, "charrnn", _use, (each,))


def _use(threads: int) -> None:
    torch.get_num_threads()  # initialises this thread first; later, that would undo the setting
    torch.set_num_threads(threads)
