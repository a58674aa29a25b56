from __future__ import annotations

import pytest

from charrnn.cli.charts import averaged, curve, resampled, sparkline


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([7, 0], 8, "█▁"),
        ([0, 0, 7, 7], 2, "▁█"),
        ([9, -9], 8, "█▁"),  # outside low and high
        ([], 8, ""),
    ],
)
def test_a_sparkline_is_a_bar_for_each_value(
    values: list[float], width: int, expected: str
) -> None:
    assert sparkline(values, width, 0, 7) == expected


def test_equal_values_are_low_bars() -> None:
    assert sparkline([2.5, 2.5], 8, 2.5, 2.5) == "▁▁"


def test_a_curve_is_higher_than_a_line() -> None:
    # 16 eighths in two lines: 15 steps from low to high
    assert curve([0, 15, 8, 7], 8, 2, 0, 15) == [" █▁ ", "▁███"]
    assert curve([], 8, 3, 0, 1) == ["", "", ""]


def test_many_values_are_averaged() -> None:
    assert averaged([1, 3, 5, 7, 9, 11], 3) == [2, 6, 10]
    assert averaged([1, 2], 3) == [1, 2]
    assert len(averaged(list(range(1000)), 7)) == 7


def test_few_values_are_repeated() -> None:
    assert resampled([1, 2, 3], 7) == [1, 1, 1, 2, 2, 3, 3]
    assert resampled([1, 3], 1) == [2]
    assert resampled([], 5) == []
