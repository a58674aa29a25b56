from __future__ import annotations

from tests.conftest import Command
from tests.support import Trained


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
    assert record["training"]["settings"] == start["settings"]
    assert [entry["step"] for entry in record["history"]] == [100, 200, 300]
    plain = run_charrnn("info", "-c", prose_model.run / "model.safetensors")
    rows = dict(line.split("\t", 1) for line in plain.out.splitlines())
    assert rows["network.hidden"] == "32"
    assert rows["corpus.characters"] == str(len(prose_model.text))
