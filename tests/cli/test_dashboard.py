from __future__ import annotations

import pytest

from charrnn.cli.dashboard import HINT, Dashboard, duration
from charrnn.cli.layout import display_width
from charrnn.training.events import SampleEvent, StepEvent, ValidationEvent

TEXT = "To be, or not to be, that is the question:\n字字\x1b[31m"


def step(number: int, loss: float, seconds: float) -> StepEvent:
    return StepEvent(number, 100, loss, 1.0, 0.0, 0.01, 0.02, 12_345, seconds)


def dashboard(blocks: bool = True) -> Dashboard:
    """Half of a run of 100 steps, two seconds each."""
    shown = Dashboard(0, 100, blocks)
    for number in range(10, 60, 10):
        shown.add_step(step(number, 4 - number / 25, 2.0 * number))
        shown.add_validation(
            ValidationEvent(number, 0.0, 4 - number / 30, best=number < 40, seconds=2.0 * number)
        )
    shown.add_sample(SampleEvent(50, TEXT * 9))
    return shown


def text(shown: Dashboard, width: int, height: int) -> list[str]:
    return [line for line, _ in shown.frame(width, height)]


def test_time_left_comes_first_then_share_and_speed() -> None:
    line = text(dashboard(), 80, 24)[0]
    assert line.startswith("1:40 left  ━")  # 50 steps of 2 s
    assert line.endswith("   50%  12,345 char/s")
    assert len(line) == 80
    narrow = text(dashboard(), 40, 24)[0]
    assert narrow.startswith("1:40 left  ━")
    assert narrow.endswith(" 50%")


def test_before_the_second_report_the_time_left_is_unknown() -> None:
    shown = Dashboard(0, 100)
    assert text(shown, 80, 24)[0].startswith("?:?? left")
    shown.add_step(step(10, 3.0, 5.0))
    assert text(shown, 80, 24)[0].startswith("?:?? left")


def test_a_resumed_run_is_timed_from_where_it_goes_on() -> None:
    shown = Dashboard(80, 100)
    shown.add_step(step(80, 3.0, 1000.0))
    shown.add_step(step(90, 3.0, 1010.0))
    assert text(shown, 80, 24)[0].startswith("0:10 left")


def test_both_losses_are_curves_with_their_figures() -> None:
    lines = text(dashboard(), 80, 24)
    assert lines[1] == "the network's loss, nats per character"
    assert lines[2].endswith("training 2.0000")
    assert lines[5].endswith("validation 2.3333")
    assert lines[6].endswith("best 3.0000, 0:40 ago")
    # half of the run is half of the 54 columns; of the first loss, 3.6, the scale takes no notice
    assert lines[2][:28] == "██████▆▆▆▆▆" + 17 * " "
    assert lines[4] == "█" * 22 + "▁" * 5


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("height", [8, 12, 24, 60])
@pytest.mark.parametrize("blocks", [True, False])
def test_every_line_fits(width: int, height: int, blocks: bool) -> None:
    frame = text(dashboard(blocks), width, height)
    assert max(map(display_width, frame)) <= width
    assert len(frame) < height
    assert frame[-1] == HINT
    assert len(HINT) + len("^C") < 40
    assert blocks or all(ord(character) < 128 or character == "字" for character in "".join(frame))


@pytest.mark.parametrize("width", [40, 80])
def test_wrapped_samples_keep_their_margin(width: int) -> None:
    lines = text(dashboard(), width, 24)
    start = lines.index("sample at step 50") + 1  # of 3 lines at least
    assert all(line.startswith("  | ") for line in lines[start:-1])
    assert len(lines[start:-1]) >= 3
    assert "\x1b" not in "".join(lines)
    assert "^[[31m" in "".join(lines)


def test_a_long_run_takes_bounded_memory() -> None:
    shown = Dashboard(0, 10_000)
    for number in range(10_000):
        shown.add_step(step(number % 100, 2.0, float(number)))
    assert len(shown._training) <= 2048


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (65.4, "1:05"), (3661, "1:01:01"), (-1, "0:00"), (360_000, "100:00:00")],
)
def test_durations_are_minutes_and_seconds(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
