from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from charrnn.api import TrainedModel
from charrnn.export.kinds import KINDS
from charrnn.models.checkpoint import load_checkpoint
from tests.cli.support import command_of
from tests.conftest import Command
from tests.faults.support import one_line_error
from tests.support import Trained


def figure(charrnn: Command, checkpoint: Path | str, *options: str) -> float:
    """Nats per character of a line, as `score` gives them."""
    result = charrnn("score", "-c", checkpoint, "the cat saw a red house.", "--json", *options)
    assert result.status == 0, result.err
    return float(result.records[0]["nats_per_character"])


def test_a_checkpoint_is_exported_as_it_is(charrnn: Command, prose_model: Trained) -> None:
    result = charrnn("export", "copy.safetensors", "-c", prose_model.run)
    size = (prose_model.run / "model.safetensors").stat().st_size
    assert (result.status, result.err) == (0, "")
    assert result.out == f"copy.safetensors\t{size:,} bytes\n"
    assert Path("copy.safetensors").read_bytes() == (
        prose_model.run / "model.safetensors"
    ).read_bytes()


def test_every_reduction_makes_the_file_smaller(charrnn: Command, prose_model: Trained) -> None:
    before = figure(charrnn, prose_model.run)
    sizes = [(prose_model.run / "model.safetensors").stat().st_size]
    options: list[str] = []
    for option in (["--half"], ["--max-ngrams", "300"], ["--without-history"]):
        options += option
        result = charrnn(
            "export", "small.safetensors", "-c", prose_model.run, "--force", "--json", *options
        )
        (record,) = result.records
        assert record == {
            "output": "small.safetensors",
            "bytes": Path("small.safetensors").stat().st_size,
            "checkpoint": str(prose_model.run),
        }
        sizes.append(record["bytes"])
        if options == ["--half"]:
            assert abs(figure(charrnn, "small.safetensors") - before) < 0.001
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    alone = figure(charrnn, prose_model.run, "--no-ngram")
    charrnn("export", "alone.safetensors", "-c", prose_model.run, "--no-ngram")
    assert figure(charrnn, "alone.safetensors") == alone


def test_a_half_checkpoint_is_sealed_in_format_two(charrnn: Command, prose_model: Trained) -> None:
    charrnn("export", "half.safetensors", "-c", prose_model.run, "--half")
    data = Path("half.safetensors").read_bytes()
    assert rb'\"format_version\":2' in data
    assert rb'\"needs\":\"0.2\"' in data
    assert load_checkpoint(Path("half.safetensors")).half
    again = charrnn("export", "again.safetensors", "-c", "half.safetensors")
    assert again.status == 0
    assert Path("again.safetensors").read_bytes() == data
    Path("half.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "SHA-256" in one_line_error(charrnn("score", "-c", "half.safetensors", "a"))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["model.zip"], 2, "'model.zip' does not end with .safetensors, .html, .onnx"),
        (["model"], 2, "'model' does not end with .safetensors, .html, .onnx"),
        ([".safetensors"], 2, "'.safetensors' does not end with"),
        (["taken.safetensors"], 2, "taken.safetensors exists; replace it with --force"),
        (["new.safetensors", "--max-ngrams", "5"], 2, "--max-ngrams 5 is below the vocabulary's"),
        (["new.safetensors", "--no-ngram", "--max-ngrams", "99"], 2, "--no-ngram or --max-ngrams"),
        (["no/where.safetensors"], 1, "cannot write no/where.safetensors: no such file"),
    ],
)
def test_mistakes_are_told_in_one_line(
    charrnn: Command, prose_model: Trained, arguments: list[str], status: int, message: str
) -> None:
    Path("taken.safetensors").write_text("mine")
    result = charrnn("export", *arguments, "-c", prose_model.run)
    assert message in one_line_error(result, status)
    assert result.out == ""
    assert Path("taken.safetensors").read_text() == "mine"
    assert list(Path().iterdir()) == [Path("taken.safetensors")]


def test_a_file_is_replaced_only_when_told(charrnn: Command, prose_model: Trained) -> None:
    Path("taken.safetensors").write_text("mine")
    os.chmod("taken.safetensors", 0o600)
    result = charrnn("export", "taken.safetensors", "-c", prose_model.run, "--force")
    assert result.status == 0, result.err
    assert stat.S_IMODE(os.stat("taken.safetensors").st_mode) == 0o600
    assert load_checkpoint(Path("taken.safetensors")).ngram is not None


def test_the_default_checkpoint_is_named(
    charrnn: Command, prose_model: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CHECKPOINT", str(prose_model.run))
    assert charrnn("export", "a.safetensors").err == f"checkpoint: {prose_model.run}\n"


def test_a_web_page_is_exported(charrnn: Command, prose_model: Trained) -> None:
    result = charrnn("export", "page.html", "-c", prose_model.run, "--half", "--json")
    (record,) = result.records
    text = Path("page.html").read_text(encoding="utf-8")
    assert record["bytes"] == len(text.encode())
    assert text.startswith("<!DOCTYPE html>")
    assert '"dtype":"float16"' in text


def test_a_network_is_exported_as_onnx(charrnn: Command, prose_model: Trained) -> None:
    result = charrnn("export", "model.onnx", "-c", prose_model.run)
    assert result.status == 0, result.err
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    state = {each.name: np.zeros((1, 32), np.float32) for each in session.get_inputs()[1:]}
    found = session.run(None, {"token": np.array([1]), **state})[0]
    model = TrainedModel.open(prose_model.run, use_ngram=False).model
    expected, _ = model.step(np.array([1]), model.initial_state(1))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_card_is_written_beside_the_model(charrnn: Command, prose_model: Trained) -> None:
    result = charrnn("export", "small.safetensors", "-c", prose_model.run, "--half", "--card")
    assert result.status == 0, result.err
    assert [line.split("\t")[0] for line in result.out.splitlines()] == [
        "small.safetensors", "small.md"
    ]
    text = Path("small.md").read_text(encoding="utf-8")
    assert "in float16" in text
    assert "charrnn sample -c small.safetensors" in text
    Path("small.safetensors").unlink()
    again = charrnn("export", "small.safetensors", "-c", prose_model.run, "--card")
    assert "small.md exists; replace it with --force" in one_line_error(again, 2)
    assert not Path("small.safetensors").exists()


def test_help_lists_every_kind() -> None:
    help_text = " ".join((command_of("export").help or "").split())
    for suffix, kind in KINDS.items():
        assert suffix in help_text
        assert kind.description in help_text
