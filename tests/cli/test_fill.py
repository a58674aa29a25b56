from __future__ import annotations

import re

import pytest

from tests.conftest import Command
from tests.faults.support import one_line_error
from tests.support import Trained


def test_each_text_is_a_line(charrnn: Command, prose_model: Trained) -> None:
    filled = charrnn("fill", "the c_t saw", "-c", prose_model.run, "--num", "3", "--seed", "1")
    assert filled.status == 0
    assert all(re.fullmatch("the c.t saw", line) for line in filled.out.splitlines())
    assert len(filled.out.splitlines()) == 3


def test_json_has_the_gaps_and_the_seed(charrnn: Command, prose_model: Trained) -> None:
    options = ("-c", prose_model.run, "--argmax", "--seed", "5", "--json")
    (record,) = charrnn("fill", "the c?t s[...]the moon.", "--blank", "?", *options).records
    assert record.keys() == {"text", "fills", "seed", "probability"}
    assert record["text"] == f"the c{record['fills'][0]}t s{record['fills'][1]}the moon."
    assert record["seed"] == 5
    assert 0 < record["probability"] <= 1


def test_unknown_characters_are_counted(charrnn: Command, prose_model: Trained) -> None:
    said = charrnn("fill", "§ the c_t", "-c", prose_model.run)
    assert said.out.startswith("§ the c")
    assert "1 unknown character, read as UNK: §" in said.err


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("no gap",), "nothing is missing in 'no gap'; write _ for each missing character"),
        (("a_", "--blank", "ab"), "--blank must be one character, not 'ab'"),
        (("a_", "--longest", "0"), "--longest must be 1 to 1,000, not 0"),
        (("a_", "--num", "-1"), "--num must be 0 to 1,000,000, not -1"),
        (("a_", "--temperature", "nan"), "--temperature must be 0 or more, not nan"),
        (("a_", "--sweeps", "-1"), "--sweeps must be 0 to 10,000, not -1"),
        (("a_", "--using", "reader"), "this model has no reader; train one with --bidirectional"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: tuple[str, ...], message: str, charrnn: Command, prose_model: Trained
) -> None:
    assert message in one_line_error(charrnn("fill", *options, "-c", prose_model.run), 2)
