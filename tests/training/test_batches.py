from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.vocabulary import EOS
from charrnn.training import batches as batches_module
from charrnn.training.batches import (
    IGNORED,
    LONGEST_CHUNKS,
    MAX_ROWS,
    START_SEARCH,
    Batch,
    LineBatches,
    StreamBatches,
    lines_at,
)

NEWLINE = 2
LINES = st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=40), min_size=1, max_size=60)


def ids_of(lines: list[list[int]]) -> npt.NDArray[np.uint8]:
    return np.array([index for line in lines for index in (*line, EOS)], np.uint8)


def same(one: Batch, other: Batch) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("inputs", "targets", "fresh")
    )


# --- long documents


def test_rows_go_on_where_they_ended() -> None:
    ids = np.arange(10, 34, dtype=np.uint8)  # 24 ids: two rows of 12
    batches = StreamBatches(ids, None, batch=3, chunk=4, seed=1)
    first, second = batches[0], batches[1]
    assert first.targets[1:].tolist() == [[10, 11, 12, 13], [22, 23, 24, 25]]
    assert first.inputs[1:].tolist() == [[EOS, 10, 11, 12], [EOS, 22, 23, 24]]
    assert first.fresh.tolist() == [True, True, True]
    assert second.targets[1:].tolist() == [[14, 15, 16, 17], [26, 27, 28, 29]]
    assert second.inputs[1:].tolist() == [[13, 14, 15, 16], [25, 26, 27, 28]]
    assert second.fresh.tolist() == [True, False, False]
    assert batches.per_epoch == 3


def test_the_text_begins_again_after_its_end() -> None:
    ids = np.arange(10, 20, dtype=np.uint8)
    batches = StreamBatches(ids, None, batch=2, chunk=4, seed=1)
    third = batches[2]
    assert third.targets[1].tolist() == [18, 19, 10, 11]
    assert third.inputs[1].tolist() == [17, 18, EOS, 10]  # the text's beginning follows EOS


@given(
    st.integers(2, 200), st.integers(1, 9), st.integers(1, 50), st.integers(0, 2**32),
    st.integers(0, 1000),
)
def test_each_target_is_preceded_by_its_context(
    length: int, batch: int, chunk: int, seed: int, number: int
) -> None:
    ids = np.random.default_rng(length).integers(1, 9, length).astype(np.uint8)
    found = StreamBatches(ids, NEWLINE, batch, chunk, seed)[number]
    assert found.inputs.shape == found.targets.shape
    assert len(found.fresh) == len(found.inputs) <= max(2, batch)
    assert found.characters == found.targets.size
    # each input but the first is the target before it, except across the text's end
    inside = found.inputs[:, 1:] == found.targets[:, :-1]
    assert (inside | (found.inputs[:, 1:] == EOS)).all()
    begins = found.inputs[found.fresh, 0] == EOS
    assert begins[int(batch > 1) :].all()  # the first row may start anywhere


@pytest.mark.parametrize(("batch", "chunk"), [(1, 5), (2, 5), (5, 3), (7, 1), (4, 60)])
def test_an_epoch_reads_every_character_once(batch: int, chunk: int) -> None:
    length = 60
    ids = np.arange(100, 100 + length).astype(np.uint8)
    batches = StreamBatches(ids, None, batch, chunk, seed=3)
    count = np.zeros(length, int)
    begins = int(batch > 1)
    assert batches.per_epoch == int(batches.per_epoch)
    for number in range(int(batches.per_epoch)):
        np.add.at(count, batches[number].targets[begins:].ravel() - 100, 1)
    assert (count == 1).all()


def test_the_first_row_shows_beginnings_of_lines() -> None:
    lines = [[3, 4, 5], [6, 7], [8], [9, 3, 4, 5]]
    ids = np.array([*(i for line in lines for i in (*line, NEWLINE)), EOS], np.uint8)
    batches = StreamBatches(ids, NEWLINE, batch=2, chunk=2, seed=1)
    begins = [(*line, NEWLINE)[:2] for line in lines]
    found = set()
    for number in range(200):
        batch = batches[number]
        assert batch.fresh[0]
        assert batch.inputs[0, 0] == EOS
        found.add(tuple(batch.targets[0].tolist()))
    assert found - {(EOS, 3)} == set(begins)


