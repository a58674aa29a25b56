from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text.corpus import load_corpus
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import EOS
from charrnn.training import batches as batches_module
from charrnn.training import data as data_module
from charrnn.training.batches import LineBatches, StreamBatches
from charrnn.training.data import (
    MIN_CHARACTERS,
    _has_close_lines,
    changed_since_v1,
    prepare_data,
    validation_for,
)
from charrnn.training.settings import DEFAULTS, Settings
from tests.support import REPOSITORY, names, prose
from tests.training.support import prepare

V1 = REPOSITORY / "tests" / "data" / "v1"
NEWLINE = 2


@pytest.mark.parametrize(("validation", "needed"), [(0.0, 16), (0.1, 18), (0.5, 32)])
def test_a_text_too_short_to_train_on_is_refused(validation: float, needed: int) -> None:
    with pytest.raises(CorpusError, match=rf"too short to train on: 9 .*about {needed} or more"):
        prepare("too short", validation=validation)
    # and as long as it says is long enough, but for rounding
    assert prepare("x" * (needed + 1), validation=validation).training.size >= MIN_CHARACTERS


@pytest.mark.parametrize(
    ("characters", "fraction"),
    [
        (1, 0.1), (49_999, 0.1), (100_000, 0.05), (300_000, 0.017), (1_000_000, 0.005),
        (40_000_000, 0.005), (100_000_000, 0.002), (10**9, 0.0002), (5 * 10**9, 0.00004),
    ],
)
def test_of_a_short_text_a_larger_part_is_held_out_and_of_a_long_one_less(
    characters: int, fraction: float
) -> None:
    assert validation_for(characters) == fraction


def test_a_text_is_split_and_read_in_its_way() -> None:
    whole = prepare(prose(10))
    assert isinstance(whole.batches(DEFAULTS), StreamBatches)
    by_line = prepare(prose(10), lines=True)
    assert isinstance(by_line.batches(DEFAULTS), LineBatches)
    for text in (whole, by_line):
        assert len(text.training) + text.validation.characters in (
            len(text.corpus.ids), len(text.corpus.ids) - 1
        )


def test_nothing_that_is_known_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five gigabytes, one search for the ends of documents takes seconds."""
    texts = ["first", "second\n" * 300, "third text\n" * 400]
    searched = prepare(*texts)
    expected = StreamBatches(
        searched.training, None, DEFAULTS.batch, DEFAULTS.chunk, DEFAULTS.seed, searched.seams
    )

    def refuse(*arguments: object) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr("charrnn.text.documents.find_id_blocks", refuse)
    data = prepare(*texts)
    assert data.starts is not None
    batches = StreamBatches(
        data.training, None, DEFAULTS.batch, DEFAULTS.chunk, DEFAULTS.seed, data.seams, data.starts
    )
    for number in range(30):
        assert (batches[number].inputs == expected[number].inputs).all()
    assert data.corpus.documents().lengths.tolist() == [len(text) for text in texts]


def test_the_seed_of_a_run_draws_the_lines_held_out() -> None:
    list_of_names = "\n".join(names(100))
    drawn = [prepare(list_of_names, lines=True, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (data.validation.starts.tolist() for data in drawn)
    assert first == same != other


def test_the_beginning_after_a_cut_document_is_read_after_eos() -> None:
    """Nothing teaches that a text goes on with the beginning of another."""
    data = prepare("a" * 500, "b" * 500)
    assert data.seams.tolist() == [451]
    (batch,) = (data.batches(Settings(batch=1, chunk=901, seed=1))[0],)
    a, b = data.corpus.vocabulary.encode("ab").tolist()
    assert batch.targets[0, 449:453].tolist() == [a, a, b, b]
    assert batch.inputs[0, 449:453].tolist() == [a, a, EOS, b]
    assert (data.training == EOS).sum() == 0


# --- the end of the text alone


SMALL = Settings(batch=4, chunk=8, seed=3)


def read_by(settings: Settings, *texts: str, lines: bool = False) -> list[str]:
    """The characters that the rows of many batches are to predict, as text."""
    data = prepare(*texts, lines=lines)
    batches = data.batches(settings)
    rows = [row for number in range(300) for row in batches[number].targets]
    return [data.corpus.vocabulary.decode(row[row > EOS].tolist()) for row in rows]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_only_the_end_of_the_text_is_read(bidirectional: bool) -> None:
    """What is held out are b's and c's; the a's are far from the end."""
    settings = replace(SMALL, bidirectional=bidirectional)
    texts = ["a" * 3_500 + "b" * 6_500, "c" * 1_000]
    assert set("".join(read_by(settings, *texts))) == {"a", "b", "c"}
    assert set("".join(read_by(replace(settings, recent=2_000), *texts))) == {"b", "c"}
    assert set("".join(read_by(replace(settings, recent=1_000), *texts))) == {"b", "c"}


def test_an_end_as_long_as_the_text_is_all_of_it() -> None:
    data = prepare(prose(100))
    every, end, more = (
        data.batches(replace(SMALL, recent=recent))
        for recent in (0, len(data.training), 10**9)
    )
    for number in range(20):
        assert (every[number].inputs == end[number].inputs).all()
        assert (every[number].inputs == more[number].inputs).all()


