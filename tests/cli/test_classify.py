"""Labels on the command line: train --labelled, sample and score --label, classify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import charrnn
from charrnn.api import classify_by_models
from tests.conftest import Command
from tests.faults.support import on_terminal, one_line_error
from tests.support import Trained, labelled_lines

LABELS = ["Basque", "German", "Irish"]


@pytest.fixture
def run(labelled_model: Trained) -> str:
    """The run directory of a labelled model."""
    return str(labelled_model.run)


def test_the_end_of_training_says_how_many_labels_are_recognised(
    labelled_model: Trained, charrnn: Command
) -> None:
    (done,) = labelled_model.of_kind("done")
    assert 0.7 < done["accuracy"] <= 1
    facts = json.loads(charrnn("info", labelled_model.run, "--json").out)
    assert facts["training"]["accuracy"] == done["accuracy"]
    assert [*facts["labels"]] == LABELS
    assert sum(facts["labels"].values()) == 400
    assert "--labelled" in facts["training"]["flags"]
    rows = charrnn("info", labelled_model.run).out
    assert f"labels.Irish\t{facts['labels']['Irish']}\n" in rows
    _, shown = on_terminal("info", labelled_model.run)
    assert "3 with their lines: German" in shown
    assert "recognises the label of " in shown


def test_ngrams_of_each_label_are_asked_too(run: str, charrnn: Command) -> None:
    texts = "bdk", "aeio", "abe"
    every = charrnn("classify", "-c", run, *texts, "--json").records
    alone = charrnn("classify", "-c", run, *texts, "--json", "--no-ngram").records
    assert [each["label"] for each in every] == ["German", "Irish", "Basque"]
    for one, other in zip(every, alone, strict=True):
        assert one["probabilities"] != other["probabilities"]
        assert sum(one["probabilities"].values()) == pytest.approx(1)


def test_texts_of_a_label(run: str, charrnn: Command) -> None:
    drawn = ("--num", "8", "--seed", "1", "--temperature", "0.3")
    texts = charrnn("sample", "-c", run, "--label", "Irish", *drawn).out.split()
    assert len(texts) == 8
    assert {*"".join(texts)} <= {*"aeio"}


def test_several_labels_are_written_in_turn(run: str, charrnn: Command) -> None:
    result = charrnn(
        "sample", "-c", run, "--label", "Irish", "--label", "German", "--num", "2", "--seed",
        "1", "--temperature", "0.3", "--json",
    )
    assert [each["label"] for each in result.records] == ["Irish"] * 2 + ["German"] * 2
    assert {*"".join(each["text"] for each in result.records[2:])} <= {*"bdkl"}
    _, shown = on_terminal(
        "sample", "-c", run, "--label", "Irish", "--label", "Basque", "--num", "2", "--seed", "1"
    )
    assert any("Irish" in line and "Basque" in line for line in shown.splitlines())


@pytest.mark.parametrize("decoding", [("--argmax",), ("--beam", "3")])
def test_every_decoding_begins_with_the_label(
    decoding: tuple[str, ...], run: str, charrnn: Command
) -> None:
    found = charrnn("sample", "-c", run, "--label", "German", "--seed", "1", *decoding)
    assert {*found.out.strip()} <= {*"bdkl"}


@pytest.mark.parametrize("command", [("sample",), ("score", "text")])
def test_an_unknown_label_is_refused(
    command: tuple[str, ...], run: str, names_model: Trained, charrnn: Command
) -> None:
    message = one_line_error(charrnn(*command, "-c", run, "--label", "irsh"), status=2)
    assert "--label 'irsh' is unknown to the model; did you mean 'Irish'?" in message
    message = one_line_error(
        charrnn(*command, "-c", str(names_model.run), "--label", "Irish"), status=2
    )
    assert "knows no labels; train one with --labelled" in message


def test_a_text_is_scored_with_a_label(run: str, charrnn: Command) -> None:
    found = {
        label: charrnn("score", "-c", run, "aeoi", "--label", label, "--json").records[0]
        for label in LABELS
    }
    assert found["Irish"]["label"] == "Irish"
    best = max(found, key=lambda label: found[label]["log_probability"])
    assert best == "Irish"
    plain = charrnn("score", "-c", run, "aeoi", "--json").records[0]
    assert "label" not in plain
    assert found["German"]["log_probability"] < plain["log_probability"]


def test_texts_are_classified(run: str, charrnn: Command) -> None:
    lines = charrnn("classify", "-c", run, "aeoi", "bdkl").out.splitlines()
    assert lines[0] == "label\tprobability\ttext"
    assert [line.split("\t")[::2] for line in lines[1:]] == [
        ["Irish", "aeoi"], ["German", "bdkl"],
    ]
    records = charrnn("classify", "-c", run, "-", "--json", stdin="aeoi\n\nbdkl\n").records
    assert [each["label"] for each in records] == ["Irish", "German"]
    for each in records:
        assert [*each["probabilities"]] == LABELS
        assert sum(each["probabilities"].values()) == pytest.approx(1)
        assert each["probability"] == each["probabilities"][each["label"]]
        assert each["checkpoint"] == run


def test_equal_priors_are_bayes_rule_without_frequencies(run: str, charrnn: Command) -> None:
    counts = json.loads(charrnn("info", run, "--json").out)["labels"]
    usual, uniform = (
        charrnn("classify", "-c", run, "be", "--json", *option).records[0]["probabilities"]
        for option in ((), ("--uniform",))
    )
    weights = {label: uniform[label] * counts[label] for label in LABELS}
    expected = {label: weights[label] / sum(weights.values()) for label in LABELS}
    assert usual == pytest.approx(expected)


def test_right_answers_are_compared(run: str, charrnn: Command) -> None:
    Path("test.tsv").write_text(labelled_lines(60, seed=2))
    (report,) = charrnn("classify", "-c", run, "--labelled", "-f", "test.tsv", "--json").records
    right = sum(report["confusion"][label].get(label, 0) for label in LABELS)
    assert report["accuracy"] == right / 60
    assert report["texts"] == 60
    vowels = report["confusion"]["Irish"]
    assert report["labels"]["Irish"]["recall"] == vowels["Irish"] / sum(vowels.values())
    result = charrnn("classify", "-c", run, "--labelled", "-f", "test.tsv")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [row[0] for row in rows] == ["label", *LABELS, "total"]
    assert float(rows[-1][1]) == pytest.approx(report["accuracy"], abs=1e-5)
    assert f"accuracy: {report['accuracy']:.4f} of 60 texts" in result.err
    status, shown = on_terminal("classify", "-c", run, "--labelled", "-f", "test.tsv")
    assert status == 0
    assert "3 Irish  \x1b[30;107m  0" in shown  # a heat map: black on white
    _, plain = on_terminal(
        "classify", "-c", run, "--labelled", "-f", "test.tsv", env={"NO_COLOR": "1"}
    )
    assert "3 Irish" not in plain


def test_evaluation_reads_labels(run: str, charrnn: Command) -> None:
    Path("test.tsv").write_text(labelled_lines(60, seed=2))
    (found,) = charrnn("evaluate", "-c", run, "test.tsv", "--json").records
    lines = [line.split("\t") for line in Path("test.tsv").read_text().splitlines()]
    scores = [
        charrnn("score", "-c", run, text, "--label", label, "--json").records[0]
        for label, text in lines[:2]
    ]
    Path("two.tsv").write_text("".join(f"{label}\t{text}\n" for label, text in lines[:2]))
    (two,) = charrnn("evaluate", "-c", run, "two.tsv", "--json").records
    expected = sum(each["log_probability"] for each in scores)
    assert two["log_probability"] == pytest.approx(expected, abs=1e-3)
    assert found["characters"] == sum(len(text) + 1 for _, text in lines)


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Irish\ta\nIrish a\n", "2 has no tab"),
        ("Irish\ta\nirsh\ta\n", "2 has the unknown label 'irsh'; did you mean 'Irish'?"),
    ],
)
def test_a_right_answer_that_is_none_is_refused(
    text: str, message: str, run: str, charrnn: Command
) -> None:
    Path("test.tsv").write_text(text)
    result = charrnn("classify", "-c", run, "--labelled", "-f", "test.tsv")
    assert message in one_line_error(result)
    result = charrnn("evaluate", "-c", run, "test.tsv")
    assert "line 2 of test.tsv has " in one_line_error(result)


@pytest.mark.fault(46)
def test_a_text_without_labels_is_not_trained_on(charrnn: Command) -> None:
    Path("names.txt").write_text("Ada\nBob\n")
    message = one_line_error(charrnn("train", "names.txt", "--labelled", "--steps", "1"))
    assert message.endswith(
        "line 1 of names.txt has no tab; a labelled line is a label, a tab and a text"
    )
    assert not Path("checkpoints").exists()


def test_a_model_of_whole_texts_has_no_labels(prose_model: Trained, charrnn: Command) -> None:
    message = one_line_error(charrnn("classify", "-c", str(prose_model.run), "a"), status=2)
    assert "has no labels; train with --labelled, or give several -c" in message


def test_several_models_are_labels(
    prose_model: Trained, names_model: Trained, charrnn: Command
) -> None:
    for name, model in (("prose", prose_model), ("names", names_model)):
        Path("checkpoints", name).mkdir(parents=True)
        Path("checkpoints", name, "model.safetensors").write_bytes(
            (model.run / "model.safetensors").read_bytes()
        )
    both = ("-c", "prose", "-c", "names")
    result = charrnn("classify", *both, "the cat saw the moon.", "Nakiro", "--json")
    assert [each["label"] for each in result.records] == ["prose", "names"]
    assert result.records[0]["checkpoints"] == ["checkpoints/prose", "checkpoints/names"]
    assert "the ends of texts are not counted" in result.err
    message = one_line_error(charrnn("classify", "-c", "prose", "-c", "prose", "a"), status=2)
    assert "the same model is given twice" in message


def test_from_python(run: str, prose_model: Trained, names_model: Trained) -> None:
    model = charrnn.load(run)
    (text,) = model.sample(label="Irish", seed=1, temperature=0.3)
    assert {*text} <= {*"aeio"}
    assert model.score(["aei"], label="Irish")[0].log_probability > (
        model.score(["aei"], label="German")[0].log_probability
    )
    (found,) = model.classify(["aei"], uniform=True)
    assert found.label == "Irish"
    assert model.score_characters(["aei"], label="Irish")[0].characters == ("a", "e", "i", "")
    models = {"prose": charrnn.load(prose_model.run), "names": charrnn.load(names_model.run)}
    assert classify_by_models(models, ["Nakiro"])[0].label == "names"
    with pytest.raises(charrnn.SettingsError, match="labelled=True"):
        models["prose"].classify(["a"])
    with pytest.raises(TypeError, match="give a list of texts"):
        model.classify("aei")


def test_a_smaller_checkpoint_keeps_its_labels(run: str, charrnn: Command) -> None:
    options = ("--half", "--max-ngrams", "200", "--without-history")
    assert charrnn("export", "-c", run, "small.safetensors", *options).status == 0
    assert charrnn("classify", "-c", "small.safetensors", "aeoi").out.endswith("aeoi\n")
    message = one_line_error(charrnn("export", "-c", run, "page.html"), status=2)
    assert "a model with labels is exported as .safetensors only, not as .html" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bidirectional",), "--bidirectional and --labelled do not go together"),
        (("--from", "surnames"), "--from and labels do not go together"),
    ],
)
def test_what_labels_do_not_go_with_is_refused(
    options: tuple[str, ...], message: str, run: str, charrnn: Command
) -> None:
    Path("checkpoints").mkdir()
    Path("checkpoints", "surnames").symlink_to(run)
    Path("more.tsv").write_text(labelled_lines(60))
    training = ("train", "more.tsv", "--labelled", "--steps", "1")
    assert message in one_line_error(charrnn(*training, *options), status=2)
