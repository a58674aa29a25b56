"""From a file to a model: the network, the n-gram model, both; files that do not fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.errors import CheckpointError, SettingsError
from charrnn.models.checkpoint import EXPONENTS, Checkpoint, load_checkpoint, save_checkpoint
from charrnn.models.ensemble import NumpyEnsemble
from charrnn.models.interface import LanguageModel
from charrnn.models.loading import load_model
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel
from charrnn.models.numpy_rnn import NumpyRNN
from tests.conftest import Command
from tests.faults.support import forged, parts
from tests.support import random_checkpoint

MODEL = Path("model.safetensors")
ORDER = 3


def both() -> Checkpoint:
    """A network and an n-gram model."""
    checkpoint = random_checkpoint("ab")
    ids = checkpoint.vocabulary.encode("abbabaabbbab")
    counts = NgramModel.build(ids, ORDER, len(checkpoint.vocabulary)).source
    exponents = np.linspace(0.2, 0.9, 2 * ORDER, dtype=np.float32).reshape(ORDER, 2)
    return replace(checkpoint, ngram=counts, exponents=exponents)


def same(one: LanguageModel, other: LanguageModel) -> bool:
    tokens = np.random.default_rng(0).integers(0, one.vocabulary_size, (2, 30))
    found, _ = one.forward(tokens, one.initial_state(2))
    expected, _ = other.forward(tokens, other.initial_state(2))
    return np.array_equal(found, expected)


def test_what_is_there_is_loaded() -> None:
    checkpoint = both()
    ngram_alone = replace(checkpoint, architecture=None, weights={}, exponents=None)
    network_alone = replace(checkpoint, ngram=None, exponents=None)
    assert isinstance(load_model(checkpoint), Mixture)
    assert isinstance(load_model(checkpoint, use_ngram=False), NumpyRNN)
    assert isinstance(load_model(network_alone), NumpyRNN)
    assert isinstance(load_model(ngram_alone), NgramModel)
    assert same(load_model(checkpoint, use_ngram=False), load_model(network_alone))


def test_several_networks_survive_the_round_trip(charrnn: Command) -> None:
    several = replace(both(), **vars(random_checkpoint("ab", "gru", 2, networks=3)))
    several = replace(several, ngram=both().ngram, exponents=both().exponents)
    save_checkpoint(MODEL, several)
    found = load_checkpoint(MODEL)
    assert (found.networks, found.parameters) == (3, several.parameters)
    assert same(load_model(found), load_model(several))
    alone = load_model(found, use_ngram=False)
    assert isinstance(alone, NumpyEnsemble)
    assert charrnn("info", MODEL).out.splitlines().count("networks\t3") == 1
    for command in (("sample", "-c", MODEL, "--seed", "1"), ("score", "-c", MODEL, "abba")):
        result = charrnn(*command)
        assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (1, "it has an unexpected array"),
        (4, "it lacks array"),
        (0, "networks must be 1 to"),
        (17, "networks must be 1 to"),
        (True, "not an integer"),
        ("3", "not an integer"),
    ],
)
def test_another_number_of_networks_is_refused(networks: Any, message: str) -> None:
    save_checkpoint(MODEL, random_checkpoint("ab", networks=3))
    header, description, buffer = parts(MODEL.read_bytes())
    MODEL.write_bytes(forged(header, {**description, "networks": networks}, buffer))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(MODEL)


def test_networks_that_differ_in_shape_or_are_readers_are_refused() -> None:
    save_checkpoint(MODEL, random_checkpoint("ab", networks=2))
    header, description, buffer = parts(MODEL.read_bytes())
    header["networks.1.output.weight"]["shape"].reverse()
    refused(header, description, buffer)
    save_checkpoint(MODEL, random_checkpoint("ab", networks=2, bidirectional=True))
    with pytest.raises(CheckpointError, match="a reader is one network"):
        load_checkpoint(MODEL)


def test_an_ngram_model_alone_cannot_be_left_out() -> None:
    alone = replace(both(), architecture=None, weights={}, exponents=None)
    with pytest.raises(SettingsError, match="leave out no_ngram"):
        load_model(alone, use_ngram=False)


@pytest.mark.parametrize("kept", ["both", "network", "ngram"])
def test_a_file_gives_the_same_model_back(kept: str) -> None:
    checkpoint = both()
    if kept == "network":
        checkpoint = replace(checkpoint, ngram=None, exponents=None)
    if kept == "ngram":
        checkpoint = replace(checkpoint, architecture=None, weights={}, exponents=None)
    save_checkpoint(MODEL, checkpoint)
    found = load_checkpoint(MODEL)
    assert same(load_model(found), load_model(checkpoint))
    assert type(load_model(found)) is type(load_model(checkpoint))
    data = MODEL.read_bytes()
    save_checkpoint(MODEL, found)
    assert MODEL.read_bytes() == data


def saved() -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """A sealed file's header, description and arrays' bytes."""
    save_checkpoint(MODEL, both())
    return parts(MODEL.read_bytes())


def refused(header: dict[str, Any], description: dict[str, Any], buffer: bytes) -> None:
    MODEL.write_bytes(forged(header, description, buffer))
    with pytest.raises(CheckpointError, match=str(MODEL)):
        load_checkpoint(MODEL)


def with_bytes(header: dict[str, Any], buffer: bytes, name: str, values: bytes) -> bytes:
    """`buffer` with the first bytes of an array replaced."""
    begin, end = header[name]["data_offsets"]
    assert len(values) <= end - begin
    return buffer[:begin] + values + buffer[begin + len(values) :]


def test_a_forgery_without_a_change_is_accepted() -> None:
    MODEL.write_bytes(forged(*saved()))
    assert same(load_model(load_checkpoint(MODEL)), load_model(both()))


@pytest.mark.parametrize("shape", [[2, ORDER], [2 * ORDER], [ORDER, 2, 1], [2 * ORDER, 1]])
def test_exponents_of_another_shape_are_refused(shape: list[int]) -> None:
    header, description, buffer = saved()
    header[EXPONENTS]["shape"] = shape
    refused(header, description, buffer)


def test_exponents_that_are_no_numbers_are_refused() -> None:
    header, description, buffer = saved()
    for value in (np.nan, np.inf, 1e30):
        number = np.float32(value).tobytes()
        refused(header, description, with_bytes(header, buffer, EXPONENTS, number))


def test_exponents_of_another_type_are_refused() -> None:
    header, description, buffer = saved()
    header[EXPONENTS]["dtype"] = "U32"
    refused(header, description, buffer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ngram.2.count", 0),  # never seen, and yet there
        ("ngram.3.count", 0),
        ("ngram.2.character", 200),  # not in the vocabulary
        ("ngram.3.character", 200),
        ("ngram.1.children", 9),  # more continuations than there are
        ("ngram.2.children", 9),
    ],
)
def test_ngram_counts_that_contradict_each_other_are_refused(name: str, value: int) -> None:
    header, description, buffer = saved()
    refused(header, description, with_bytes(header, buffer, name, bytes([value])))


def test_an_ngram_model_of_another_order_is_refused() -> None:
    header, description, buffer = saved()
    description["ngram"]["order"] = ORDER + 1
    refused(header, description, buffer)


def test_a_mixture_without_its_exponents_is_refused() -> None:
    checkpoint = replace(both(), exponents=None)
    save_checkpoint(MODEL, checkpoint)
    with pytest.raises(CheckpointError):
        load_checkpoint(MODEL)
