"""The model that comes with the package, as a user meets it who has trained nothing."""

from __future__ import annotations

import re
import statistics

import pytest

from charrnn import load
from charrnn.models.checkpoint import load_checkpoint
from charrnn.storage.bundled import DEFAULT, bundled_file, bundled_names
from tests.conftest import Command
from tests.support import REPOSITORY

MOST_BYTES = 3_000_000
WORD = r"[a-z]+(?:'[a-z]+)*"
KNOWN = frozenset(
    (REPOSITORY / "tests/data/shakespeare_words.txt").read_text(encoding="utf-8").split()
)
"""Words that its training text has at least five times."""
SAID = "checkpoint: shakespeare, which comes with charrnn; train one: charrnn train FILE\n"


@pytest.fixture(scope="module")
def written() -> str:
    """Text at the default temperature, 0.8."""
    return "\n".join(load().sample(num=6, length=800, seed=1))


@pytest.mark.fault(48)
def test_without_any_run_every_command_uses_it(charrnn: Command) -> None:
    sampled = charrnn("sample", "--seed", "1", "--length", "80")
    assert (sampled.status, sampled.err) == (0, SAID)
    assert sampled.out == load("shakespeare").sample(length=80, seed=1)[0] + "\n"
    named = charrnn("sample", "--seed", "1", "--length", "80", "-c", "shakespeare")
    assert (named.out, named.err) == (sampled.out, "")
    scored = charrnn("score", "To be, or not to be", "--json")
    assert (scored.status, scored.err) == (0, SAID)
    assert scored.records[0]["nats_per_character"] < 1.6
    assert charrnn("export", "page.html", "--no-ngram").err == SAID
    unlabelled = charrnn("sample", "--label", "French")
    assert "the model shakespeare knows no labels" in unlabelled.err
    assert "the model shakespeare has no labels" in charrnn("classify", "Murphy").err


def test_list_and_info_know_it(charrnn: Command) -> None:
    (record,) = charrnn("list", "--json").records
    assert (record["state"], record["default"]) == ("bundled", True)
    assert record["checkpoint"] == str(bundled_file(DEFAULT))
    (facts,) = charrnn("info", "shakespeare", "--json").records
    assert facts["checkpoint"] == record["checkpoint"]
    assert facts["vocabulary_size"] == 86


def test_it_is_small_and_tells_nothing_of_where_it_was_made() -> None:
    assert bundled_names() == [DEFAULT]
    file = bundled_file(DEFAULT)
    assert file.stat().st_size <= MOST_BYTES
    checkpoint = load_checkpoint(file)
    assert checkpoint.half
    assert checkpoint.corpus["names"] == ["corpora/shakespeare-training.txt"]
    assert not re.search(r"/(home|root|tmp|work)/", repr((checkpoint.training, checkpoint.corpus)))


def test_its_words_are_words(written: str) -> None:
    words = re.findall(WORD, written.lower())
    assert len(words) > 600
    assert sum(word in KNOWN for word in words) / len(words) > 0.9


def test_it_writes_speakers_and_verse(written: str) -> None:
    lines = [line for line in written.splitlines() if line.strip()]
    speakers = [line for line in lines if re.fullmatch(r"[A-Z][A-Z ]+\. ?", line)]
    assert 15 <= len(speakers) <= len(lines) / 2
    named = [word.lower() in KNOWN for line in speakers for word in re.findall("[A-Z]+", line)]
    assert statistics.mean(named) > 0.8
    spoken = [len(line) for line in lines if line not in speakers]
    assert 30 <= statistics.median(spoken) <= 50
    assert statistics.quantiles(spoken, n=10)[-1] <= 80
