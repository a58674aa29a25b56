"""TensorBoard's event files, read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as WithHparams,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from charrnn.training.events import (
    DoneEvent,
    NetworkStartEvent,
    SampleEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
)
from charrnn.training.tensorboard import DIRECTORY, TensorBoard
from tests.conftest import Command
from tests.faults.support import TINY
from tests.support import prose


def start(step: int = 0) -> NetworkStartEvent:
    return NetworkStartEvent(
        "run", {"hidden": 8, "cell": "gru"}, "--hidden 8", 100, 1, 20, 10, 3, 40, "cpu",
        step > 0, step, 1.0, 500, 2.5, 1, "2.0",
    )


def step(number: int, loss: float) -> StepEvent:
    return StepEvent(number, 40, loss, 0.75, 0.5, 0.125, 0.25, 1000.0, 1.0)


def write(*events: Any) -> None:
    board = TensorBoard()
    for event in events:
        board(event)
    board.close()


def read(run: Path = Path("run")) -> EventAccumulator:
    accumulator = EventAccumulator(str(run / DIRECTORY))
    accumulator.Reload()
    return accumulator


def scalars(accumulator: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(name)]


def texts(accumulator: EventAccumulator, name: str) -> list[tuple[int, str]]:
    return [
        (event.step, event.tensor_proto.string_val[0].decode())
        for event in accumulator.Tensors(f"{name}/text_summary")
    ]


def test_every_figure_is_in_the_files() -> None:
    write(
        start(),
        step(5, 2.5),
        WarningEvent("not shown"),
        ValidationEvent(10, 2.5, 2.25, True, 2.0),
        SampleEvent(10, "one <b>\n# two"),
        ValidationEvent(20, 2.5, None, True, 2.0),
    )
    found = read()
    assert scalars(found, "loss/training") == [(5, 2.5)]
    assert scalars(found, "loss/validation") == [(10, 2.25)]
    assert scalars(found, "gradient_norm") == [(5, 0.75)]
    assert scalars(found, "clipped") == [(5, 0.5)]
    assert scalars(found, "rate/adamw") == [(5, 0.125)]
    assert scalars(found, "rate/muon") == [(5, 0.25)]
    assert scalars(found, "characters_per_second") == [(5, 1000.0)]
    assert texts(found, "sample") == [(10, "    one <b>\n    # two\n")]
    assert texts(found, "flags") == [(1, "    --hidden 8\n")]


def test_a_finished_run_has_its_settings_and_figures() -> None:
    write(start(), step(5, 2.5), DoneEvent("run", 40, 30, 2.0, 9.0, 2.125, 2.5))
    found = read()
    assert scalars(found, "loss/validation") == [(40, 2.0)]
    assert scalars(found, "loss/network") == [(40, 2.125)]
    assert scalars(found, "loss/ngram") == [(40, 2.5)]
    accumulator = WithHparams(str(Path("run") / DIRECTORY))
    accumulator.Reload()
    content = accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["hidden"].number_value == 8
    assert hparams["cell"].string_value == "gru"


def test_the_steps_of_a_resumed_run_continue() -> None:
    write(start(), *(step(number, 2.5) for number in (5, 10, 15, 20)))
    write(start(10), *(step(number, 2.0) for number in (15, 20)))
    expected = [(5, 2.5), (10, 2.5), (15, 2.0), (20, 2.0)]
    assert scalars(read(), "loss/training") == expected


def test_a_run_from_the_start_replaces_an_older_one() -> None:
    write(start(), step(5, 2.5), step(10, 2.5))
    write(start(), step(7, 2.0))
    assert scalars(read(), "loss/training") == [(7, 2.0)]


# --- the command line


@pytest.fixture
def run(charrnn: Command) -> Command:
    Path("corpus.txt").write_text(prose(60))

    def train(*options: str) -> Any:
        return charrnn(
            "train", "corpus.txt", "-o", "run", *TINY, "--steps", "20", "--validate-every", "10",
            *options,
        )

    return train


def test_nothing_else_changes(run: Command) -> None:
    assert run("--json").status == 0
    model = Path("run/model.safetensors").read_bytes()
    done = run("--fresh", "--tensorboard", "--json")
    assert done.status == 0, done.err
    assert len(Path("run/model.safetensors").read_bytes()) == len(model)
    found = read()
    losses = dict(scalars(found, "loss/validation"))
    for event in done.records:
        if event["event"] == "validation":
            # The mixture's figure at the end is that of the saved model.
            expected = event["nats_per_character"]
            if event["step"] < 20:
                assert losses[event["step"]] == pytest.approx(expected)
    assert losses[20] == pytest.approx(done.records[-1]["nats_per_character"])
    assert [number for number, _ in texts(found, "sample")] == [10, 20]


def test_without_the_package_it_is_refused(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = run("--tensorboard")
    assert done.status == 2
    assert done.err.strip() == (
        "Error: --tensorboard needs a package that is not installed; "
        "pip install 'charrnn[tensorboard]'"
    )
    assert not Path("run").exists()
