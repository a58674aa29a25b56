from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn import errors
from charrnn.api import TrainedModel
from charrnn.errors import CheckpointError, CorpusError, SettingsError, VocabularyError
from charrnn.inference.texts import SAMPLES_AT_ONCE
from charrnn.models.checkpoint import save_checkpoint
from charrnn.storage.runs import MODEL_FILE
from tests.support import random_checkpoint, random_model

ALPHABET = "abcdefgh \n"


@pytest.fixture
def model() -> TrainedModel:
    """Of files: a text's end is not predicted unless asked for."""
    return random_model(random_checkpoint(ALPHABET, hidden=12))


@pytest.fixture
def lines_model() -> TrainedModel:
    return random_model(random_checkpoint(ALPHABET, lines=True))


def test_load_opens_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, random_checkpoint(ALPHABET))
    expected = random_model(random_checkpoint(ALPHABET)).score(["abc"])
    for checkpoint in ("run", Path("run"), "run/model.safetensors"):
        assert charrnn.load(checkpoint).score(["abc"]) == expected
    monkeypatch.setenv("CHARRNN_CHECKPOINT", "run")
    assert charrnn.load().score(["abc"]) == expected


def test_loading_what_is_not_there_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint nowhere"):
        charrnn.load("nowhere")


def test_samples_begin_with_the_prime_and_have_the_length(model: TrainedModel) -> None:
    for text in model.sample(num=5, length=20, prime="abc", seed=1):
        assert text.startswith("abc")
        assert len(text) <= 3 + 20
        assert set(text) <= set(ALPHABET)


def test_the_seed_decides(model: TrainedModel) -> None:
    assert model.sample(num=3, seed=7) == model.sample(num=3, seed=7)
    assert model.sample(num=3, seed=7) != model.sample(num=3, seed=8)
    assert len(set(model.sample(num=3, seed=7))) == 3
    assert len({model.sample()[0] for _ in range(5)}) > 1


def test_argmax_ignores_the_seed(model: TrainedModel) -> None:
    greedy = {
        text
        for seed in range(4)
        for decoding in ({"argmax": True}, {"temperature": 0.0}, {"top_k": 1})
        for text in model.sample(num=2, length=30, seed=seed, prime="a", **decoding)
    }
    assert len(greedy) == 1


@pytest.mark.parametrize("num", [1, 5, SAMPLES_AT_ONCE, SAMPLES_AT_ONCE + 3])
def test_text_k_is_the_same_however_many_there_are(model: TrainedModel, num: int) -> None:
    many = model.sample(num=SAMPLES_AT_ONCE + 3, length=15, seed=3)
    assert model.sample(num=num, length=15, seed=3) == many[:num]


def test_any_numbers_can_be_asked_for(model: TrainedModel) -> None:
    many = model.sample(num=8, length=15, seed=3)
    assert [sample.text for sample in model.samples(range(2, 5), 15, "", 3)] == many[2:5]


def test_a_text_is_the_same_alone_as_among_others_that_end(lines_model: TrainedModel) -> None:
    together = lines_model.sample(num=20, length=None, seed=5)
    alone = [next(lines_model.samples(range(k, k + 1), None, "", 5)).text for k in range(20)]
    assert alone == together
    assert len({len(text) for text in together}) > 5


def test_a_stream_is_the_first_sample(model: TrainedModel) -> None:
    streamed = "".join(model.stream(40, "abc", 5, temperature=0.7))
    assert "abc" + streamed == model.sample(1, 40, "abc", 5, temperature=0.7)[0]


def test_a_stream_is_made_as_it_is_read(model: TrainedModel) -> None:
    endless = random_checkpoint(ALPHABET)
    endless.weights["output.bias"][1] = -1e6
    assert len("".join(islice(random_model(endless).stream(None, seed=1), 1000))) == 1000
    assert len(list(model.stream(0))) == 0


def test_a_text_of_files_goes_on_to_its_length(model: TrainedModel) -> None:
    short = model.sample(num=30, length=40, seed=1, until_eos=True)
    assert min(map(len, short)) < 40
    assert {len(text) for text in model.sample(num=30, length=40, seed=1)} == {40}
    assert len("".join(model.stream(40, seed=2))) == 40


