"""The fit of the mixture, and what the command line makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import charrnn.training.log_linear
import charrnn.training.mixing
from charrnn.inference.scoring import evaluate_documents
from charrnn.models.checkpoint import load_checkpoint
from charrnn.models.interface import LanguageModel
from charrnn.models.mixture import Mixture
from charrnn.models.ngram import NgramModel
from charrnn.text.documents import Documents, documents_of
from charrnn.training.mixing import Fit, calibrate, choices_of_fit, fit_mixture
from tests.conftest import Command
from tests.faults.support import TINY
from tests.support import QUICK, Result, TableModel, Trained, names, prose

V = 8
FIRST = 2
"""The first id that is a character."""
ORDER = 3


class Source(NamedTuple):
    """Random text in which two characters decide on the next."""

    shares: npt.NDArray[np.float64]  # (V, V, V)

    def text(self, length: int, seed: int) -> npt.NDArray[np.int64]:
        random = np.random.default_rng(seed)
        ids = [FIRST, FIRST]
        for draw in random.random(length):
            ids.append(int((self.shares[ids[-2], ids[-1]].cumsum() > draw).argmax()))
        return np.array(ids[2:])

    def documents(self, length: int, seed: int) -> Documents:
        return documents_of([self.text(length, seed)], with_eos=False)


@pytest.fixture(scope="module")
def source() -> Source:
    shares = np.random.default_rng(1).dirichlet(np.full(V - FIRST, 0.3), (V, V))
    return Source(np.pad(shares, ((0, 0), (0, 0), (FIRST, 0))))


@pytest.fixture(scope="module")
def network(source: Source) -> TableModel:
    """Knows one character's influence well."""
    text = source.text(20_000, 1)
    counts = np.full((V, V), 0.5)
    np.add.at(counts, (text[:-1], text[1:]), 1)
    return TableModel((counts / counts.sum(1, keepdims=True)).tolist())


@pytest.fixture(scope="module")
def ngram(source: Source) -> NgramModel:
    """Knows two characters' influence a little."""
    return NgramModel.build(source.text(600, 2), ORDER, V)


@pytest.fixture(scope="module")
def fit(source: Source, network: TableModel, ngram: NgramModel) -> Fit:
    return fit_mixture(network, [ngram], source.documents(4000, 3))


def loss(model: LanguageModel, documents: Documents) -> float:
    return evaluate_documents(model, documents).nats_per_character


