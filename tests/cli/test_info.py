from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.models.checkpoint import save_checkpoint
from charrnn.text.labels import Labels
from charrnn.training.settings import Settings
from tests.conftest import Command
from tests.faults.support import on_terminal
from tests.support import Trained, prose, random_checkpoint, with_label_ngrams


def test_info_says_what_is_in_a_checkpoint(run_charrnn: Command, prose_model: Trained) -> None:
    result = run_charrnn("info", prose_model.run, "--json")
    assert (result.status, result.err) == (0, "")
    (record,) = result.records
    (start,) = prose_model.of_kind("start")
    assert record["documents"] == "files"
    assert record["vocabulary_size"] == start["vocabulary_size"]
    assert record["characters_known"] == "".join(sorted(set(prose_model.text)))
    assert record["parameters"] == start["parameters"]
    assert record["network"]["cell"] == "lstm"
    assert record["network"]["hidden"] == 32
    assert Settings(**record["training"]["settings"]) == Settings(**start["settings"])
    assert record["training"]["flags"] == start["flags"]
    assert record["corpus"]["names"] == [str(prose_model.corpus)]
    assert [entry["step"] for entry in record["history"]] == [100, 200, 300]
    plain = run_charrnn("info", "-c", prose_model.run / "model.safetensors")
    rows = dict(line.split("\t", 1) for line in plain.out.splitlines())
    assert rows["network.hidden"] == "32"
    assert rows["corpus.characters"] == str(len(prose_model.text))


def test_dates_and_minutes_are_in_a_checkpoint(
    charrnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    Path("corpus.txt").write_text(prose(40))
    assert charrnn("train", "corpus.txt", "-o", "run", "--cell", "none", "-q").status == 0
    (record,) = charrnn("info", "run", "--json").records
    assert record["training"]["saved"].endswith("+00:00")
    assert record["training"]["seconds"] >= 0
    assert "None" not in charrnn("info", "run").out


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_on_a_terminal_info_is_one_screen(columns: int, prose_model: Trained) -> None:
    status, shown = on_terminal("info", prose_model.run, env={"COLUMNS": str(columns)})
    lines = shown.splitlines()
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert len(lines) < 24 or columns == 40
    text = " ".join(shown.split())
    (done,) = prose_model.of_kind("done")
    assert "LSTM, 1 x 32" in text
    assert f"{done['nats_per_character']:.4f} nats" in text
    assert f"alone {done['network_nats_per_character']:.4f}" in text
    assert f"temperature fitted to the network {done['temperature']:.3f}" in " ".join(text.split())
    assert f"alone {done['ngram_nats_per_character']:.4f}" in text
    assert f"{len(set(prose_model.text))} characters: \\n" in text
    assert "2023-11-14 22:13 UTC" in text
    assert ("█" in text) is (columns > 40)
    assert "None" not in text
    assert "\x1b" not in shown


def test_the_command_shown_repeats_the_run(charrnn: Command, prose_model: Trained) -> None:
    _, shown = on_terminal("info", prose_model.run)
    words = shlex.split(" ".join(shown.partition("repeat with")[2].split()))
    assert words[:3] == ["charrnn", "train", str(prose_model.corpus)]
    arguments = ("-o", "again", "--quiet", "--device", "cpu")
    assert charrnn(*words[1:], *arguments).status == 0
    model = prose_model.run / "model.safetensors"
    first, again = (charrnn("score", "-c", each, "the cat") for each in (model, "again"))
    assert first == again


def test_info_of_a_model_that_records_nothing(charrnn: Command) -> None:
    Path("run").mkdir()
    checkpoint = replace(random_checkpoint("a\x1b" + "".join(map(chr, range(0x4E00, 0x5200)))))
    save_checkpoint(Path("run/model.safetensors"), checkpoint)
    status, shown = on_terminal("info", "run", env={"COLUMNS": "50"})
    assert status == 0
    assert "not validated" in shown
    assert "1,026 characters: " in shown
    assert "and 786 more" in " ".join(shown.split())
    assert "\x1b" not in shown
    assert "None" not in charrnn("info", "run").out


def test_info_tells_of_labels_and_the_ngrams_that_find_them(charrnn: Command) -> None:
    """Two labels with lines of four characters, begun by a label and ended by EOS."""
    labels = Labels(("cat", "dog"), (3, 5))
    Path("run").mkdir()
    checkpoint = with_label_ngrams(random_checkpoint("ab", lines=True, labels=labels), order=2)
    save_checkpoint(Path("run/model.safetensors"), checkpoint)
    (record,) = charrnn("info", "run", "--json").records
    assert record["labels"] == {"cat": 3, "dog": 5}
    assert record["label_ngrams"]["order"] == 2
    assert checkpoint.label_ngrams is not None
    count = record["label_ngrams"]["ngrams"]
    assert count == sum(checkpoint.label_ngrams.ngrams)
    assert f"label_ngrams.ngrams\t{count}\n" in charrnn("info", "run").out
    _, shown = on_terminal("info", "run", env={"COLUMNS": "100"})
    assert f"2-gram model, {count} n-grams" in shown
    assert "counted label by label" in shown
    Path("plain").mkdir()
    plain = replace(checkpoint, label_ngrams=None, label_exponents=None)
    save_checkpoint(Path("plain/model.safetensors"), plain)
    assert "label_ngrams" not in charrnn("info", "plain").out