def test_a_text_of_lines_ends_by_itself_unless_it_must_not(lines_model: TrainedModel) -> None:
    assert min(map(len, lines_model.sample(num=30, length=40, seed=1))) < 40
    endless = lines_model.sample(num=30, length=40, seed=1, until_eos=False)
    assert {len(text) for text in endless} == {40}


def test_what_ended_a_text_is_said(lines_model: TrainedModel) -> None:
    found = list(lines_model.samples(range(50), length=5, prime="ab", seed=1))
    assert {sample.ended_by for sample in found} == {"eos", "length"}
    for sample in found:
        assert (sample.ended_by == "length") == (len(sample.text) == 2 + 5)
    assert next(lines_model.samples(range(1), length=0)).ended_by == "length"


def test_a_list_of_texts_without_end_is_refused(model: TrainedModel) -> None:
    with pytest.raises(SettingsError, match="nothing would end the text; give length or until_eos"):
        model.sample(length=None)


def test_without_a_length_a_text_ends_by_itself(lines_model: TrainedModel) -> None:
    texts = lines_model.sample(num=20, length=None, seed=1)
    assert len({len(text) for text in texts}) > 1


def test_options_out_of_range_are_refused(model: TrainedModel) -> None:
    with pytest.raises(SettingsError, match=r"^temperature must be 0 or more"):
        model.sample(temperature=-1)
    with pytest.raises(SettingsError, match="unknown decoding strategy 'beams'"):
        model.sample(beams=3)


def test_a_score_is_the_sum_of_its_characters(
    model: TrainedModel, lines_model: TrainedModel
) -> None:
    texts = ["abc", "", "a?b\n", "h" * 300]
    for each in (model, lines_model):
        for eos in (None, True, False):
            scores = each.score(texts, eos)
            characters = each.score_characters(texts, eos)
            for text, score, parts in zip(texts, scores, characters, strict=True):
                assert sum(parts.log_probabilities) == pytest.approx(score.log_probability)
                assert len(parts.log_probabilities) == score.characters
                assert "".join(parts.characters) == text
                assert all(value < 0 for value in parts.log_probabilities)


def test_the_end_counts_for_lines_or_on_request(
    model: TrainedModel, lines_model: TrainedModel
) -> None:
    def count(each: TrainedModel, eos: bool | None) -> int:
        return each.score(["abc"], eos)[0].characters

    assert [count(model, eos) for eos in (None, True, False)] == [3, 4, 3]
    assert [count(lines_model, eos) for eos in (None, True, False)] == [4, 4, 3]
    assert lines_model.score_characters(["ab"])[0].characters == ("a", "b", "")


def test_texts_side_by_side_score_as_each_alone(model: TrainedModel) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list(ALPHABET), n)) for n in (5, 0, 300, 1, 300, 17)]
    together = model.score(texts)
    for text, score in zip(texts, together, strict=True):
        (alone,) = model.score([text])
        assert alone.log_probability == pytest.approx(score.log_probability, abs=1e-4)


def test_unknown_characters_are_scored_as_unk_and_counted(model: TrainedModel) -> None:
    first, second, third = model.score(["a?b", "aéb", "a\ud800b"])
    assert first == second == third
    assert (first.characters, first.unknown_characters) == (3, 1)


def test_no_texts_have_no_scores(model: TrainedModel) -> None:
    assert model.score([]) == []
    assert model.score_characters([]) == []


def test_known_characters_can_be_required(model: TrainedModel) -> None:
    model.require_known("abc")
    with pytest.raises(VocabularyError, match=r"2 distinct .* \('X' 'Y'\); leave them out"):
        model.require_known("aXbYX")


def test_evaluating_a_corpus_is_scoring_its_documents(
    model: TrainedModel, lines_model: TrainedModel
) -> None:
    Path("a.txt").write_text("abc\n\nhead")
    Path("b.txt").write_text("deaf")
    whole = model.evaluate(["a.txt", Path("b.txt")])
    texts = model.score(["abc\n\nhead", "deaf"])
    assert whole.log_probability == pytest.approx(sum(text.log_probability for text in texts))
    assert whole.characters == 13
    by_line = lines_model.evaluate(["a.txt", "b.txt"])
    lines = lines_model.score(["abc", "head", "deaf"])
    assert by_line.log_probability == pytest.approx(sum(line.log_probability for line in lines))
    assert by_line.characters == 4 + 5 + 5


