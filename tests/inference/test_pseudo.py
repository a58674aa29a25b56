from __future__ import annotations

import numpy as np
import pytest

from charrnn.inference import pseudo
from charrnn.inference.pseudo import pseudo_scores, reader_windows
from charrnn.models.interface import LogProbabilities, Tokens
from charrnn.models.loading import load_reader
from charrnn.models.reader import Reader
from charrnn.text.documents import Documents
from charrnn.text.vocabulary import EOS, UNK
from tests.support import random_checkpoint

V = 5


class CountingReader:
    """Predicts a character from how often the ids on either side of it occur there."""

    vocabulary_size = V

    def predict(self, texts: Tokens) -> LogProbabilities:
        counts = np.ones((*texts[:, 1:-1].shape, V), np.float32)
        for side in (texts[:, :-2], texts[:, 2:]):
            counts += (side[..., None] == np.arange(V)) * 2
        predicted: LogProbabilities = np.log(counts / counts.sum(-1, keepdims=True))
        return predicted


def documents(*texts: list[int]) -> Documents:
    lengths = np.array([len(text) for text in texts], np.int64)
    ids = np.array([each for text in texts for each in text], np.int64)
    return Documents(ids, lengths.cumsum() - lengths, lengths)


def test_each_character_is_predicted_from_its_neighbours() -> None:
    (score,) = pseudo_scores(CountingReader(), [documents([2, 3, EOS])])
    # 2 between EOS and 3: 1 of 9; 3 between 2 and EOS: 1 of 9. The end is not predicted.
    assert score.characters == 2
    assert score.log_probability == pytest.approx(2 * np.log(1 / 9))


def test_a_text_without_its_end_is_read_as_if_it_had_one() -> None:
    given = documents([2, 2, 3], [3, 2, 2], [4])
    (whole,) = pseudo_scores(CountingReader(), [given])
    parts = list(pseudo_scores(CountingReader(), [documents([*text, EOS]) for text in (
        [2, 2, 3], [3, 2, 2], [4],
    )]))
    assert whole.characters == sum(part.characters for part in parts) == 7
    assert whole.log_probability == pytest.approx(sum(part.log_probability for part in parts))


def test_unknown_characters_and_progress_are_counted() -> None:
    done: list[int] = []
    given = [documents([2, UNK, EOS]), documents([3])]
    first, second = pseudo_scores(CountingReader(), given, done.append)
    assert (first.unknown_characters, second.unknown_characters) == (1, 0)
    assert done == [2, 3]
    assert [each.characters for each in pseudo_scores(CountingReader(), [documents()])] == [0]


def test_windows_count_every_character_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo, "WINDOW", 10)
    monkeypatch.setattr(pseudo, "MARGIN", 3)
    monkeypatch.setattr(pseudo, "MAX_ROWS", 4)
    chance = np.random.default_rng(1)
    texts = [chance.integers(2, V, size).tolist() for size in (1, 9, 10, 11, 57, 30)]
    given = documents(*texts)
    seen = np.concatenate(
        [window.positions[window.counted] for window in reader_windows(given, V)]
    )
    assert sorted(seen) == [*range(len(given.ids))]
    whole = CountingReader()  # remembers one character on each side: windows change nothing
    (found,) = pseudo_scores(whole, [given])
    monkeypatch.setattr(pseudo, "WINDOW", 1000)
    (expected,) = pseudo_scores(whole, [given])
    assert found.log_probability == pytest.approx(expected.log_probability)


def test_a_network_reads_documents_as_if_alone() -> None:
    reader: Reader | None = load_reader(random_checkpoint("abc", bidirectional=True))
    assert reader is not None
    (both,) = pseudo_scores(reader, [documents([2, 3, 4], [4])])
    parts = list(pseudo_scores(reader, [documents([2, 3, 4]), documents([4])]))
    assert both.log_probability == pytest.approx(sum(each.log_probability for each in parts))
