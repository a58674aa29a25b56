"""Divide texts into segments, and work on each in a thread of its own, one segment ahead.

Knows nothing of networks. Axis: T positions.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np

from charrnn.arrays import Integers
from charrnn.models.interface import Tokens
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS

Result = TypeVar("Result")

SWITCH = 1e-4
"""Seconds after which one thread lets another go on. Python's 5 ms are as long as a segment takes,
and torch asks for its turn many times in a segment."""


class Segment(NamedTuple):
    """A part of a document.

    Attributes:
        document: its number.
        begins: whether the document begins here.
        positions: in the ids of all documents (T,).
        tokens: what is read (T,).
        targets: what follows each of them (T,).
    """

    document: int
    begins: bool
    positions: Integers
    tokens: Tokens
    targets: Tokens


def segments(documents: Documents, size: int) -> Iterator[Segment]:
    """The documents in order, in parts of at most `size` characters."""
    spans = zip(documents.starts.tolist(), documents.lengths.tolist(), strict=True)
    for number, (start, length) in enumerate(spans):
        for at in range(start, start + length, size):
            positions = np.arange(at, min(at + size, start + length))
            tokens = documents.ids[positions - 1].astype(np.int64)
            if at == start:
                tokens[0] = EOS if documents.labels is None else documents.labels[number]
            targets = documents.ids[positions].astype(np.int64)
            yield Segment(number, at == start, positions, tokens, targets)


def read_ahead(
    found: Iterable[Segment], work: Callable[[Segment], Result]
) -> Iterator[tuple[Segment, Result]]:
    """Each segment and what `work` makes of it, in order; the work is one segment ahead.

    So it must depend on nothing that the caller learns from the segment before.
    """
    with _quick_switches(), ThreadPoolExecutor(1) as thread:
        ahead: deque[tuple[Segment, Future[Result]]] = deque()
        for segment in found:
            ahead.append((segment, thread.submit(work, segment)))
            if len(ahead) > 1:
                done, result = ahead.popleft()
                yield done, result.result()
        for done, result in ahead:
            yield done, result.result()


@contextmanager
def _quick_switches() -> Iterator[None]:
    """Let threads take turns every SWITCH seconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