def test_short_documents_without_newlines_show_their_beginnings() -> None:
    ids = ids_of([[3, 4, 5, 6], [7, 8, 9]])
    batches = StreamBatches(ids, None, batch=2, chunk=2, seed=1)
    assert {tuple(batches[n].targets[0].tolist()) for n in range(50)} == {(3, 4), (7, 8)}


@pytest.mark.parametrize("blank", [0, 1, 2, 5])
def test_a_newline_before_eos_begins_no_line(blank: int) -> None:
    """Files of lines, as they are written: a newline ends the last line, too."""
    names = [[3 + n % 7, 3 + n // 7, NEWLINE] for n in range(49)]
    ids = ids_of([[*name, *[NEWLINE] * blank] for name in names])
    batches = StreamBatches(ids, NEWLINE, batch=2, chunk=2, seed=1)
    shown = Counter(tuple(batches[number].targets[0].tolist()) for number in range(1000))
    assert set(shown) == {tuple(name[:2]) for name in names}
    assert max(shown.values()) < 60  # all of them about 20 times


@pytest.mark.parametrize("newline", [None, NEWLINE])
@pytest.mark.parametrize("length", [500, 3 * START_SEARCH])
def test_of_a_long_line_random_parts_are_shown_with_their_context(
    newline: int | None, length: int
) -> None:
    ids = np.arange(3, 3 + length)  # all different, so ids show their position
    if newline is not None:
        ids = np.append(ids, [newline, EOS])
    batches = StreamBatches(ids, newline, batch=2, chunk=1, seed=1)
    shown = Counter[int]()
    for number in range(4000):
        batch = batches[number]
        position = int(np.flatnonzero(ids == batch.targets[0, 0])[0])
        assert batch.fresh[0]
        assert batch.inputs[0, 0] == (ids[position - 1] if position else EOS)
        shown[position] += 1
    assert 30 < shown[0] < 100  # one of 64 batches: about 62
    assert len(shown) > 400
    assert max(count for position, count in shown.items() if position) < 30


def test_every_long_document_without_newlines_shows_its_beginning() -> None:
    length = 5 * START_SEARCH
    ids = np.arange(3, 3 + 3 * length)
    batches = StreamBatches(ids, None, batch=2, chunk=1, seed=1, seams=[length, 2 * length])
    shown = Counter(
        int(batch.targets[0, 0]) - 3
        for batch in map(batches.__getitem__, range(4000))
        if batch.inputs[0, 0] == EOS
    )
    assert set(shown) == {0, length, 2 * length}
    assert 30 < shown[0] < 100
    # here positions just before them lead to the others too: 2 * 4096 of 61,440
    assert all(200 < shown[position] < 500 for position in (length, 2 * length))


def test_a_document_after_a_seam_is_read_after_eos() -> None:
    ids = np.arange(10, 22, dtype=np.uint8)
    batches = StreamBatches(ids, None, batch=1, chunk=6, seed=1, seams=[4, 6])
    assert batches[0].inputs.tolist() == [[EOS, 10, 11, 12, EOS, 14]]
    assert batches[0].targets.tolist() == [[10, 11, 12, 13, 14, 15]]
    assert batches[1].inputs.tolist() == [[EOS, 16, 17, 18, 19, 20]]
    assert not batches[1].fresh.any()


def test_a_batch_is_a_function_of_the_seed_and_its_number() -> None:
    ids = np.random.default_rng(0).integers(1, 9, 500).astype(np.uint8)
    batches = StreamBatches(ids, NEWLINE, 4, 10, seed=1)
    late = batches[17]
    assert same(StreamBatches(ids, NEWLINE, 4, 10, seed=1)[17], late)
    others = [StreamBatches(ids, NEWLINE, 4, 10, seed)[17] for seed in range(2, 6)]
    assert not all(same(other, late) for other in others)


# --- lines


def lines_in(batches: LineBatches, numbers: range) -> list[list[int]]:
    """The lines that batches show, sorted; each is put together from its pieces."""
    found: list[list[int]] = []
    rows: list[list[int]] = []
    for number in numbers:
        batch = batches[number]
        if batch.fresh.all():
            found.extend(rows)
            rows = [[] for _ in batch.fresh]
        else:
            assert not batch.fresh.any()
        assert len(rows) == len(batch.targets)
        for row, inputs, targets in zip(rows, batch.inputs, batch.targets, strict=True):
            kept = targets != IGNORED
            assert (np.sort(~kept) == ~kept).all(), "padding is at the end"
            assert inputs[0] == (row[-1] if row else EOS) or not kept.any()
            row.extend(targets[kept].tolist())
            assert inputs[kept].tolist() == [EOS, *row][-int(kept.sum()) - 1 : -1] or not kept.any()
    return sorted(found + rows)


@given(LINES, st.integers(1, 6), st.integers(1, 20), st.integers(0, 2**32))
def test_an_epoch_reads_every_line_once(
    lines: list[list[int]], batch: int, chunk: int, seed: int
) -> None:
    batches = LineBatches(ids_of(lines), batch, chunk, seed)
    expected = sorted([*line, EOS] for line in lines)
    count = int(batches.per_epoch)
    assert lines_in(batches, range(count)) == expected


def test_batches_are_about_as_large_as_asked_for() -> None:
    generator = np.random.default_rng(0)
    lines = [[3] * int(length) for length in generator.integers(1, 30, 3000)]
    batches = LineBatches(ids_of(lines), batch=16, chunk=16, seed=1)
    sizes = [batches[number].targets.size for number in range(int(batches.per_epoch))]
    shares = [batches[n].characters / batches[n].targets.size for n in range(len(sizes))]
    assert max(sizes) <= 16 * 16
    assert np.mean(sizes) > 0.8 * 16 * 16
    assert np.mean(shares) > 0.9  # lines of a length go together


def test_very_short_lines_do_not_make_a_batch_of_endless_rows() -> None:
    batches = LineBatches(ids_of([[3]] * 5000), batch=64, chunk=64, seed=1)
    assert max(len(batches[n].fresh) for n in range(int(batches.per_epoch))) == MAX_ROWS


def test_a_long_line_goes_on_through_several_batches() -> None:
    chunk, length = 5, 5 * LONGEST_CHUNKS + 7
    line = list(range(2, 2 + length))
    batches = LineBatches(ids_of([line]), batch=2, chunk=chunk, seed=1)
    assert batches.per_epoch == 2
    first, second = batches[0], batches[1]
    assert first.fresh.tolist() == [True]
    assert second.fresh.tolist() == [False]
    assert first.targets.shape == (1, chunk * LONGEST_CHUNKS)
    assert [*first.targets[0], *second.targets[0]] == [*line, EOS]
    assert second.inputs[0, 0] == first.targets[0, -1]


def test_each_epoch_has_an_order_of_its_own() -> None:
    lines = [[2 + number // 8, 2 + number % 8] for number in range(64)]
    batches = LineBatches(ids_of(lines), batch=4, chunk=6, seed=1)
    count = int(batches.per_epoch)
    epochs = [
        [tuple(row) for number in range(count * epoch, count * (epoch + 1))
         for row in batches[number].targets.tolist()]
        for epoch in range(3)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("number", [0, 3, 40, 200])
def test_a_batch_does_not_depend_on_those_asked_for_before(number: int) -> None:
    generator = np.random.default_rng(0)
    ids = ids_of([[3] * int(length) for length in generator.integers(1, 30, 100)])
    used = LineBatches(ids, 4, 8, seed=1)
    for other in (100, 2, 57):
        used[other]
    assert same(used[number], LineBatches(ids, 4, 8, seed=1)[number])


# --- long lists of lines


def in_sections(patch: pytest.MonkeyPatch, place: int, places: int) -> None:
    """Let every list be a long one."""
    for name, value in {"MAX_TOGETHER": 0, "PLACE": place, "PLACES": places}.items():
        patch.setattr(batches_module, name, value)


@given(LINES, st.integers(1, 50), st.integers(1, 4), st.integers(0, 2**32))
def test_an_epoch_of_a_long_list_reads_every_line_once(
    lines: list[list[int]], place: int, places: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        in_sections(patch, place, places)
        batches = LineBatches(ids_of(lines), 3, 5, seed)
        numbers, sections = 0, -(-len(ids_of(lines)) // place)
        for section in range(-(-sections // places)):
            batches._prepare(section)
            numbers = batches._firsts[section + 1]
        found = lines_in(batches, range(numbers))
    assert Counter(map(tuple, found)) == Counter((*line, EOS) for line in lines)


def test_a_section_has_lines_from_all_over_a_long_list(monkeypatch: pytest.MonkeyPatch) -> None:
    in_sections(monkeypatch, 60, 20)
    lines = [[2 + number // 100] * 5 for number in range(2000)]  # a sorted list
    batches = LineBatches(ids_of(lines), 8, 8, seed=1)
    first = lines_in(batches, range(batches._firsts[-1] or int(batches.per_epoch / 10)))
    assert len({line[0] for line in first}) > 9  # of twenty letters
    other = LineBatches(ids_of(lines), 8, 8, seed=1)
    assert same(batches[300], other[300])
    assert same(batches[3], other[3])
    assert batches.per_epoch == pytest.approx(2000 * 6 / 64, rel=0.2)


@pytest.mark.parametrize("place", range(8))
def test_the_lines_at_a_place_begin_there(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "PLACE", 3)
    ids = np.array([5, EOS, 6, 7, 8, 9, EOS, 5, EOS], np.uint8)
    begins = [at for at in (0, 2, 7) if place <= at < place + 3]
    ends = {0: 2, 2: 7, 7: 9}
    expected = [index for at in begins for index in ids[at : ends[at]].tolist()]
    assert lines_at(ids, place).tolist() == expected


# --- lines with labels


def test_labels_are_read_but_never_predicted_and_some_are_left_out() -> None:
    """200 lines of one label (7 or 8) and 2 to 4 characters below 7; a tenth lose theirs."""
    lines = [[7 + n % 2, *([2 + n % 5] * (2 + n % 3))] for n in range(200)]
    batches = LineBatches(ids_of(lines), batch=16, chunk=8, seed=1, first_label=7)
    dropped: list[set[tuple[int, ...]]] = []
    for epoch in range(2):
        found: Counter[tuple[int, ...]] = Counter()
        count = round(batches.per_epoch)
        for number in range(epoch * count, (epoch + 1) * count):
            batch = batches[number]
            assert batch.targets.max() < 7
            assert (batch.inputs[:, 0] == EOS).all()
            for row, predicted in zip(batch.inputs, batch.targets, strict=True):
                labelled = row[1] >= 7
                assert (predicted[0] == IGNORED) == labelled
                wanted = predicted[predicted != IGNORED].tolist()
                assert wanted[-1] == EOS
                assert row[1 + labelled : len(wanted) + labelled].tolist() == wanted[:-1]
                line = (int(row[1]) if labelled else 0, *wanted)
                found[line] += 1
        assert sum(found.values()) == 200
        dropped.append({each for each in found if each[0] == 0})
        assert 8 <= sum(n for each, n in found.items() if each[0] == 0) <= 35
    assert dropped[0] != dropped[1]
    again = LineBatches(ids_of(lines), batch=16, chunk=8, seed=1, first_label=7)
    assert all(same(batches[number], again[number]) for number in range(5))
