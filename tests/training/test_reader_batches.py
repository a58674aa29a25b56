from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from charrnn.models.reader import PADDING
from charrnn.text.vocabulary import EOS
from charrnn.training.batches import IGNORED, LineBatches
from charrnn.training.reader_batches import (
    MARGIN,
    WIDER,
    ReaderBatch,
    ReaderLineBatches,
    WindowBatches,
)


def predicted(batch: ReaderBatch) -> list[int]:
    """What the reader predicts, as distinct ids."""
    targets = batch.targets
    return [int(each) for each in targets[(targets != IGNORED) & (targets != EOS)]]


def windows(
    ids: npt.NDArray[np.int64], starts: list[int], batch: int, chunk: int, seed: int = 1
) -> WindowBatches:
    return WindowBatches(ids, np.array(starts), batch, chunk, seed)


@pytest.mark.parametrize("seed", range(5))
def test_an_epoch_predicts_every_character_once(seed: int) -> None:
    ids = np.append(np.arange(2, 502), EOS)
    batches = windows(ids, [0], batch=2, chunk=10, seed=seed)
    assert batches.per_epoch == 501 // 20 + 1
    for epoch in range(2):
        numbers = range(int(batches.per_epoch) * epoch, int(batches.per_epoch) * (epoch + 1))
        found = [each for number in numbers for each in predicted(batches[number])]
        assert sorted(found) == [*range(2, 502)]


def test_a_target_is_the_id_after_each_input() -> None:
    ids = np.append(np.arange(2, 302), EOS)
    for number in range(20):
        batch = windows(ids, [0], batch=8, chunk=7)[number]
        shown = batch.targets != IGNORED
        assert (batch.targets[shown] == batch.inputs[:, 1:][shown]).all()
        assert batch.fresh.all()


def test_margins_are_read_and_not_predicted() -> None:
    ids = np.arange(2, 5002)
    batches = windows(ids, [0], batch=2, chunk=30)
    for number in range(20):
        (row,), (targets,) = batches[number].inputs, batches[number].targets
        counted = np.flatnonzero(targets != IGNORED) + 1
        if row[0] == EOS or row[-1] in (PADDING, ids[-1]):
            continue  # the text begins or ends there
        assert counted.tolist() == [*range(MARGIN + 1, MARGIN + 1 + WIDER * 30)]
        assert len(row) == counted[-1] + MARGIN + 2


def test_a_text_begins_and_ends_with_eos_and_nothing_beyond_is_read() -> None:
    ids = np.array([5, 6, 7, EOS, 8, 9, EOS])
    seen = set()
    for number in range(40):
        for row in windows(ids, [0, 4], batch=2, chunk=10)[number].inputs:
            seen.add(tuple(int(each) for each in row if each != PADDING))
    assert seen == {(EOS, 5, 6, 7, EOS), (EOS, 8, 9, EOS)}


def test_the_last_character_of_a_text_that_is_cut_off_is_not_predicted() -> None:
    ids = np.array([5, 6, 7, 8, 9, EOS])  # a seam at 3: no EOS before it
    found: set[int] = set()
    for number in range(40):
        batch = windows(ids, [0, 3], batch=4, chunk=10)[number]
        found |= {*batch.targets.flat}
        assert batch.characters == max(1, len(predicted(batch)))
    assert found == {5, 6, 8, 9, EOS, IGNORED}


def test_each_line_is_read_from_end_to_end() -> None:
    lines = [[2, 3], [4], [5, 6, 7]]
    ids = np.array([each for line in lines for each in (*line, EOS)])
    batches = ReaderLineBatches(LineBatches(ids, 2, 100, 1))
    assert batches.per_epoch == 1
    batch = batches[0]
    rows = {tuple(int(each) for each in row if each != PADDING) for row in batch.inputs}
    assert rows == {(EOS, *line, EOS) for line in lines}
    assert sorted(predicted(batch)) == [2, 3, 4, 5, 6, 7]
    assert int((batch.targets == EOS).sum()) == 3


def test_pieces_of_a_long_line_have_margins() -> None:
    ids = np.append(np.arange(2, 301), EOS)
    batches = ReaderLineBatches(LineBatches(ids, 1, 25, 1))
    first, second, last = (batches[number] for number in range(3))
    assert predicted(first) == [*range(2, 101 - MARGIN)]
    assert predicted(second) == [*range(102 + MARGIN, 201 - MARGIN)]
    assert predicted(last) == [*range(202 + MARGIN, 301)]
    assert all(each.fresh.all() for each in (first, second, last))