def test_evaluating_counts_unknown_characters(model: TrainedModel) -> None:
    Path("a.txt").write_text("abc???")
    score = model.evaluate(["a.txt"])
    assert (score.characters, score.unknown_characters) == (6, 3)


def test_evaluating_reads_other_encodings(model: TrainedModel) -> None:
    Path("a.txt").write_bytes("abc".encode("utf-16-le"))
    Path("b.txt").write_text("abc")
    assert model.evaluate(["a.txt"], "utf-16-le") == model.evaluate(["b.txt"])


def test_evaluating_what_is_not_there_is_an_error(model: TrainedModel) -> None:
    with pytest.raises(CorpusError, match=r"cannot read missing\.txt"):
        model.evaluate(["missing.txt"])


@pytest.mark.parametrize("name", charrnn.__all__)
def test_the_public_names_are_there(name: str) -> None:
    assert getattr(charrnn, name)


def test_errors_can_be_caught_by_public_names() -> None:
    with pytest.raises(charrnn.CharRNNError):
        charrnn.load("nowhere")
    assert charrnn.CheckpointError is errors.CheckpointError
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(charrnn, "nothing")  # noqa: B009 - mypy knows that it is not there


def test_importing_the_package_takes_no_library() -> None:
    program = (
        "import sys, charrnn\n"
        "from charrnn import CharRNNError, CheckpointError\n"
        "assert not {'numpy', 'torch', 'click', 'rich'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_model_is_shown_in_one_line() -> None:
    Path("run").mkdir()
    save_checkpoint(Path("run") / MODEL_FILE, random_checkpoint("abc", "gru", layers=2, hidden=7))
    model = charrnn.load("run")
    assert repr(model) == "<TrainedModel 'run': GRU 2 x 7, vocabulary of 5>"
    assert len(repr(model.checkpoint)) < 200
    assert "\n" not in repr(model.checkpoint)


@pytest.mark.parametrize("given", ["To be", "", b"ab", [1], [b"ab"], ["a", None], Path("a")])
def test_what_is_no_list_of_texts_is_a_type_error(model: TrainedModel, given: Any) -> None:
    for method in (model.score, model.score_characters):
        with pytest.raises(TypeError, match="give a list of texts, not "):
            method(given)


@pytest.mark.parametrize("given", ["file", Path("file"), [1]])
def test_what_is_no_list_of_files_is_a_type_error(model: TrainedModel, given: Any) -> None:
    with pytest.raises(TypeError, match="give a list of files, not "):
        model.evaluate(given)


def test_texts_may_come_from_a_generator(model: TrainedModel) -> None:
    texts: Any = (text for text in ("abc", "head"))
    assert model.score(texts) == model.score(["abc", "head"])
    texts = (text for text in ("abc", "head"))
    assert len(model.score_characters(texts)) == 2


def test_an_empty_text_has_no_predictions_but_its_end(model: TrainedModel) -> None:
    (without,) = model.score([""])
    assert (without.characters, without.log_probability) == (0, 0.0)
    (with_end,) = model.score([""], eos=True)
    assert with_end.characters == 1
    assert with_end.log_probability < 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.sample(temperature=-1), "temperature must be 0 or more, not -1"),
        (lambda model: model.sample(top_p=2.0), "top_p must be 0 to 1, not 2"),
        (lambda model: model.sample(num=-1), "num must be 0 or more, not -1"),
        (lambda model: model.sample(length=-2), "length must be 0 or more, not -2"),
        (lambda model: model.sample(seed=-3), "seed must be 0 or more, not -3"),
        (lambda model: model.training_text(), "name it with corpus"),
        (lambda model: model.require_known("X"), "leave them out"),
        (lambda model: charrnn.load(""), "the name of the checkpoint is empty"),
    ],
)
def test_errors_speak_of_arguments_not_of_options(
    call: Callable[[TrainedModel], object], message: str, model: TrainedModel
) -> None:
    with pytest.raises(charrnn.CharRNNError) as raised:
        call(model)
    assert message in str(raised.value)
    assert "--" not in str(raised.value)
