from __future__ import annotations

from collections.abc import Iterator

import pytest

from charrnn.errors import SettingsError
from charrnn.inference.strategies import Value
from charrnn.inference.texts import Request, Sample, Writer
from charrnn.text.vocabulary import Vocabulary
from tests.support import TableModel, random_checkpoint, random_model

CYCLE = [  # after A comes B, after B comes C, and so on: "ABCABC..."
    [1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 1.0],
    [0.0, 0.0, 1.0, 0.0, 0.0],
]


def request(
    length: int | None = 9, prime: str = "", until_eos: bool = True, seed: int = 1,
    **decoding: Value,
) -> Request:
    return Request(prime, length, until_eos, seed, decoding)


@pytest.fixture
def cycle() -> Writer:
    return Writer(TableModel(CYCLE), Vocabulary.from_text("ABC"))


@pytest.fixture
def chance() -> Writer:
    model = random_model(random_checkpoint("abcdefgh", lines=True, seed=5))
    return Writer(model.model, model.vocabulary)


def one(samples: Iterator[Sample]) -> Sample:
    (sample,) = samples
    return sample


@pytest.mark.parametrize(
    ("stop", "new", "ended_by"),
    [
        ((), "ABCABCABC", "length"),
        (("BC",), "A", "stop"),
        (("CAB", "CAX"), "AB", "stop"),
        (("X", "CC", "?"), "ABCABCABC", "length"),
        (("ABCABCABC",), "", "stop"),
        (("ABCABCABCA",), "ABCABCABC", "length"),
        (("CA", "BCA"), "A", "stop"),
    ],
)
def test_a_stop_is_left_out_streamed_or_not(
    stop: tuple[str, ...], new: str, ended_by: str, cycle: Writer
) -> None:
    wanted = request(stop=stop)
    sample = one(cycle.samples(wanted, [0]))
    assert (sample.new, sample.ended_by) == (new, ended_by)
    assert len(sample.log_probabilities) == len(new)
    assert "".join(character for character, _ in cycle.stream(wanted)) == new


def test_what_may_belong_to_a_stop_is_held_back_no_longer_than_needed(cycle: Writer) -> None:
    written: list[str] = []
    stream = cycle.stream(request(None, stop=("CABX", "ABCABCA")))
    for character, _ in stream:
        written.append(character)
    assert not written  # "ABCABCA" ends it before anything is certain
    stream = cycle.stream(request(None, stop="CABX"))
    assert [next(stream)[0] for _ in range(5)] == list("ABCAB")


def test_the_prime_is_not_what_a_stop_is_looked_for_in(cycle: Writer) -> None:
    sample = one(cycle.samples(request(prime="ABC", stop="CA", length=4), [0]))
    assert (sample.text, sample.new) == ("ABCAB", "AB")


def test_a_stream_is_the_first_sample(chance: Writer) -> None:
    for decoding in ({}, {"stop": ("ab", "c")}, {"beam": 3}, {"repetition_penalty": 2.0}):
        wanted = request(30, "ab", **decoding)
        sample = one(chance.samples(wanted, [0]))
        characters, values = zip(*chance.stream(wanted), strict=True)
        assert "".join(characters) == sample.new
        ended = int(sample.ended_by == "eos")
        assert list(values) == pytest.approx(sample.log_probabilities[: len(values)])
        assert len(values) == len(sample.log_probabilities) - ended


def test_log_probabilities_are_those_that_score_gives() -> None:
    model = random_model(random_checkpoint("abcdefgh", lines=True, seed=5))
    ends = set()
    for sample in model.samples(range(20), 12, "", 1, temperature=0.3, top_k=4):
        ends.add(sample.ended_by)
        (score,) = model.score([sample.text], eos=sample.ended_by == "eos")
        assert sample.log_probability == pytest.approx(score.log_probability, abs=1e-4)
        assert sample.nats_per_character == pytest.approx(score.nats_per_character, abs=1e-5)
    assert ends == {"eos", "length"}


def test_a_search_finds_the_same_texts_whatever_the_seed(chance: Writer) -> None:
    found = list(chance.samples(request(12, beam=5), range(5)))
    again = list(chance.samples(request(12, beam=5, seed=2, temperature=0.1), range(5)))
    assert found == again
    assert len({sample.new for sample in found}) == 5
    assert [sample.number for sample in found] == list(range(5))


def test_no_more_texts_than_a_search_is_wide(chance: Writer) -> None:
    with pytest.raises(SettingsError, match="num must be at most beam, not 4: a search of 3"):
        list(chance.samples(request(12, beam=3), range(4)))
