"""What of a bidirectional network each kind of file has, and several networks in each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.export.kinds import export
from charrnn.export.reduction import Reduction
from charrnn.models.checkpoint import load_checkpoint, without_reader
from charrnn.models.loading import load_reader
from tests.support import random_checkpoint


@pytest.mark.parametrize("name", ["model.html", "model.onnx"])
def test_what_cannot_use_a_reader_is_written_without_it(name: str) -> None:
    plain = random_checkpoint("abc")
    assert plain.architecture is not None
    both = random_checkpoint("abc", bidirectional=True)
    assert without_reader(both).architecture == plain.architecture
    assert without_reader(both).weights.keys() == plain.architecture.shapes().keys()
    same = replace(both, architecture=plain.architecture, weights=without_reader(both).weights)
    for number, checkpoint in enumerate((both, same)):
        export(checkpoint, Path(f"{number}-{name}"), Reduction())
    assert Path(f"0-{name}").read_bytes() == Path(f"1-{name}").read_bytes()


@pytest.mark.parametrize("name", ["model.html", "model.onnx", "model.safetensors"])
def test_several_networks_are_written_as_every_kind(name: str) -> None:
    export(random_checkpoint("abc", networks=2), Path(name), Reduction(half=name[-1] != "x"))
    assert Path(name).exists()


def test_several_networks_stay_several() -> None:
    export(random_checkpoint("abc", networks=2), Path("half.safetensors"), Reduction(half=True))
    assert load_checkpoint(Path("half.safetensors")).networks == 2


def test_half_precision_keeps_the_reader() -> None:
    both = random_checkpoint("abc", bidirectional=True)
    export(both, Path("half.safetensors"), Reduction(half=True))
    assert load_reader(load_checkpoint(Path("half.safetensors"))) is not None
