from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from charrnn.text.documents import documents_of
from charrnn.text.vocabulary import EOS


def spans(ids: Sequence[int], with_eos: bool) -> list[list[int]]:
    documents = documents_of([np.array(ids)], with_eos)
    return [
        documents.ids[start : start + length].tolist()
        for start, length in zip(documents.starts, documents.lengths, strict=True)
    ]


@pytest.mark.parametrize(
    ("ids", "with_eos", "without_eos"),
    [
        ([2, 3, EOS], [[2, 3, EOS]], [[2, 3]]),
        ([2, EOS, 3, EOS], [[2, EOS], [3, EOS]], [[2], [3]]),
        ([2, EOS, 3], [[2, EOS], [3]], [[2], [3]]),
        ([EOS, 2], [[EOS], [2]], [[2]]),
        ([EOS], [[EOS]], []),
        ([], [], []),
    ],
)
def test_documents_lie_between_ends(
    ids: list[int], with_eos: list[list[int]], without_eos: list[list[int]]
) -> None:
    assert spans(ids, True) == with_eos
    assert spans(ids, False) == without_eos


def test_documents_do_not_go_on_from_piece_to_piece() -> None:
    documents = documents_of([np.array([2, 3]), np.array([4, EOS])], False)
    assert documents.starts.tolist() == [0, 2]
    assert documents.lengths.tolist() == [2, 1]
    assert documents.characters == 3