def test_its_figures_are_those_of_evaluation(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    documents = source.documents(4000, 3)
    mixed = Mixture(network, ngram, fit.exponents)
    calibrated = network.with_temperature(fit.calibration.temperature)
    again = Mixture(calibrated, ngram, fit.calibrated_exponents)
    for model, figure in ((ngram, fit.ngram), (mixed, fit.mixture), (again, fit.mixture)):
        assert loss(model, documents) == pytest.approx(figure, abs=1e-4)
    assert loss(calibrated, documents) <= fit.network < loss(calibrated, documents) + 0.002


def test_together_they_beat_both_on_the_text_of_the_fit(fit: Fit) -> None:
    assert fit.exponents.shape == (ORDER, 2)
    assert fit.exponents.dtype == np.float32
    assert fit.helps
    assert fit.mixture < min(fit.network, fit.ngram) - 0.01
    assert fit.mixture < fit.cross_validated < fit.mixture + 0.01
    assert fit.figures() == {
        "network_nats_per_character": fit.network,
        "ngram_nats_per_character": fit.ngram,
        "nats_per_character": fit.cross_validated,
    }


def test_together_they_beat_both_on_further_text(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    documents = source.documents(4000, 4)
    together = loss(Mixture(network, ngram, fit.exponents), documents)
    assert together < min(loss(network, documents), loss(ngram, documents)) - 0.01


def test_the_fit_is_the_best_there_is_nearby(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    documents = source.documents(4000, 3)
    for change in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)):
        changed = fit.exponents + np.array(change, np.float32)
        assert loss(Mixture(network, ngram, changed), documents) > fit.mixture


def test_an_ngram_model_of_other_text_gets_almost_no_weight() -> None:
    shares = np.zeros((V, V))
    shares[:, FIRST:] = np.random.default_rng(1).dirichlet(np.full(V - FIRST, 0.3), V)
    source = Source(np.broadcast_to(shares, (V, V, V)))  # one character decides on the next
    network = TableModel((0.999 * shares + 0.001 / V).tolist())  # and the network knows how
    stranger = NgramModel.build(np.random.default_rng(0).integers(FIRST, V, 600), ORDER, V)
    fit = fit_mixture(network, [stranger], source.documents(4000, 3))
    assert np.abs(fit.exponents[:, 1]).max() < 0.2
    assert fit.network - 0.002 < fit.mixture <= fit.network
    assert not fit.helps
    mixed = Mixture(network, stranger, fit.exponents)
    further = source.documents(4000, 4)
    assert loss(mixed, further) == pytest.approx(loss(network, further), abs=0.002)


def test_an_ngram_model_that_does_not_help_is_not_in_the_figures(fit: Fit) -> None:
    for gain, helps in ((0.0, False), (-0.01, False), (0.01, True)):
        changed = replace(fit, cross_validated=fit.network - gain)
        assert changed.helps is helps
        figure = changed.figures()["nats_per_character"]
        assert figure == (changed.cross_validated if helps else fit.network)


def test_a_long_text_is_sampled_from_all_of_it(
    monkeypatch: pytest.MonkeyPatch, source: Source, network: TableModel, ngram: NgramModel
) -> None:
    """The last third is of a kind that the network knows nothing of: it has its share."""
    monkeypatch.setattr(charrnn.training.mixing, "MAX_POSITIONS", 900)
    strange = np.random.default_rng(5).integers(FIRST, V, 1500)
    pieces = [source.text(1500, 3), source.text(1500, 4), strange]
    fit = fit_mixture(network, [ngram], documents_of(pieces, with_eos=False))
    whole = loss(network, documents_of(pieces, with_eos=False))
    assert fit.network == pytest.approx(whole, rel=0.05)


def test_blocks_of_positions_give_the_same_fit(
    monkeypatch: pytest.MonkeyPatch,
    source: Source,
    network: TableModel,
    ngram: NgramModel,
    fit: Fit,
) -> None:
    monkeypatch.setattr(charrnn.training.log_linear, "BLOCK_CELLS", 700 * 2 * V)
    again = fit_mixture(network, [ngram], source.documents(4000, 3))
    np.testing.assert_allclose(again.exponents, fit.exponents, atol=1e-3)  # rounding ends it
    assert again.cross_validated == pytest.approx(fit.cross_validated, abs=1e-6)


def test_the_halves_of_the_cross_validation_do_not_interleave(
    source: Source, network: TableModel, ngram: NgramModel
) -> None:
    """As from two texts, each with the other's exponents, though segments are read in parallel."""
    text = np.concatenate([source.text(4000, 3), np.random.default_rng(5).integers(FIRST, V, 4000)])
    halves = [documents_of([half], with_eos=False) for half in (text[:4000], text[4000:])]
    fits = [fit_mixture(network, [ngram], half) for half in halves]
    losses = [
        loss(Mixture(network, ngram, other.exponents), half)
        for half, other in zip(halves, reversed(fits), strict=True)
    ]
    found = fit_mixture(network, [ngram], documents_of([text], with_eos=False))
    assert found.cross_validated == pytest.approx(np.mean(losses), abs=2e-3)
    assert found.cross_validated > found.mixture + 0.02


def test_a_few_characters_are_enough(
    source: Source, network: TableModel, ngram: NgramModel
) -> None:
    fit = fit_mixture(network, [ngram], source.documents(1, 3))
    assert np.isfinite(fit.exponents).all()
    assert np.isfinite(fit.mixture)


# --- several versions of the n-gram model


def test_the_exponents_lie_between_those_of_each_version_and_the_figures_are_means(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    documents = source.documents(4001, 3)
    stranger = NgramModel.build(np.random.default_rng(0).integers(FIRST, V, 600), ORDER, V)
    useless = fit_mixture(network, [stranger], documents)
    both = fit_mixture(network, [ngram, stranger], documents)
    weights = [each.exponents[:, 1].mean() for each in (useless, both, fit)]  # of the n-grams
    assert weights[0] + 0.05 < weights[1] < weights[2] - 0.05
    losses = [loss(each, documents) for each in (ngram, stranger)]
    assert both.ngram == pytest.approx(np.mean(losses), abs=1e-5)
    mixed = [Mixture(network, each, both.exponents) for each in (ngram, stranger)]
    losses = [loss(each, documents) for each in mixed]
    assert both.mixture == pytest.approx(np.mean(losses), abs=1e-4)
    assert both.mixture < both.cross_validated < both.mixture + 0.01
    assert both.network == pytest.approx(fit.network, abs=1e-3)


def test_a_version_twice_is_that_version(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    twice = fit_mixture(network, [ngram, ngram], source.documents(4000, 3))
    np.testing.assert_allclose(twice.exponents, fit.exponents, atol=0.03)  # a weaker penalty
    assert (twice.ngram, twice.network) == pytest.approx((fit.ngram, fit.network))
    assert twice.cross_validated == pytest.approx(fit.cross_validated, abs=1e-3)


def test_several_versions_share_the_positions(
    monkeypatch: pytest.MonkeyPatch, source: Source, network: TableModel, ngram: NgramModel
) -> None:
    monkeypatch.setattr(charrnn.training.mixing, "MAX_POSITIONS", 1000)
    documents = source.documents(4000, 3)
    found = fit_mixture(network, [ngram, ngram], documents)
    assert found.ngram == pytest.approx(loss(ngram, documents.subsample(500)), abs=1e-5)


# --- the network's own temperature


@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_a_network_that_is_too_sure_or_not_sure_enough_is_calibrated(
    source: Source, network: TableModel, temperature: float
) -> None:
    documents = source.documents(4000, 3)
    right = calibrate(network, documents)
    assert right.temperature == pytest.approx(1, abs=0.05)
    wrong = calibrate(network.with_temperature(1 / temperature), documents)
    assert wrong.temperature == pytest.approx(right.temperature * temperature, rel=0.03)
    assert wrong.nats_per_character == pytest.approx(loss(network, documents), abs=2e-3)


def test_a_network_that_is_worse_than_guessing_is_not_turned_round(
    source: Source, network: TableModel
) -> None:
    contrary = network.with_temperature(-1)
    found = calibrate(contrary, source.documents(4000, 3))
    assert found.temperature == pytest.approx(10)
    assert found.nats_per_character == pytest.approx(
        loss(contrary.with_temperature(10), source.documents(4000, 3)), abs=1e-4
    )


def test_shrinkage_is_a_factor_on_all_exponents_and_is_in_the_figures(
    source: Source, network: TableModel, ngram: NgramModel, fit: Fit
) -> None:
    documents = source.documents(4000, 3)
    shrunk = fit_mixture(network, [ngram], documents, 0.9)
    np.testing.assert_allclose(shrunk.exponents, 0.9 * fit.exponents, rtol=1e-6)
    temperature = fit.calibration.temperature / 0.9
    assert shrunk.calibration.temperature == pytest.approx(temperature)
    assert shrunk.calibration == calibrate(network, documents, 0.9)
    np.testing.assert_allclose(
        shrunk.calibrated_exponents[:, 0], temperature * shrunk.exponents[:, 0], rtol=1e-6
    )
    mixed = Mixture(network, ngram, shrunk.exponents)
    assert loss(mixed, documents) == pytest.approx(shrunk.mixture, abs=1e-4)
    assert shrunk.cross_validated > fit.cross_validated
    assert shrunk.network > fit.network


# --- large vocabularies

LARGE = 120


@pytest.fixture(scope="module")
def large() -> Source:
    """Few characters are frequent, many are rare."""
    shares = 1 / np.arange(1, LARGE + 1 - FIRST)
    random = np.random.default_rng(1)
    shares = np.stack(
        [random.permutation(shares * random.gamma(0.5, size=len(shares))) for _ in range(5)]
    )
    shares /= shares.sum(1, keepdims=True)
    shares = np.pad(shares, ((0, 0), (FIRST, 0)))
    return Source(shares[np.arange(LARGE * LARGE).reshape(LARGE, LARGE) % 5])


@pytest.fixture(scope="module")
def large_models(large: Source) -> tuple[TableModel, NgramModel]:
    text = large.text(3_000, 1)
    counts = np.full((LARGE, LARGE), 0.05)
    np.add.at(counts, (text[:-1], text[1:]), 1)
    network = TableModel((counts / counts.sum(1, keepdims=True)).tolist())
    return network, NgramModel.build(large.text(3_000, 2), ORDER, LARGE)


def test_a_sample_of_the_vocabulary_gives_the_same_fit(
    monkeypatch: pytest.MonkeyPatch, large: Source, large_models: tuple[TableModel, NgramModel]
) -> None:
    documents = large.documents(3000, 3)
    network, ngram = large_models
    exact = fit_mixture(network, [ngram], documents)
    monkeypatch.setattr(charrnn.training.mixing, "CANDIDATES", 48)
    sampled = fit_mixture(network, [ngram], documents)
    assert sampled.network == pytest.approx(exact.network, abs=1e-3)
    temperatures = [fit.calibration.temperature for fit in (sampled, exact)]
    assert temperatures[0] == pytest.approx(temperatures[1], rel=0.02)
    assert sampled.ngram == pytest.approx(exact.ngram, abs=1e-5)
    assert sampled.cross_validated == pytest.approx(exact.cross_validated, abs=1e-3)
    assert np.abs(sampled.exponents - exact.exponents).max() < 0.02
    together = loss(Mixture(network, ngram, sampled.exponents), documents)
    assert together == pytest.approx(exact.mixture, abs=1e-4)


def test_the_positions_of_the_fit_do_not_depend_on_the_vocabulary(
    monkeypatch: pytest.MonkeyPatch, large: Source, large_models: tuple[TableModel, NgramModel]
) -> None:
    monkeypatch.setattr(charrnn.training.mixing, "CANDIDATES", 20)
    monkeypatch.setattr(charrnn.training.mixing, "MAX_CELLS", 20 * 500)
    documents = large.documents(500, 3)
    network, ngram = large_models
    fit = fit_mixture(network, [ngram], documents)
    assert fit.ngram == pytest.approx(loss(ngram, documents), abs=1e-5)


@pytest.mark.parametrize(
    ("characters", "vocabulary", "choices"),
    [(1_000, 512, 0), (1_000, 513, 513_000), (20_000, 6_000, 16_384 * 6_000)],
)
def test_of_a_large_vocabulary_the_tables_are_chosen_from_all_of_it(
    characters: int, vocabulary: int, choices: int
) -> None:
    assert choices_of_fit(characters, vocabulary) == choices


# --- the command line


def train(charrnn: Command, *options: str, text: str = "") -> Result:
    Path("corpus.txt").write_text(text or prose(60))
    result = charrnn(
        "train", "corpus.txt", "-o", "run", *TINY, "--steps", "20", "--validate-every", "10",
        *options,
    )
    assert result.status == 0, result.err
    return result


def info(charrnn: Command, run: Path | str = "run") -> dict[str, Any]:
    result = charrnn("info", run, "--json")
    assert result.status == 0, result.err
    (record,) = result.records
    return dict(record)


def nats(charrnn: Command, run: Path | str, corpus: Path, *options: str) -> float:
    (record,) = charrnn("evaluate", "-c", run, corpus, "--json", *options).records
    return float(record["nats_per_character"])


def test_info_shows_every_figure(charrnn: Command) -> None:
    done = train(charrnn, "--json").records[-1]
    found = info(charrnn)
    assert found["ngram"]["order"] == 3
    assert found["ngram"]["bytes"] > found["ngram"]["ngrams"] > 0
    for name in (
        "network_nats_per_character", "ngram_nats_per_character", "nats_per_character"
    ):
        assert found["training"][name] == pytest.approx(done[name])
    assert done["nats_per_character"] < done["network_nats_per_character"]
    plain = charrnn("info", "run").out
    assert f"training.ngram_nats_per_character\t{done['ngram_nats_per_character']:.4f}" in plain


def test_the_start_tells_the_ngram_model_s_figure(charrnn: Command) -> None:
    start, *_, done = train(charrnn, "--json").records
    assert start["ngram_nats_per_character"] == pytest.approx(
        done["ngram_nats_per_character"], abs=1e-4
    )


def test_both_are_used_and_the_network_can_be_had_alone(
    charrnn: Command, prose_model: Trained
) -> None:
    held_out = Path("held_out.txt")
    held_out.write_text(prose(60, seed=2))
    assert nats(charrnn, prose_model.run, held_out) < nats(
        charrnn, prose_model.run, held_out, "--no-ngram"
    )
    for command in (("sample", "--seed", "1", "--length", "60"), ("score", "the cat saw")):
        name, *arguments = command
        together, alone = (
            charrnn(name, "-c", prose_model.run, *arguments, *options).out
            for options in ((), ("--no-ngram",))
        )
        assert together != alone


def test_order_zero_leaves_it_out(charrnn: Command) -> None:
    result = train(charrnn, "--ngram-order", "0")
    assert "gram model" not in result.err
    found = info(charrnn)
    assert found["ngram"] is None
    assert "ngram_nats_per_character" not in found["training"]
    together, alone = (
        charrnn("score", "-c", "run", "the cat", *options).out for options in ((), ("--no-ngram",))
    )
    assert together == alone


def test_an_ngram_model_that_does_not_help_is_left_out_with_a_warning(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def useless(*arguments: Any) -> Fit:
        fit = fit_mixture(*arguments)
        return replace(fit, cross_validated=fit.network + 0.01)

    monkeypatch.setattr("charrnn.training.closing.fit_mixture", useless)
    result = train(charrnn)
    assert "the n-gram model does not help on the held-out text: left out" in result.err
    assert load_checkpoint(Path("run")).ngram is None
    training = info(charrnn)["training"]
    assert training["nats_per_character"] == training["network_nats_per_character"]
    assert training["ngram_nats_per_character"] > 0  # still reported: it is the baseline
    assert charrnn("sample", "-c", "run", "--length", "20").status == 0


def test_without_held_out_text_it_is_left_out_with_a_warning(charrnn: Command) -> None:
    result = train(charrnn, "--validation", "0")
    assert "left out" in result.err
    assert load_checkpoint(Path("run")).ngram is None


@pytest.mark.parametrize("lines", [(), ("--lines",)], ids=["files", "lines"])
def test_an_ngram_model_alone_does_all_that_a_model_does(
    charrnn: Command, lines: tuple[str, ...]
) -> None:
    text = "".join(f"{name}\n" for name in names(200)) if lines else prose(60)
    done = train(charrnn, "--cell", "none", "--json", *lines, text=text).records[-1]
    assert info(charrnn)["network"] is None
    assert done["nats_per_character"] == info(charrnn)["training"]["nats_per_character"]

    sample = ("sample", "-c", "run", "--length", "60", "--seed")
    first, again, other = (charrnn(*sample, seed).out for seed in ("1", "1", "2"))
    assert first == again != other
    assert 1 < len(first) <= 61

    known, unlike = charrnn(
        "score", "-c", "run", "--json", text.split("\n")[0], "zzzzzzzz"
    ).records
    assert known["nats_per_character"] < unlike["nats_per_character"]

    held_out = Path("held_out.txt")
    held_out.write_text("".join(f"{name}\n" for name in names(50, 2)) if lines else prose(20, 2))
    assert 0 < nats(charrnn, "run", held_out) < np.log(30)

    refused = charrnn("score", "-c", "run", "--no-ngram", "x")
    assert refused.status == 2
    assert "--no-ngram" in refused.err


def test_lines_train_with_an_ngram_model_too(charrnn: Command) -> None:
    Path("names.txt").write_text("".join(f"{name}\n" for name in names(600)))
    result = charrnn("train", "names.txt", "-o", "run", "--lines", "--steps", "60", *QUICK)
    assert result.status == 0, result.err
    found = info(charrnn, "run")
    assert found["documents"] == "lines"
    assert found["ngram"] is not None
    assert found["training"]["nats_per_character"] < found["training"][
        "network_nats_per_character"
    ]
    samples = charrnn(
        "sample", "-c", "run", "--num", "5", "--seed", "1", "--json"
    ).out.splitlines()
    assert all(len(json.loads(each)["text"]) < 100 for each in samples)