def test_the_end_of_a_document_is_read_once_in_an_epoch() -> None:
    data = prepare(prose(400))
    rows = SMALL.batch - 1
    assert data.batches(replace(SMALL, recent=1_000)).per_epoch == 1_000 / (rows * SMALL.chunk)


def test_the_end_of_a_list_begins_with_a_line() -> None:
    """Every line is a number, and of the last thousand ids none is read in part."""
    numbers = [f"{number}" for number in range(1_000, 2_000)]
    found = set(read_by(replace(SMALL, recent=1_000), "\n".join(numbers), lines=True))
    assert found <= set(numbers)
    assert len(found) == pytest.approx(200, abs=1)


def test_a_line_longer_than_the_end_is_not_cut() -> None:
    text = "ab\n" * 50 + "c" * 5_000
    found = read_by(replace(SMALL, chunk=64, recent=1_000), text, lines=True)
    assert "ab" in found


# --- what a run of charrnn 0.1.0 finds changed


SETTINGS = Settings(batch=4, chunk=8, seed=3)
LINES_CHANGED = "which lines are held out has changed"
PART_CHANGED = "which part of several texts is held out has changed"
BEGINNINGS_CHANGED = "which beginnings of lines are shown has changed"


@pytest.mark.parametrize(
    ("names", "lines", "validation", "expected"),
    [
        (["prose.txt"], False, 0.1, None),
        (["names.txt"], True, 0.1, LINES_CHANGED),
        (["names.txt"], True, 0.0, None),
        (["a.txt", "b.txt"], False, 0.1, PART_CHANGED),
        (["a.txt", "b.txt"], False, 0.0, BEGINNINGS_CHANGED),
        (["prose.txt"], False, 0.0, BEGINNINGS_CHANGED),  # a newline before EOS
    ],
)
def test_a_run_of_format_1_goes_on_where_its_text_is_the_same(
    names: list[str], lines: bool, validation: float, expected: str | None
) -> None:
    corpus = load_corpus([str(V1 / name) for name in names], Reading(lines=lines))
    data = prepare_data(corpus, validation, seed=3)
    assert changed_since_v1(data, SETTINGS) == expected


@pytest.mark.parametrize(
    ("texts", "validation", "batch", "expected"),
    [
        (["ACGT" * 5000], 0.1, 4, BEGINNINGS_CHANGED),
        (["ACGT" * 5000 + "\n"], 0.1, 4, BEGINNINGS_CHANGED),
        (["ACGT" * 5000], 0.1, 1, None),  # no row for beginnings
        ([prose(50)[:-1]], 0.0, 4, None),
        ([prose(50)] * 2, 0.0, 1, None),
        ([prose(50), ""], 0.1, 4, None),
    ],
)
def test_only_what_was_shown_otherwise_has_changed(
    texts: list[str], validation: float, batch: int, expected: str | None
) -> None:
    data = prepare(*texts, validation=validation)
    assert changed_since_v1(data, Settings(batch=batch, chunk=8)) == expected


@pytest.mark.parametrize("run", ["unfinished", "finished"])
def test_the_digest_in_an_old_file_is_still_that_of_its_text(run: str) -> None:
    header = (V1 / run / "model.safetensors").read_bytes()
    length = int.from_bytes(header[:8], "little")
    digest = load_corpus([str(V1 / "prose.txt")], Reading()).digest
    assert digest in json.loads(header[8 : 8 + length])["__metadata__"]["charrnn"]


def beginning_of_format_1(ids: npt.NDArray[np.uint8], search: int, seed: int, number: int) -> int:
    """Where charrnn 0.1.0 began the first row in a text of one document."""
    near = int(np.random.default_rng((seed, number)).integers(len(ids)))
    ahead = ids[near : near + search]
    ends = np.flatnonzero((ahead[:-1] == NEWLINE) & (ahead[1:] != NEWLINE))
    return near + int(ends[0]) + 1 if len(ends) else 0


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=60), st.integers(0, 12), st.integers(2, 20),
    st.integers(0, 2**32),
)
def test_a_text_with_close_lines_is_read_as_by_format_1(
    lengths: list[int], last: int, search: int, seed: int
) -> None:
    """Lines of these lengths, newline included, and one without a newline."""
    lines = [[5] * (length - 1) + [NEWLINE] for length in lengths] + [[5] * last]
    ids = np.array([index for line in lines for index in line], np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        for module in (batches_module, data_module):
            patch.setattr(module, "START_SEARCH", search)
        if len(ids) < 2 or not _has_close_lines(ids, NEWLINE):
            return
        batches = StreamBatches(ids, NEWLINE, batch=3, chunk=4, seed=seed)
        for number in range(20):
            found = batches[number]
            position = beginning_of_format_1(ids, search, seed, number)
            expected = (position + np.arange(found.targets.shape[1])) % len(ids)
            assert found.targets[0].tolist() == ids[expected].tolist()
            assert found.inputs[0, 0] == EOS
