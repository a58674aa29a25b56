from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from charrnn.inference.read_ahead import Segment, read_ahead, segments
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS

DOCUMENTS = Documents(np.array([5, 6, 7, EOS, 8, 9]), np.array([0, 4, 4]), np.array([4, 0, 2]))


def test_segments_by_hand() -> None:
    found = [
        (each.document, each.begins, each.tokens.tolist(), each.targets.tolist())
        for each in segments(DOCUMENTS, 3)
    ]
    assert found == [
        (0, True, [EOS, 5, 6], [5, 6, 7]),
        (0, False, [7], [EOS]),
        (2, True, [EOS, 8], [8, 9]),
    ]


def test_a_label_comes_first() -> None:
    labelled = Documents(np.array([5, 6]), np.array([0]), np.array([2]), np.array([11]))
    (only,) = segments(labelled, 3)
    assert only.tokens.tolist() == [11, 5]


def test_the_work_is_done_in_order_in_another_thread() -> None:
    seen = []

    def work(segment: Segment) -> int:
        seen.append((threading.get_ident(), segment.document))
        return len(segment.targets)

    done = [(each.document, result) for each, result in read_ahead(segments(DOCUMENTS, 3), work)]
    assert done == [(0, 3), (0, 1), (2, 2)]
    assert [document for _, document in seen] == [0, 0, 2]
    assert threading.get_ident() not in {thread for thread, _ in seen}


def test_an_error_in_the_thread_is_raised_and_nothing_stays_changed() -> None:
    def work(segment: Segment) -> None:
        raise ValueError(segment.document)

    before = sys.getswitchinterval(), threading.active_count()
    with pytest.raises(ValueError, match="0"):
        list(read_ahead(segments(DOCUMENTS, 3), work))
    assert (sys.getswitchinterval(), threading.active_count()) == before
